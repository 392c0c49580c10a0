//! The options that an image records, read back from its label.
//!
//! The way back from [`Options::canonical`]; what is not written as that writes it is refused.

use std::sync::Arc;

use crate::digest::BlobDigest;
use crate::options::{Builtin, Options, UserProfile, UserRecipe};
use crate::path::glob::PathGlobs;
use crate::path::{Escaped, ImagePath};
use crate::plan::Level;

/// Why a label records no options.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordedError {
    /// No words of a shell, or not as kiln writes them.
    #[error("`{0}` is not written as kiln writes options")]
    Form(Escaped),
    /// An option that this kiln does not have.
    #[error("`{0}` is no option of this kiln")]
    Unknown(Escaped),
    /// A value that the option does not take.
    #[error("`{0}` is no value of `--{1}`")]
    Value(Escaped, &'static str),
}

/// Recorded options; recipes of the user's own are known by digest only.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// All but the recipes.
    pub options: Options,
    /// The recipes, in order.
    pub recipes: Vec<RecordedRecipe>,
    /// Digest of the profile.
    pub profile: Option<BlobDigest>,
}

/// What the image records by digest only, and nobody has given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotGiven {
    /// A recipe.
    Recipe(RecordedRecipe),
    /// The profile.
    Profile(BlobDigest),
}

/// A recipe that the user brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedRecipe {
    /// Its short name.
    pub name: String,
    /// Digest of its file.
    pub digest: BlobDigest,
}

impl Recorded {
    /// Reads a label.
    pub fn parse(label: &str) -> Result<Self, RecordedError> {
        let mut out = Self { options: Options::default(), recipes: Vec::new(), profile: None };
        for word in words(label).ok_or_else(|| RecordedError::Form(escaped(label)))? {
            out.option(&word)?;
        }
        if out.canonical() != label {
            return Err(RecordedError::Form(escaped(label)));
        }
        Ok(out)
    }

    fn option(&mut self, word: &str) -> Result<(), RecordedError> {
        let unknown = || RecordedError::Unknown(escaped(word));
        let (name, value) = word.strip_prefix("--").ok_or_else(unknown)?.split_once('=').unzip();
        let (Some(name), Some(value)) = (name, value) else {
            if word != "--no-recipes" {
                return Err(unknown());
            }
            self.options.builtin = Builtin::Ignored;
            return Ok(());
        };
        let options = &mut self.options;
        let refuse = |option| RecordedError::Value(escaped(value), option);
        match name {
            "level" => {
                let level = Level::ALL.into_iter().find(|level| level.name() == value);
                options.level = level.ok_or_else(|| refuse("level"))?;
            }
            "keep" | "strip" => {
                let (list, option) =
                    if name == "keep" { (&mut options.keep, "keep") } else { (&mut options.strip, "strip") };
                PathGlobs::new(&[value.to_owned()]).map_err(|_| refuse(option))?;
                list.push(value.to_owned());
            }
            "user" => options.user = Some(value.to_owned()),
            "writable" => {
                let path = ImagePath::unescape(value);
                options.writable.push(path.ok_or_else(|| refuse("writable"))?);
            }
            "recipe" => {
                let (name, digest) = value.rsplit_once('@').ok_or_else(|| refuse("recipe"))?;
                let digest = digest.parse().map_err(|_| refuse("recipe"))?;
                self.recipes.push(RecordedRecipe { name: name.to_owned(), digest });
            }
            "compression" => {
                options.compression = value.parse().map_err(|_| refuse("compression"))?;
            }
            "profile" => self.profile = Some(value.parse().map_err(|_| refuse("profile"))?),
            _ => return Err(unknown()),
        }
        Ok(())
    }

    /// The options in full, with `recipes` and `profile` in their places; `Err` is the first that is not among them.
    pub fn complete(
        &self,
        recipes: &[UserRecipe],
        profile: Option<&Arc<UserProfile>>,
    ) -> Result<Options, NotGiven> {
        let find = |wanted: &RecordedRecipe| {
            let found = recipes.iter().find(|recipe| recipe.digest == wanted.digest);
            found.cloned().ok_or_else(|| NotGiven::Recipe(wanted.clone()))
        };
        let recipes = self.recipes.iter().map(find).collect::<Result<_, _>>()?;
        let find = |digest: BlobDigest| {
            let found = profile.filter(|profile| profile.digest == digest);
            found.cloned().ok_or(NotGiven::Profile(digest))
        };
        let profile = self.profile.map(find).transpose()?;
        Ok(Options { recipes, profile, ..self.options.clone() })
    }

    /// What [`Options::canonical`] writes for these.
    fn canonical(&self) -> String {
        let recipes = self.recipes.iter().map(|recipe| (recipe.name.as_str(), recipe.digest));
        self.options.canonical_with(recipes, self.profile)
    }
}

fn escaped(text: &str) -> Escaped {
    Escaped::new(text.as_bytes())
}

/// Undoes [`crate::options::quote`] on words with a blank between each; `None` where a quote stays open.
fn words(text: &str) -> Option<Vec<String>> {
    let mut out = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' => out.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '\\' => word.get_or_insert_default().push(chars.next()?),
            c => word.get_or_insert_default().push(c),
        }
    }
    out.extend(word);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe;

    fn own() -> UserRecipe {
        let recipe = recipe::builtin().first().unwrap().clone();
        UserRecipe { recipe, digest: BlobDigest::of(b"text") }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let options = Options {
            level: Level::Strip,
            keep: vec!["/it's".into(), "/opt/*".into()],
            strip: vec!["/b c".into()],
            user: Some("app:www".into()),
            recipes: vec![own()],
            builtin: Builtin::Ignored,
            writable: vec![ImagePath::parse(b"/var/a b\n\\").unwrap()],
            ..Options::default()
        };
        let recorded = Recorded::parse(&options.canonical()).unwrap();
        assert_eq!(recorded.complete(&[own()], None), Ok(options));
        let missing = recorded.complete(&[], None).unwrap_err();
        assert!(matches!(missing, NotGiven::Recipe(recipe) if recipe.digest == BlobDigest::of(b"text")));
        assert_eq!(Recorded::parse("").unwrap().complete(&[], None), Ok(Options::default()));
    }

    #[test]
    fn what_kiln_does_not_write_is_refused() {
        for label in [
            "--level=tiny",
            "--level=distroless",
            "--keep=/b --keep=/a",
            "--keep=/a  --keep=/b",
            "--keep='/a",
            "--keep=/[",
            "--root",
            "--writable='a\\q'",
            "keep",
            "--recipe=x@sha256:0",
            " ",
        ] {
            assert!(Recorded::parse(label).is_err(), "{label}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_label_makes_the_parser_panic(label in "[-a-z=@'\\\\ /*]{0,40}") {
            if let Ok(recorded) = Recorded::parse(&label) {
                proptest::prop_assert_eq!(recorded.canonical(), label);
            }
        }
    }
}

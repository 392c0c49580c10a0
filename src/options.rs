//! What a user asks of a hardening, and the text of it that the image records.
//!
//! Does not know where an option was given, nor whether the image has what it names.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use crate::digest::BlobDigest;
use crate::finding::{Finding, Severity};
use crate::image::Codec;
use crate::limits::Limits;
use crate::path::ImagePath;
use crate::plan::Level;
use crate::profile::Profile;
use crate::recipe::Recipe;

/// What a user asks of a hardening. The default is what `kiln harden` does without options.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// How much goes.
    pub level: Level,
    /// `OS/ARCH[/VARIANT]` to take from an index of several platforms; `None` is the host's.
    pub platform: Option<String>,
    /// Globs of paths that stay.
    pub keep: Vec<String>,
    /// Globs of paths that go.
    pub strip: Vec<String>,
    /// `USER[:GROUP]`, names of the image or numbers.
    pub user: Option<String>,
    /// Recipes that the user brings, in the order given: the first that applies to a program wins.
    pub recipes: Vec<UserRecipe>,
    /// Whether kiln's own recipes apply too.
    pub builtin: Builtin,
    /// Directories that the app must be able to write.
    pub writable: Vec<ImagePath>,
    /// What runs of the image showed.
    pub profile: Option<Arc<UserProfile>>,
    /// How layers are stored.
    pub compression: Compression,
    /// Whether findings keep an image from being written. Never changes a byte of the output.
    pub refusal: Refusal,
    /// How many layers are worked on at a time, and how many threads compress. Never changes a byte of the output.
    pub jobs: NonZeroUsize,
    /// How much of the image is read before kiln gives up. Never changes a byte of the output.
    pub limits: Limits,
    /// Where what runs before made is kept; `None` for nowhere. Never changes a byte of the output.
    pub cache: Option<CacheSettings>,
}

/// How layers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// As they were; what was not compressed and is written again becomes gzip. A layer that is gzip is edited.
    #[default]
    Keep,
    /// So, all of them. With a level what is written again is compressed anew at that level; what stays and is stored so stays.
    To(Codec, Option<u8>),
}

/// A compression that kiln does not write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no compression of layers: expected keep, gzip, gzip:LEVEL (1 to 9), zstd or zstd:LEVEL (1 to 19)"
)]
pub struct ParseCompressionError(String);

impl FromStr for Compression {
    type Err = ParseCompressionError;

    fn from_str(text: &str) -> Result<Self, ParseCompressionError> {
        let refused = || ParseCompressionError(text.chars().take(100).collect());
        let (name, level) = match text.split_once(':') {
            Some((name, level)) => (name, Some(level)),
            None => (text, None),
        };
        let (codec, most) = match name {
            "keep" if level.is_none() => return Ok(Self::Keep),
            "gzip" => (Codec::Gzip, 9),
            // Above 19 each thread takes hundreds of MiB, as with `zstd --ultra`.
            "zstd" => (Codec::Zstd, 19),
            _ => return Err(refused()),
        };
        let level = level.map(|level| match level.parse::<u8>() {
            Ok(number) if (1..=most).contains(&number) && number.to_string() == level => Ok(number),
            _ => Err(refused()),
        });
        // zstd's own level, said or not.
        let level = level.transpose()?.filter(|level| (codec, *level) != (Codec::Zstd, 3));
        Ok(Self::To(codec, level))
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keep => f.write_str("keep"),
            Self::To(codec, None) => f.write_str(codec.name()),
            Self::To(codec, Some(level)) => write!(f, "{}:{level}", codec.name()),
        }
    }
}

/// Where what runs before made is kept, and how much of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheSettings {
    /// The directory; `None` is the user's own, which is not used where it cannot be.
    pub directory: Option<PathBuf>,
    /// Bytes that all of it may take.
    pub limit: u64,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self { directory: None, limit: Self::LIMIT }
    }
}

impl CacheSettings {
    /// Bytes that a cache may take where nobody says otherwise: 10 GiB, the rewritten layers of some hundred images.
    pub const LIMIT: u64 = 10 << 30;
}

/// Whether kiln's own recipes apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Builtin {
    /// They do, after the user's own.
    #[default]
    Used,
    /// They do not.
    Ignored,
}

/// Which findings keep an image from being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Refusal {
    /// None.
    #[default]
    Never,
    /// Those of severity high: `--strict`.
    High,
}

/// A recipe that the user brings.
#[derive(Debug, Clone, PartialEq)]
pub struct UserRecipe {
    /// What it says.
    pub recipe: Recipe,
    /// Digest of the file it was read from: what it says in the image's record, for its name says little.
    pub digest: BlobDigest,
}

/// What runs of an image showed, as hardening takes it.
#[derive(Debug, Clone, PartialEq)]
pub struct UserProfile {
    /// Without what two runs of one image need not have in common.
    pub profile: Profile,
    /// Digest of that: what it says in the image's record.
    pub digest: BlobDigest,
}

impl UserProfile {
    /// What hardening takes from `profile`: what two times of watching need not have in common changes nothing.
    pub fn new(profile: Profile) -> Self {
        let profile = profile.settled();
        let digest = BlobDigest::of(profile.render().as_bytes());
        Self { profile, digest }
    }

    /// What a container of the source leaves for the app, where one does.
    pub fn wants(&self) -> impl Iterator<Item = ImagePath> {
        let made = self.profile.preparing.iter().flat_map(|preparing| &preparing.made);
        made.filter_map(|path| ImagePath::unescape(path))
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            level: Level::default(),
            platform: None,
            keep: Vec::new(),
            strip: Vec::new(),
            user: None,
            recipes: Vec::new(),
            builtin: Builtin::default(),
            writable: Vec::new(),
            profile: None,
            compression: Compression::default(),
            refusal: Refusal::default(),
            jobs: NonZeroUsize::MIN,
            limits: Limits::default(),
            cache: None,
        }
    }
}

impl Options {
    /// Those of `findings` that keep the image from being written.
    pub fn refused(&self, findings: &[Finding]) -> Vec<Finding> {
        match self.refusal {
            Refusal::Never => Vec::new(),
            Refusal::High => {
                findings.iter().filter(|finding| finding.severity >= Severity::High).cloned().collect()
            }
        }
    }

    /// The options that decide the image's bytes, as words of a POSIX shell: what the image's label and its
    /// manifest record. Empty where all are at their defaults.
    ///
    /// Equal for options that mean the same: globs and paths are sets, so they are sorted. The platform is
    /// not in it: the source's manifest digest says it.
    pub fn canonical(&self) -> String {
        let recipes = self.recipes.iter().map(|own| (own.recipe.name.as_str(), own.digest));
        self.canonical_with(recipes, self.profile.as_ref().map(|own| own.digest))
    }

    /// [`Options::canonical`] with recipes and a profile that are known by digest, in place of its own.
    pub fn canonical_with<'a>(
        &self,
        recipes: impl IntoIterator<Item = (&'a str, BlobDigest)>,
        profile: Option<BlobDigest>,
    ) -> String {
        let mut out = String::new();
        let mut word = |flag: &str, value: &str| {
            let gap = if out.is_empty() { "" } else { " " };
            let _ = write!(out, "{gap}--{flag}");
            if !value.is_empty() {
                let _ = write!(out, "={}", quote(value));
            }
        };
        if self.level != Level::default() {
            word("level", self.level.name());
        }
        for glob in self.keep.iter().collect::<BTreeSet<_>>() {
            word("keep", glob);
        }
        for glob in self.strip.iter().collect::<BTreeSet<_>>() {
            word("strip", glob);
        }
        if let Some(user) = &self.user {
            word("user", user);
        }
        // In order: with two recipes for one program the first wins.
        for (name, digest) in recipes {
            word("recipe", &format!("{name}@{digest}"));
        }
        if self.builtin == Builtin::Ignored {
            word("no-recipes", "");
        }
        for path in self.writable.iter().collect::<BTreeSet<_>>() {
            word("writable", &path.to_string());
        }
        if let Some(digest) = profile {
            word("profile", &digest.to_string());
        }
        if self.compression != Compression::default() {
            word("compression", &self.compression.to_string());
        }
        out
    }
}

/// `text` as one word of a POSIX shell: as it is where that is safe, else in single quotes.
pub fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:@=,+%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Size;

    #[test]
    fn default_options_leave_no_record() {
        let jobs = NonZeroUsize::new(8).unwrap();
        let limits = Limits { entries: 7, size: Size::AtMost(7) };
        let options = Options { jobs, limits, platform: Some("linux/arm64".into()), ..Options::default() };
        assert_eq!(options.canonical(), "");
    }

    #[test]
    fn compressions_are_written_as_they_are_read() {
        for text in ["keep", "gzip", "gzip:1", "gzip:9", "zstd", "zstd:9", "zstd:19"] {
            assert_eq!(text.parse::<Compression>().map(|read| read.to_string()), Ok(text.to_owned()));
        }
        let refused = [
            "", "none", "plain", "keep:1", "gzip:", "gzip:0", "gzip:10", "gzip:06", "zstd:20", "zstd:-1",
            "zstd:+3",
        ];
        for text in refused {
            assert!(text.parse::<Compression>().is_err(), "{text}");
        }
        assert_eq!("zstd:3".parse(), Ok(Compression::To(Codec::Zstd, None)));
    }

    #[test]
    fn options_that_mean_the_same_have_one_record() {
        let of = |keep: &[&str]| Options {
            keep: keep.iter().map(ToString::to_string).collect(),
            level: Level::Strip,
            ..Options::default()
        };
        assert_eq!(of(&["/b", "/a", "/b"]).canonical(), of(&["/a", "/b"]).canonical());
        assert_eq!(of(&["/b", "/a"]).canonical(), "--level=strip --keep=/a --keep=/b");
    }

    #[test]
    fn record_is_words_of_a_shell() {
        let options = Options {
            keep: vec!["/opt/*".into(), "/it's".into()],
            user: Some("app:www".into()),
            builtin: Builtin::Ignored,
            writable: vec![ImagePath::literal("/var/lib/my app")],
            ..Options::default()
        };
        assert_eq!(
            options.canonical(),
            r"--keep='/it'\''s' --keep='/opt/*' --user=app:www --no-recipes --writable='/var/lib/my app'"
        );
    }

    #[test]
    fn user_recipes_are_recorded_by_content_and_in_order() {
        let of = |name: &str, text: &str| UserRecipe {
            recipe: Recipe { name: name.into(), ..Recipe::default() },
            digest: BlobDigest::of(text.as_bytes()),
        };
        let options = Options { recipes: vec![of("z", "1"), of("a", "2")], ..Options::default() };
        let text = options.canonical();
        assert!(text.starts_with("--recipe=z@sha256:6b86b273"), "{text}");
        assert!(text.contains(" --recipe=a@sha256:d4735e3a"), "{text}");
    }
}

//! Under what is found what was made of an image: all that it follows from, but for the program.
//!
//! Takes values apart by name, so that whoever adds to one has to say what follows from that.

use crate::digest::{BlobDigest, Hasher};
use crate::image::LayerDescriptor;
use crate::options::{Compression, Options};
use crate::plan::{Patch, Verdict};
use crate::source::SourceImage;

/// All that the bytes of a layer that is written again follow from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerKey(BlobDigest);

impl LayerKey {
    /// That of `layer` under `verdicts`, compressed as was asked for.
    pub fn new(layer: &LayerDescriptor, verdicts: &[Verdict], compression: Compression) -> Self {
        let mut parts = Parts::default();
        parts.push(layer.digest.hex().as_bytes());
        parts.push(compression.to_string().as_bytes());
        for verdict in verdicts {
            match verdict {
                // No patch is so short.
                Verdict::Drop(_) | Verdict::Merged => parts.push(b""),
                Verdict::Keep(patch) => parts.push(&bytes_of(patch)),
            }
        }
        Self(parts.0.blob())
    }

    /// As the name of a file.
    pub fn hex(&self) -> String {
        self.0.hex()
    }
}

fn bytes_of(patch: &Patch) -> Vec<u8> {
    postcard::to_allocvec(patch)
        .unwrap_or_else(|error| unreachable!("numbers, paths and bytes are written as they are: {error}"))
}

/// All that a plan follows from, and what was held before it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanKey(BlobDigest);

impl PlanKey {
    /// That of `image` under `options`.
    pub fn new(image: &SourceImage, options: &Options) -> Self {
        let SourceImage {
            config,
            config_bytes,
            layers,
            // Names, and the config's own digest.
            manifest_digest: _,
            index_digest: _,
            image_id: _,
            annotations: _,
            name: _,
        } = image;
        let Options {
            level,
            platform,
            keep,
            strip,
            user,
            recipes,
            builtin,
            writable,
            profile,
            // An image that is too large is refused before it has a plan.
            limits,
            // How layers are stored, what is refused of a plan, how the work is done.
            compression: _,
            refusal: _,
            jobs: _,
            cache: _,
        } = options;
        let mut parts = Parts::default();
        parts.push(config_bytes);
        parts.push(config.platform.to_string().as_bytes());
        for layer in layers {
            // What a layer is, and what it is said to be: both were compared.
            let LayerDescriptor { digest, size, diff_id, codec, media_type, annotations: _ } = layer;
            parts.push(format!("{digest} {size} {diff_id} {codec:?} {media_type}").as_bytes());
        }
        let profile = profile.as_ref().map(|own| own.digest);
        let asked = (level, platform, keep, strip, user, recipes, builtin, writable, profile, limits);
        parts.push(format!("{asked:?}").as_bytes());
        Self(parts.0.blob())
    }

    /// As the name of a file.
    pub fn hex(&self) -> String {
        self.0.hex()
    }
}

/// Hashes one text after the other.
#[derive(Default)]
struct Parts(Hasher);

impl Parts {
    fn push(&mut self, bytes: &[u8]) {
        // Its length first: else the end of one could be the beginning of the next.
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::num::NonZeroUsize;
    use std::sync::Arc;

    use super::*;
    use crate::digest::{DiffId, ImageId};
    use crate::image::{Codec, Config};
    use crate::limits::{Limits, Size};
    use crate::options::{Builtin, CacheSettings, Refusal, UserProfile, UserRecipe};
    use crate::path::ImagePath;
    use crate::plan::{Level, Reason};
    use crate::profile::tests::profile;
    use crate::recipe::Recipe;

    fn layer(text: &[u8]) -> LayerDescriptor {
        LayerDescriptor {
            digest: BlobDigest::of(text),
            size: text.len() as u64,
            diff_id: DiffId::of(b"stream"),
            codec: Codec::Gzip,
            media_type: Codec::Gzip.media_type().to_owned(),
            annotations: BTreeMap::new(),
        }
    }

    fn assert_all_differ(mut keys: Vec<String>) {
        let number = keys.len();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), number);
    }

    #[test]
    fn whatever_changes_the_bytes_changes_the_key() {
        let keep = |patch: Patch| Verdict::Keep(Arc::new(patch));
        let as_it_is = || keep(Patch::default());
        let patches = [
            Patch { mode: Some(0o555), ..Patch::default() },
            Patch { mode: Some(0o444), ..Patch::default() },
            Patch { owner: Some((0, 0)), ..Patch::default() },
            Patch { path: Some(ImagePath::literal("/a")), ..Patch::default() },
            Patch { link: Some(ImagePath::literal("/a")), ..Patch::default() },
            Patch { content: Some(Arc::from(&b"a"[..])), ..Patch::default() },
            Patch { content: Some(Arc::from(&b""[..])), ..Patch::default() },
            Patch { drop_capabilities: true, ..Patch::default() },
        ];
        let mut all = vec![
            vec![],
            vec![as_it_is()],
            vec![as_it_is(), as_it_is()],
            vec![as_it_is(), Verdict::Merged],
            vec![Verdict::Merged, as_it_is()],
            vec![Verdict::Merged],
        ];
        all.extend(patches.into_iter().map(|patch| vec![keep(patch)]));
        let mut keys: Vec<_> =
            all.iter().map(|list| LayerKey::new(&layer(b"one"), list, Compression::Keep).hex()).collect();
        keys.push(LayerKey::new(&layer(b"two"), &[], Compression::Keep).hex());
        keys.push(LayerKey::new(&layer(b"one"), &[], Compression::To(Codec::Gzip, None)).hex());
        keys.push(LayerKey::new(&layer(b"one"), &[], Compression::To(Codec::Gzip, Some(9))).hex());
        assert_all_differ(keys);
        // Why something goes is no part of what is left.
        let gone = |verdict: Verdict| LayerKey::new(&layer(b"one"), &[verdict], Compression::Keep);
        assert_eq!(gone(Verdict::Drop(Reason::UnneededPackage)), gone(Verdict::Merged));
    }

    fn image(config: &str, layers: Vec<LayerDescriptor>) -> SourceImage {
        SourceImage {
            manifest_digest: None,
            index_digest: None,
            config: Config::parse(config.as_bytes()).unwrap(),
            config_bytes: config.into(),
            image_id: ImageId::of(config.as_bytes()),
            layers,
            annotations: BTreeMap::new(),
            name: None,
        }
    }

    #[test]
    fn whatever_changes_the_plan_changes_its_key() {
        let (one, two) = (layer(b"one"), layer(b"two"));
        let images = [
            vec![],
            vec![one.clone()],
            vec![one.clone(), two.clone()],
            vec![two, one.clone()],
            vec![LayerDescriptor { size: 4, ..one.clone() }],
            vec![LayerDescriptor { diff_id: DiffId::of(b"other"), ..one.clone() }],
            vec![LayerDescriptor { codec: Codec::Zstd, ..one.clone() }],
            vec![LayerDescriptor { media_type: Codec::Zstd.media_type().to_owned(), ..one.clone() }],
        ];
        let mut images: Vec<_> = images.into_iter().map(|layers| image("{}", layers)).collect();
        images.push(image(r#"{"config":{"User":"33"}}"#, vec![one.clone()]));
        images.push(image(r#"{"architecture":"arm64"}"#, vec![one.clone()]));
        let own = Options::default;
        let words = |text: &[&str]| text.iter().map(ToString::to_string).collect::<Vec<_>>();
        let recipe = |name: &str, digest: &[u8]| UserRecipe {
            recipe: Recipe { name: name.into(), ..Recipe::default() },
            digest: BlobDigest::of(digest),
        };
        let others = [
            Options { level: Level::Strip, ..own() },
            Options { platform: Some("linux/arm64".into()), ..own() },
            Options { keep: words(&["/a"]), ..own() },
            Options { keep: words(&["/a", "/b"]), ..own() },
            Options { keep: words(&["/a\", \"/b"]), ..own() },
            Options { strip: words(&["/a"]), ..own() },
            Options { user: Some("33".into()), ..own() },
            Options { recipes: vec![recipe("a", b"1")], ..own() },
            Options { recipes: vec![recipe("a", b"2")], ..own() },
            Options { recipes: vec![recipe("b", b"2")], ..own() },
            Options { recipes: vec![recipe("b", b"2"), recipe("a", b"1")], ..own() },
            Options { recipes: vec![recipe("a", b"1"), recipe("b", b"2")], ..own() },
            Options { builtin: Builtin::Ignored, ..own() },
            Options { writable: vec![ImagePath::literal("/a")], ..own() },
            Options { profile: Some(Arc::new(UserProfile::new(profile()))), ..own() },
            Options { limits: Limits { entries: 7, ..Limits::default() }, ..own() },
            Options { limits: Limits { size: Size::AtMost(7), ..Limits::default() }, ..own() },
        ];
        let image = image("{}", vec![one]);
        let key = |options: &Options| PlanKey::new(&image, options);
        let mut keys: Vec<_> = images.iter().map(|image| PlanKey::new(image, &own()).hex()).collect();
        keys.extend(others.iter().map(|options| key(options).hex()));
        assert_all_differ(keys);
        for same in [
            Options { compression: Compression::To(Codec::Zstd, None), ..own() },
            Options { refusal: Refusal::High, ..own() },
            Options { jobs: NonZeroUsize::MAX, ..own() },
            Options { cache: Some(CacheSettings::default()), ..own() },
        ] {
            assert_eq!(key(&same), key(&own()));
        }
    }
}

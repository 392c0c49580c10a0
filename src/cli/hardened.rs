//! A hardened image as commands that make documents for a cluster know it: what it says itself, or a file with that.
//!
//! Reads no layer: that is the pipeline's.

use std::io::Read;
use std::path::Path;

use anyhow::anyhow;

use super::args::ImageArgs;
use super::naming::{label_of, pinned};
use super::{Failure, Pipeline};
use crate::digest::BlobDigest;
use crate::kube::generate::{GenerateError, Image, Manifests, name_for};
use crate::kube::pod::RunAs;
use crate::manifest::{Manifest, ManifestIndex, ParseManifestError, PlatformManifest, United};
use crate::reference::{Reference, STDIO};

/// Most bytes of a writable manifest that is read, or of an index of some: real ones have some ten KiB for each platform.
const MAX_MANIFEST: u64 = 64 << 20;

/// What is known of an image.
pub(super) struct Known {
    /// Digest of it, by which a registry has it; neither a file nor an archive of Docker's tells that.
    digest: Option<BlobDigest>,
    /// Digest of its source; likewise.
    source: Option<BlobDigest>,
    /// What the cluster knows it by, if anybody says it.
    image: Option<String>,
    manifests: Manifests,
    /// That of all its platforms together.
    pub(super) manifest: Manifest,
    /// Who pods of it run as.
    pub(super) run_as: RunAs,
    /// Name for what runs it.
    pub(super) name: String,
    /// What is to be known besides.
    pub(super) notes: Vec<String>,
}

/// Asks the image `named`, or reads the file that stands for it; what runs it is called `name`, if that is said.
pub(super) fn know(
    named: Option<&str>,
    args: &ImageArgs,
    name: Option<&str>,
    pipeline: &dyn Pipeline,
) -> Result<Known, Failure> {
    let (digest, source, is_index, all) = match (named, &args.manifest) {
        (Some(_), Some(_)) => {
            return Err(Failure::usage(anyhow!("expected an image or `--manifest`, found both")));
        }
        (None, None) => {
            return Err(Failure::usage(anyhow!("expected a hardened image, or `--manifest FILE`")));
        }
        (Some(named), None) => {
            let described = pipeline.describe(named, &args.registry.clone().into())?;
            (described.digest, described.source, described.is_index, described.manifests)
        }
        (None, Some(file)) => {
            let (all, is_index) = read_manifests(file)?;
            (None, None, is_index, all)
        }
    };
    let pushed = named.and_then(|named| match named.parse() {
        Ok(Reference::Registry(reference)) => Some(reference.name()),
        _ => None,
    });
    let image = args.image.clone().or(pushed);
    let given = image.as_deref().and_then(digest_of);
    if let (Some(other), Some(digest)) = (given, digest)
        && other != digest
    {
        return Err(Failure::usage(anyhow!("`--image`: names {other}, and the image is {digest}")));
    }
    let digest = digest.or(given);
    let pairs: Vec<(String, &Manifest)> =
        all.iter().map(|(platform, manifest, _)| (platform.clone(), manifest)).collect();
    let united = match pairs.as_slice() {
        [(_, manifest)] if !is_index => Some(United::one(manifest)),
        pairs => United::of(pairs),
    };
    let united = united.ok_or_else(|| Failure::input(anyhow!("the index has no writable manifest")))?;
    let notes = united.differences.iter().map(|other| format!("{}: {}", other.subject, other.message));
    let notes = notes.collect();
    let called = || name_for(&label_of(image.as_deref().or(named).unwrap_or_default()));
    let name = name.map_or_else(called, str::to_owned);
    let manifests = match all.as_slice() {
        [(_, _, digest)] if !is_index => Manifests::One(*digest),
        several => Manifests::Several(
            several.iter().map(|(platform, _, digest)| (platform.clone(), *digest)).collect(),
        ),
    };
    let run_as = if united.same_user { RunAs::Manifest } else { RunAs::Image };
    Ok(Known { digest, source, image, manifests, manifest: united.manifest, run_as, name, notes })
}

impl Known {
    /// The image as pods name it, and its source as `source` where they need it; what nobody names gets a placeholder, and a
    /// note.
    pub(super) fn image(&mut self, source: Option<&str>) -> Result<Image, Failure> {
        let digest = self.digest.ok_or_else(|| {
            let error = anyhow!("expected the image's digest, as `--image NAME@DIGEST`");
            Failure::usage(error).hint(
                "neither a manifest in a file nor an archive of Docker's says by which digest a registry has the image",
            )
        })?;
        let name = self.image.clone().unwrap_or_else(|| {
            let placeholder = format!("registry.invalid/{}", self.name);
            self.notes.push(format!(
                "nothing says what the cluster knows the image by: it is called `{placeholder}`; `--image NAME` names it"
            ));
            placeholder
        });
        let source_name = if self.manifest.needs_source() { Some(self.source_name(source)?) } else { None };
        Ok(Image {
            name: pinned(&name, digest),
            source: self.source.map(|digest| digest.to_string()).unwrap_or_default(),
            source_name,
            run_as: self.run_as,
            manifests: self.manifests.clone(),
        })
    }

    fn source_name(&mut self, given: Option<&str>) -> Result<String, Failure> {
        match (given, given.and_then(digest_of), self.source) {
            // Another image than the one it was made from may do something else.
            (Some(_), Some(other), Some(digest)) if other != digest => Err(Failure::usage(anyhow!(
                "`--source-image`: names {other}, and the image was made from {digest}"
            ))),
            (Some(given), _, Some(digest)) => Ok(pinned(given, digest)),
            (Some(given), Some(_), None) => Ok(given.to_owned()),
            (None, _, Some(digest)) => {
                let placeholder = format!("registry.invalid/{}-source", self.name);
                self.notes.push(format!(
                    "an init container is of the source image, and nothing says what the cluster knows it by: it is called `{placeholder}`; `--source-image NAME` names it"
                ));
                Ok(pinned(&placeholder, digest))
            }
            (_, _, None) => Err(Failure::usage(GenerateError::NoSourceImage)),
        }
    }
}

/// The digest that `name` names.
fn digest_of(name: &str) -> Option<BlobDigest> {
    name.rsplit_once('@').and_then(|(_, digest)| digest.parse().ok())
}

/// A platform, what its image says, and the digest of that.
pub(super) type Told = (String, Manifest, BlobDigest);

/// The writable manifest in a file, or those of an index, and whether it is one.
pub(super) fn read_manifests(file: &Path) -> Result<(Vec<Told>, bool), Failure> {
    let within = || format!("--manifest `{}`", file.display());
    let bytes = read(file, MAX_MANIFEST).map_err(|error| error.within("--manifest".to_owned()))?;
    let text = String::from_utf8(bytes).map_err(|error| Failure::input(error).within(within()))?;
    let wrong = |error: ParseManifestError| Failure::input(error).within(within());
    if let Some(index) = ManifestIndex::parse(&text) {
        let one = |of: PlatformManifest| {
            let digest = BlobDigest::of(of.manifest.render().as_bytes());
            (of.platform, of.manifest, digest)
        };
        return Ok((index.map_err(wrong)?.platforms.into_iter().map(one).collect(), true));
    }
    let manifest = Manifest::parse(&text).map_err(wrong)?;
    Ok((vec![(String::new(), manifest, BlobDigest::of(text.as_bytes()))], false))
}

/// Fails where more than one of `files` is stdin, which is read to its end by the first.
pub(super) fn one_stdin<'a>(files: impl Iterator<Item = &'a Path>) -> Result<(), Failure> {
    if files.filter(|file| file.as_os_str() == STDIO).count() > 1 {
        return Err(Failure::usage(anyhow!("`{STDIO}` stands there twice: stdin is read once")));
    }
    Ok(())
}

/// No more than `limit` bytes of a file; `-` is stdin.
pub(super) fn read(file: &Path, limit: u64) -> Result<Vec<u8>, Failure> {
    let limited = |input: &mut dyn Read| {
        let mut bytes = Vec::new();
        input.take(limit + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            return Err(std::io::Error::other(format!("longer than {limit} bytes")));
        }
        Ok(bytes)
    };
    let bytes = if file.as_os_str() == STDIO {
        limited(&mut std::io::stdin().lock())
    } else {
        std::fs::File::open(file).and_then(|mut opened| limited(&mut opened))
    };
    bytes.map_err(|error| Failure::input(error).within(format!("`{}`", file.display())))
}

//! `kiln generate` and `kiln debug-profile`: a hardened image in, documents for a cluster out.
//!
//! Does not make them: that is `kube::generate`'s.

use std::io::Read;
use std::path::Path;

use anyhow::anyhow;

use super::args::{DebugFormat, DebugProfileArgs, GenerateArgs, ImageArgs, OutputFormat};
use super::naming::{label_of, pinned};
use super::output::{Target, World};
use super::{Failure, Outcome, Pipeline};
use crate::digest::BlobDigest;
use crate::documents::Described;
use crate::kube::generate::{
    self, ConfigFile, GenerateError, Image, Kind, MAX_CONFIG, Manifests, NamedText, Options, Wish,
};
use crate::kube::pod::RunAs;
use crate::manifest::{Manifest, ManifestIndex, ParseManifestError, PlatformManifest, United};
use crate::reference::Reference;

/// Most bytes of a writable manifest that is read, or of an index of some: real ones have some ten KiB for each platform.
const MAX_MANIFEST: u64 = 64 << 20;

pub(super) fn run(
    args: GenerateArgs,
    pipeline: &dyn Pipeline,
    world: &mut World<'_>,
) -> Result<Outcome, Failure> {
    let (kind, image) = positions(args.first.as_deref(), args.second.as_deref(), &args.image)?;
    // Before an image is read: a directory that is not there is known now.
    let place = place(args.output.as_deref(), args.format)?;
    let configs = args.set_config.iter().map(|(path, file)| {
        let bytes = read(file, MAX_CONFIG as u64).map_err(|error| error.within("--set-config".to_owned()))?;
        Ok(ConfigFile { path: path.clone(), bytes })
    });
    let configs = configs.collect::<Result<Vec<_>, Failure>>()?;
    let known = know(image, &args.image, args.name.as_deref(), pipeline)?;
    let wishes = [
        (Wish::Claims, args.claims),
        (Wish::UserNamespace, args.userns),
        (Wish::NoExec, args.noexec),
        (Wish::Explicit, args.explicit),
    ];
    let options = Options {
        kind,
        name: known.name,
        namespace: args.namespace,
        image: known.image,
        replicas: args.replicas,
        ports: args.port,
        with: args.with.into_iter().collect(),
        configs,
        env: args.env,
        env_from: args.env_from,
        demands: args.resources,
        platform: args.platform.into(),
        version: args.kube_version,
        schedule: args.schedule,
        wishes: wishes.into_iter().filter(|(_, is_wished)| *is_wished).map(|(wish, _)| wish).collect(),
    };
    let mut notes = known.notes;
    match (args.format, place) {
        (OutputFormat::HelmValues, Place::File(target)) => {
            let (text, more) = generate::helm_values(&known.manifest, &options).map_err(refused)?;
            target.write(&text, world)?;
            notes.extend(more);
        }
        (_, place) => {
            let made = generate::generate(&known.manifest, &options).map_err(refused)?;
            match place {
                Place::Directory(directory) => write_all(directory, &made.kustomize(), world)?,
                Place::File(target) if args.format == OutputFormat::Json => {
                    target.write(&made.json(), world)?;
                }
                Place::File(target) => target.write(&made.yaml(), world)?,
            }
            notes.extend(made.notes);
        }
    }
    if !args.quiet {
        tell(&notes, world);
    }
    Ok(Outcome::Clean)
}

pub(super) fn debug_profile(
    args: &DebugProfileArgs,
    pipeline: &dyn Pipeline,
    world: &mut World<'_>,
) -> Result<Outcome, Failure> {
    let image = match (args.first.as_deref(), &args.image.manifest) {
        (Some(_), Some(_)) => return Err(both()),
        (None, None) => {
            return Err(Failure::usage(anyhow!("expected a hardened image, or `--manifest FILE`")));
        }
        (image, _) => image,
    };
    let target = Target::prepare(args.output.as_deref().unwrap_or(Path::new("-")))?;
    let known = know(image, &args.image, args.name.as_deref(), pipeline)?;
    let profile = generate::debug_profile(&known.manifest, known.image.run_as, args.platform.into());
    let text = match args.format {
        DebugFormat::Yaml => profile.yaml(),
        DebugFormat::Json => profile.json(),
    };
    target.write(&text, world)?;
    if !args.quiet {
        let file = args.output.as_ref().filter(|file| file.as_os_str() != "-");
        let file = file.map_or_else(|| "FILE".to_owned(), |file| file.display().to_string());
        world.tell(&format!(
            "kubectl debug -it POD --target={} --image=IMAGE --profile=restricted --custom={file}\n",
            known.name
        ));
        tell(
            &["IMAGE has a shell and no user root; by its digest, it passes where images must be pinned"
                .to_owned()],
            world,
        );
    }
    Ok(Outcome::Clean)
}

fn tell(notes: &[String], world: &mut World<'_>) {
    for note in notes {
        world.tell(&format!("note: {}\n", crate::report::safe(note)));
    }
}

/// `[KIND] IMAGE`; the image has no place where `--manifest` is.
fn positions<'a>(
    first: Option<&'a str>,
    second: Option<&'a str>,
    args: &ImageArgs,
) -> Result<(Option<Kind>, Option<&'a str>), Failure> {
    let kind = |text: &str| text.parse::<Kind>().map(Some).map_err(Failure::usage);
    match (first, second, &args.manifest) {
        (Some(_), Some(_), Some(_)) => Err(both()),
        (Some(first), None, Some(_)) => Ok((kind(first)?, None)),
        (_, _, Some(_)) => Ok((None, None)),
        (Some(first), Some(image), None) => Ok((kind(first)?, Some(image))),
        (Some(first), None, None) => match first.parse::<Kind>() {
            Ok(kind) => Err(Failure::usage(anyhow!("expected a hardened image after `{}`", kind.name()))
                .hint(format!("an image of that name is `docker://{first}`"))),
            Err(_) => Ok((None, Some(first))),
        },
        (None, _, None) => Err(Failure::usage(anyhow!("expected a hardened image, or `--manifest FILE`"))),
    }
}

fn both() -> Failure {
    Failure::usage(anyhow!("expected an image or `--manifest`, found both"))
}

/// Where documents go.
enum Place<'a> {
    File(Target),
    Directory(&'a Path),
}

fn place(output: Option<&Path>, format: OutputFormat) -> Result<Place<'_>, Failure> {
    match (format, output) {
        (OutputFormat::Kustomize, None) => {
            Err(Failure::usage(anyhow!("`--format kustomize` writes a directory: expected it as `-o DIR`")))
        }
        (OutputFormat::Kustomize, Some(directory)) => Ok(Place::Directory(directory)),
        (_, output) => Ok(Place::File(Target::prepare(output.unwrap_or(Path::new("-")))?)),
    }
}

/// Writes `files`; the last, which names the others, when they are there.
fn write_all(directory: &Path, files: &[NamedText], world: &mut World<'_>) -> Result<(), Failure> {
    super::manifest::directory(directory)?;
    let targets = files.iter().map(|file| Target::prepare(&directory.join(&file.name)));
    let targets = targets.collect::<Result<Vec<_>, _>>()?;
    for (target, file) in targets.into_iter().zip(files) {
        target.write(&file.text, world)?;
    }
    Ok(())
}

/// What is wrong with what was asked for, and not with a file, is usage.
fn refused(error: GenerateError) -> Failure {
    match error {
        GenerateError::ConfigLarge { .. } => Failure::input(error),
        error => Failure::usage(error),
    }
}

/// What is known of an image.
struct Known {
    /// Of all platforms together.
    manifest: Manifest,
    image: Image,
    name: String,
    notes: Vec<String>,
}

fn know(
    named: Option<&str>,
    args: &ImageArgs,
    name: Option<&str>,
    pipeline: &dyn Pipeline,
) -> Result<Known, Failure> {
    let mut notes = Vec::new();
    let described = match (named, &args.manifest) {
        (Some(named), _) => pipeline.describe(named, &args.registry.clone().into())?,
        (None, file) => {
            let digest = args.name.as_deref().and_then(digest_of).ok_or_else(|| {
                Failure::usage(anyhow!("`--image`: expected NAME@DIGEST, for `--manifest` names no image"))
            })?;
            read_manifests(file.as_deref().unwrap_or(Path::new("-")), digest)?
        }
    };
    let pushed = named.and_then(|named| match named.parse() {
        Ok(Reference::Registry(reference)) => Some(reference.name()),
        _ => None,
    });
    let given = args.name.clone().or(pushed);
    if let Some(other) = given.as_deref().and_then(digest_of).filter(|other| *other != described.digest) {
        let error = anyhow!("`--image`: names {other}, and the image is {}", described.digest);
        return Err(Failure::usage(error));
    }
    let name = name.map_or_else(
        || generate::name_for(&label_of(given.as_deref().or(named).unwrap_or_default())),
        str::to_owned,
    );
    let image_name = given.unwrap_or_else(|| {
        let placeholder = format!("registry.invalid/{name}");
        notes.push(format!(
            "nothing says what the cluster knows the image by: it is called `{placeholder}`; `--image NAME` names it"
        ));
        placeholder
    });
    let platforms: Vec<(String, &Manifest)> =
        described.manifests.iter().map(|(platform, manifest, _)| (platform.clone(), manifest)).collect();
    let united = match platforms.as_slice() {
        [(_, manifest)] if !described.is_index => Some(United::one(manifest)),
        platforms => United::of(platforms),
    };
    let united = united.ok_or_else(|| Failure::input(anyhow!("the image has no writable manifest")))?;
    notes.extend(united.differences.iter().map(|other| format!("{}: {}", other.subject, other.message)));
    let manifests = match described.manifests.as_slice() {
        [(_, _, digest)] if !described.is_index => Manifests::One(*digest),
        several => Manifests::Several(
            several.iter().map(|(platform, _, digest)| (platform.clone(), *digest)).collect(),
        ),
    };
    let source_name = source_name(args, &united.manifest, described.source, &name, &mut notes)?;
    let image = Image {
        name: pinned(&image_name, described.digest),
        source: described.source.map(|digest| digest.to_string()).unwrap_or_default(),
        source_name,
        run_as: if united.same_user { RunAs::Manifest } else { RunAs::Image },
        manifests,
    };
    Ok(Known { manifest: united.manifest, image, name, notes })
}

/// What the cluster knows the source image by, where containers of it come before the app's.
fn source_name(
    args: &ImageArgs,
    manifest: &Manifest,
    digest: Option<BlobDigest>,
    name: &str,
    notes: &mut Vec<String>,
) -> Result<Option<String>, Failure> {
    if !manifest.needs_source() {
        return Ok(None);
    }
    let given = args.source_image.as_deref();
    match (given, given.and_then(digest_of), digest) {
        // Another image than the one it was made from may do something else.
        (Some(_), Some(other), Some(digest)) if other != digest => Err(Failure::usage(anyhow!(
            "`--source-image`: names {other}, and the image was made from {digest}"
        ))),
        (Some(given), _, Some(digest)) => Ok(Some(pinned(given, digest))),
        (Some(given), Some(_), None) => Ok(Some(given.to_owned())),
        (None, _, Some(digest)) => {
            let placeholder = format!("registry.invalid/{name}-source");
            notes.push(format!(
                "an init container is of the source image, and nothing says what the cluster knows it by: it is called `{placeholder}`; `--source-image NAME` names it"
            ));
            Ok(Some(pinned(&placeholder, digest)))
        }
        (Some(_) | None, _, None) => Err(Failure::usage(GenerateError::NoSourceImage)),
    }
}

/// The digest that `name` names.
fn digest_of(name: &str) -> Option<BlobDigest> {
    name.rsplit_once('@').and_then(|(_, digest)| digest.parse().ok())
}

/// The writable manifest in a file, or those of an index, as the image `digest` says them.
fn read_manifests(file: &Path, digest: BlobDigest) -> Result<Described, Failure> {
    let within = || format!("--manifest `{}`", file.display());
    let bytes = read(file, MAX_MANIFEST).map_err(|error| error.within("--manifest".to_owned()))?;
    let text = String::from_utf8(bytes).map_err(|error| Failure::input(error).within(within()))?;
    let wrong = |error: ParseManifestError| Failure::input(error).within(within());
    let (manifests, is_index) = if let Some(index) = ManifestIndex::parse(&text) {
        let one = |of: PlatformManifest| {
            let digest = BlobDigest::of(of.manifest.render().as_bytes());
            (of.platform, of.manifest, digest)
        };
        (index.map_err(wrong)?.platforms.into_iter().map(one).collect(), true)
    } else {
        let manifest = Manifest::parse(&text).map_err(wrong)?;
        (vec![(String::new(), manifest, BlobDigest::of(text.as_bytes()))], false)
    };
    Ok(Described { digest, source: None, is_index, manifests })
}

/// No more than `limit` bytes of a file; `-` is stdin.
fn read(file: &Path, limit: u64) -> Result<Vec<u8>, Failure> {
    let limited = |input: &mut dyn Read| {
        let mut bytes = Vec::new();
        input.take(limit + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            return Err(std::io::Error::other(format!("longer than {limit} bytes")));
        }
        Ok(bytes)
    };
    let bytes = if file.as_os_str() == "-" {
        limited(&mut std::io::stdin().lock())
    } else {
        std::fs::File::open(file).and_then(|mut opened| limited(&mut opened))
    };
    bytes.map_err(|error| Failure::input(error).within(format!("`{}`", file.display())))
}

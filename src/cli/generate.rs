//! `kiln generate`: a hardened image in, documents for a cluster out.
//!
//! Does not make them: that is `kube::generate`'s.

use std::path::{Path, PathBuf};

use anyhow::anyhow;

use super::args::{GenerateArgs, ImageArgs, OutputFormat};
use super::hardened::{know, one_stdin, read};
use super::output::{Target, World};
use super::{Failure, Outcome, Pipeline};
use crate::kube::generate::{
    self, ConfigFile, GenerateError, KUSTOMIZATION_HEAD, Kind, NamedText, Options, Wish,
};

/// Most bytes of a file that are read: how much of it a cluster takes is told with what it has.
const MAX_FILE: u64 = 64 << 20;

pub(super) fn run(
    args: GenerateArgs,
    pipeline: &dyn Pipeline,
    world: &mut World<'_>,
) -> Result<Outcome, Failure> {
    let (kind, image) = positions(args.first.as_deref(), args.second.as_deref(), &args.subject)?;
    // Before an image is read: a directory that is not there is known now.
    let place = place(args.output.as_deref(), args.format)?;
    let files = args.set_config.iter().map(|(_, file)| file).chain(&args.subject.manifest);
    one_stdin(files.map(PathBuf::as_path))?;
    let configs = args.set_config.iter().map(|(path, file)| {
        let bytes = read(file, MAX_FILE).map_err(|error| error.within("--set-config".to_owned()))?;
        Ok(ConfigFile { path: path.clone(), bytes })
    });
    let configs = configs.collect::<Result<Vec<_>, Failure>>()?;
    let mut known = know(image, &args.subject, args.name.as_deref(), pipeline)?;
    let image = known.image(args.source_image.as_deref())?;
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
        image,
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

/// Notes for people, a line each.
pub(super) fn tell(notes: &[String], world: &mut World<'_>) {
    for note in notes {
        world.tell(&format!("note: {}\n", crate::report::safe(note)));
    }
}

/// `[KIND] IMAGE`; where `--manifest` is, KIND alone.
fn positions<'a>(
    first: Option<&'a str>,
    second: Option<&'a str>,
    args: &ImageArgs,
) -> Result<(Option<Kind>, Option<&'a str>), Failure> {
    let Some(first) = first else { return Ok((None, None)) };
    let kind = first.parse::<Kind>();
    match (kind, second) {
        (Ok(kind), None) if args.manifest.is_none() => {
            let error = anyhow!("expected a hardened image after `{}`", kind.name());
            Err(Failure::usage(error).hint(format!("an image of that name is `docker://{first}`")))
        }
        (Ok(kind), image) => Ok((Some(kind), image)),
        (Err(_), None) if args.manifest.is_none() => Ok((None, Some(first))),
        (Err(error), _) => Err(Failure::usage(error)),
    }
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
        (OutputFormat::Kustomize, Some(directory)) => {
            spare(directory)?;
            Ok(Place::Directory(directory))
        }
        (_, output) => Ok(Place::File(Target::prepare(output.unwrap_or(Path::new("-")))?)),
    }
}

/// Names under which kustomize looks for what says what a directory is.
const KUSTOMIZATIONS: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// Fails where `directory` is somebody else's for kustomize: what it lists would be lost.
fn spare(directory: &Path) -> Result<(), Failure> {
    for name in KUSTOMIZATIONS {
        let file = directory.join(name);
        let is_ours = || {
            let text = read(&file, MAX_FILE).map(String::from_utf8);
            matches!(text, Ok(Ok(text)) if text.starts_with(KUSTOMIZATION_HEAD))
        };
        if file.exists() && !(name == KUSTOMIZATIONS[0] && is_ours()) {
            let error = anyhow!("`{}` is not kiln's: it would be replaced", file.display());
            return Err(Failure::usage(error).hint("give a directory of its own, and list that in yours"));
        }
    }
    Ok(())
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

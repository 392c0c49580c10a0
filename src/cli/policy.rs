//! `kiln policy`: policies for a cluster, into files or to stdout.
//!
//! Knows where manifests come from and where documents go; what they say is the library's.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use super::args::PolicyArgs;
use super::hardened::{Told, one_stdin, read_manifests};
use super::output::{Target, World};
use super::{Failure, Outcome, Pipeline};
use crate::image::Platform;
use crate::kube::policy::{self, File, Form, Image, Request, Role};
use crate::reference::{Reference, RegistryReference};

pub(super) fn run(
    args: &PolicyArgs,
    pipeline: &dyn Pipeline,
    world: &mut World<'_>,
) -> Result<Outcome, Failure> {
    let request = Request {
        engine: args.engine.into(),
        form: form(args),
        images: images(args, pipeline)?,
        version: args.kube_version,
        namespaces: args.namespace.clone(),
        enforce: args.enforce.map(Into::into),
        exempt: args.exempt.clone(),
        app: args.app.clone(),
    };
    let mut files = policy::render(&request).map_err(Failure::usage)?;
    if !args.with_tests {
        files.retain(|file| file.role != Role::Test);
    }
    match &args.output {
        Some(path) if args.with_tests || is_directory(path) => into_directory(path, &files, world)?,
        Some(path) => Target::prepare(path)?.write(&joined(&files), world)?,
        None => world.say(&joined(&files))?,
    }
    Ok(Outcome::Clean)
}

fn form(args: &PolicyArgs) -> Form {
    if args.latest {
        Form::Latest
    } else if args.mutate {
        Form::Mutating
    } else if args.legacy {
        Form::Legacy
    } else {
        Form::Usual
    }
}

/// The images that are named, each with its manifest; one for each platform, which the library unites.
fn images(args: &PolicyArgs, pipeline: &dyn Pipeline) -> Result<Vec<Image>, Failure> {
    if args.manifest.len() != args.image_name.len() {
        return Err(Failure::usage(anyhow!(
            "expected one `--image-name` for each `--manifest`, found {} for {}",
            args.image_name.len(),
            args.manifest.len()
        )));
    }
    let mut images = Vec::new();
    // Before anything is read.
    let references =
        args.image.iter().map(|image| registry_name(image)).collect::<Result<Vec<_>, Failure>>()?;
    one_stdin(args.manifest.iter().map(PathBuf::as_path))?;
    let mut add = |reference: &RegistryReference, all: Vec<Told>| {
        images.extend(all.iter().map(|(_, manifest, _)| Image::new(reference, manifest)));
    };
    for (image, reference) in args.image.iter().zip(&references) {
        let mut all = pipeline.describe(image, &args.registry.clone().into())?.manifests;
        if let Some(wanted) = &args.platform {
            all = nearest(all, &wanted.parse().map_err(Failure::usage)?);
            if all.is_empty() {
                return Err(Failure::input(anyhow!("`{image}` has no writable manifest for `{wanted}`")));
            }
        }
        add(reference, all);
    }
    for (path, reference) in args.manifest.iter().zip(&args.image_name) {
        add(reference, read_manifests(path)?.0);
    }
    Ok(images)
}

/// The manifest of the image that a machine of the platform `wanted` runs.
fn nearest(all: Vec<Told>, wanted: &Platform) -> Vec<Told> {
    let distance = |(platform, _, _): &Told| wanted.distance(&platform.parse().ok()?);
    let found = all.into_iter().filter_map(|told| Some((distance(&told)?, told)));
    found.min_by_key(|(distance, _)| *distance).map(|(_, told)| told).into_iter().collect()
}

/// The name under which pods have the image.
fn registry_name(image: &str) -> Result<RegistryReference, Failure> {
    match image.parse::<Reference>().map_err(Failure::usage)? {
        Reference::Registry(reference) => Ok(reference),
        _ => Err(Failure::usage(anyhow!(
            "image `{image}` is in no registry, and no pod has it under that name"
        ))
        .hint("write its manifest with `kiln manifest show`, and give `--manifest FILE --image-name NAME`")),
    }
}

fn is_directory(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().ends_with(b"/") || path.is_dir()
}

/// All documents in one text, in the order in which they are to be applied.
fn joined(files: &[File]) -> String {
    files.iter().map(|file| file.text.as_str()).collect::<Vec<_>>().join("---\n")
}

fn into_directory(path: &Path, files: &[File], world: &mut World<'_>) -> Result<(), Failure> {
    if path.as_os_str() == "-" {
        return Err(Failure::usage(anyhow!(
            "`--with-tests` writes several files: expected a directory, found `-`"
        )));
    }
    let mut written: Vec<PathBuf> = Vec::new();
    for file in files {
        let target = path.join(&file.path);
        if let Some(directory) = target.parent() {
            std::fs::create_dir_all(directory)
                .with_context(|| format!("cannot make the directory `{}`", directory.display()))
                .map_err(Failure::input)?;
        }
        Target::prepare(&target)?.write(&file.text, world)?;
        written.push(target);
    }
    let lines: Vec<String> = written.iter().map(|path| format!("{}\n", path.display())).collect();
    world.say(&lines.concat())
}

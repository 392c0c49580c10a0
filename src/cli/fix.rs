//! `kiln fix`: manifests in, mended ones out.
//!
//! Reads and writes files; what is mended, and how, is not decided here.

mod helm;

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use serde_json::{Value, json};

use super::args::{FixArgs, PatchKind};
use super::manifests;
use super::output::{Target, World};
use super::{Failure, Outcome, Pipeline};
use crate::finding::Severity;
use crate::fix::patch::{self, PatchError};
use crate::fix::{Changed, Fixed, Note, Reach, fix};
use crate::kube;
use crate::report::safe;

pub(super) fn run(
    args: &FixArgs,
    pipeline: &dyn Pipeline,
    world: &mut World<'_>,
) -> Result<Outcome, Failure> {
    if let Some(directory) = &args.helm_plugin {
        helm::write(args, directory, world)?;
        return Ok(Outcome::Clean);
    }
    let many = args.write || args.diff || args.patch.is_some();
    if args.write && args.paths.iter().any(|path| path.as_os_str() == "-") {
        return Err(Failure::usage(anyhow!("`--write` changes files, and `-` is none")));
    }
    if !many && (args.paths.len() > 1 || args.paths.iter().any(|path| path.is_dir())) {
        let error = anyhow!("several files, and one stdout");
        return Err(Failure::usage(error)
            .hint("`--write` changes them, `--diff` and `--patch` say what would change"));
    }
    let files = manifests::files(&args.paths)?;
    let (options, mut texts) = manifests::asked(&args.asked, &files, pipeline)?;
    let reach = if args.unsafe_ { Reach::Unsafe } else { Reach::Safe };
    let mut all: Vec<(PathBuf, String, Fixed)> = Vec::new();
    for file in files {
        let text = match texts.remove(&file) {
            Some(text) => text,
            None => manifests::read(&file).map_err(|error| within(error, &file))?,
        };
        let fixed = fix(&text, &options, reach).map_err(|error| within(anyhow::Error::from(error), &file))?;
        all.push((file, text, fixed));
    }
    let is_refused = all.iter().any(|(_, _, fixed)| !fixed.refused.is_empty());
    // Where one is refused none is written.
    let done = if is_refused { "would fix" } else { "fixed" };
    for (file, _, fixed) in &all {
        tell(file, fixed, done, args.quiet, world);
    }
    if is_refused {
        let error = anyhow!("the read-only flag is refused, and nothing is written");
        let hint = "name the image, take `--unsafe`, or leave the rest to it with `--skip FS001`";
        return Err(Failure::refused(error).hint(hint));
    }
    give(args, &all, world)?;
    Ok(Outcome::Clean)
}

fn within(error: impl Into<anyhow::Error>, file: &Path) -> Failure {
    Failure::input(error)
        .within(format!("`{}`", file.display()))
        .hint("a chart's or kustomization's sources are rendered first: `helm template … | kiln fix -`")
}

/// Says what was done, left and refused, and what was not looked at.
fn tell(file: &Path, fixed: &Fixed, done: &str, quiet: bool, world: &mut World<'_>) {
    let style = world.err_style;
    let mut text = String::new();
    let mut list = |what: &str, notes: &[Note]| {
        for Note { resource, rule, message } in notes {
            let line = format!("{what} {rule} {}: {resource}: {message}", file.display());
            text.push_str(&safe(&line));
            text.push('\n');
        }
    };
    if !quiet {
        list(done, &fixed.done);
        list("left", &fixed.left);
    }
    list(&style.severity(Severity::High, "refused"), &fixed.refused);
    for (resource, at) in fixed.unread.iter().filter(|_| !quiet) {
        let kind = resource.split(' ').next().unwrap_or_default();
        let line = format!(
            "not mended {}: {resource} has containers at `{at}`, which nobody looks at: `--pod-spec-path {kind}={at}`",
            file.display()
        );
        text.push_str(&safe(&line));
        text.push('\n');
    }
    world.tell(&text);
}

/// Gives out what was mended, as it was asked for.
fn give(args: &FixArgs, all: &[(PathBuf, String, Fixed)], world: &mut World<'_>) -> Result<(), Failure> {
    if args.write {
        let changed = || all.iter().filter(|(_, text, fixed)| *text != fixed.text);
        // Before one is changed it is clear that each can be; and not all are open at once.
        for (file, ..) in changed() {
            drop(Target::prepare_change(file)?);
        }
        for (file, _, fixed) in changed() {
            Target::prepare_change(file)?.write(&fixed.text, world)?;
        }
        return Ok(());
    }
    if args.diff {
        let text: String = all.iter().map(|(file, text, fixed)| diff(file, text, &fixed.text)).collect();
        return world.say(&text);
    }
    let Some(kind) = args.patch else {
        return world.say(all.first().map_or("", |(_, _, fixed)| fixed.text.as_str()));
    };
    let mut patches = Vec::new();
    for (file, _, fixed) in all {
        for changed in &fixed.changed {
            patches.push(patch_of(kind, changed).map_err(|error| {
                let failure = Failure::input(error).within(format!("`{}`", file.display()));
                failure.hint("`--write` and `--diff` need no name, and `--patch json6902` takes every kind")
            })?);
        }
    }
    match kind {
        PatchKind::Json6902 => world.say(&format!("{:#}\n", json!(patches))),
        PatchKind::Strategic => {
            let texts: Vec<String> = patches.iter().map(kube::to_yaml).collect();
            world.say(&texts.join("---\n"))
        }
        PatchKind::Kustomize => world.say(&kube::to_yaml(&json!({
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "patches": patches,
        }))),
    }
}

/// What changed of a resource, as one member of what is printed.
fn patch_of(kind: PatchKind, Changed { before, after }: &Changed) -> Result<Value, PatchError> {
    let target = patch::target(after)?;
    Ok(match kind {
        PatchKind::Json6902 => json!({"target": target, "patch": patch::json6902(before, after)}),
        PatchKind::Kustomize => {
            let operations = json!(patch::json6902(before, after));
            json!({"target": target, "patch": kube::to_yaml(&operations)})
        }
        PatchKind::Strategic => patch::strategic(before, after)?,
    })
}

/// What differs, as `diff -u` tells it.
fn diff(file: &Path, before: &str, after: &str) -> String {
    if before == after {
        return String::new();
    }
    let name = file.display().to_string();
    similar::TextDiff::from_lines(before, after).unified_diff().header(&name, &name).to_string()
}

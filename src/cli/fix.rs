//! `kiln fix`: manifests in, mended ones out.
//!
//! Reads and writes files; what is mended, and how, is not decided here.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use serde_json::{Value, json};

use super::args::{FixArgs, PatchKind};
use super::manifests;
use super::output::{Target, World};
use super::{Failure, Outcome, Pipeline};
use crate::finding::Severity;
use crate::fix::{Changed, Fixed, Note, Reach, fix, patch};
use crate::kube;
use crate::report::safe;

pub(super) fn run(
    args: &FixArgs,
    pipeline: &dyn Pipeline,
    world: &mut World<'_>,
) -> Result<Outcome, Failure> {
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
        for (file, text, fixed) in all.iter().filter(|(_, text, fixed)| *text != fixed.text) {
            let _ = text;
            Target::prepare(file)?.write(&fixed.text, world)?;
        }
        return Ok(());
    }
    if args.diff {
        let text: String = all.iter().map(|(file, text, fixed)| diff(file, text, &fixed.text)).collect();
        return world.say(&text);
    }
    let changed = || all.iter().flat_map(|(_, _, fixed)| &fixed.changed);
    match args.patch {
        Some(PatchKind::Json6902) => {
            let patches: Vec<Value> = changed().map(json6902).collect();
            world.say(&format!("{:#}\n", json!(patches)))
        }
        Some(PatchKind::Strategic) => {
            let patches = changed().map(|Changed { before, after }| patch::strategic(before, after));
            let texts: Vec<String> = patches.map(|patch| kube::to_yaml(&patch)).collect();
            world.say(&texts.join("---\n"))
        }
        Some(PatchKind::Kustomize) => {
            let patches: Vec<Value> = changed()
                .map(|changed| {
                    let operations = patch::json6902(&changed.before, &changed.after);
                    json!({"target": target(&changed.after), "patch": kube::to_yaml(&json!(operations))})
                })
                .collect();
            let kustomization = json!({
                "apiVersion": "kustomize.config.k8s.io/v1beta1",
                "kind": "Kustomization",
                "patches": patches,
            });
            world.say(&kube::to_yaml(&kustomization))
        }
        None => world.say(all.first().map_or("", |(_, _, fixed)| fixed.text.as_str())),
    }
}

fn json6902(Changed { before, after }: &Changed) -> Value {
    json!({"target": target(after), "patch": patch::json6902(before, after)})
}

/// What a patch is about, as kustomize names it.
fn target(resource: &Value) -> Value {
    let text = |pointer: &str| resource.pointer(pointer).and_then(Value::as_str);
    let api_version = text("/apiVersion").unwrap_or_default();
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let mut target = json!({"version": version, "kind": text("/kind"), "name": text("/metadata/name")});
    if let Some(fields) = target.as_object_mut() {
        if !group.is_empty() {
            fields.insert("group".to_owned(), json!(group));
        }
        if let Some(namespace) = text("/metadata/namespace") {
            fields.insert("namespace".to_owned(), json!(namespace));
        }
    }
    target
}

/// What differs, as `diff -u` tells it.
fn diff(file: &Path, before: &str, after: &str) -> String {
    if before == after {
        return String::new();
    }
    let name = file.display().to_string();
    similar::TextDiff::from_lines(before, after).unified_diff().header(&name, &name).to_string()
}

//! `kiln audit`: manifests in, what is wrong with them out.
//!
//! Reads files and writes what was found; judges nothing.

mod logs;

use std::path::{Path, PathBuf};

use anyhow::anyhow;

use super::args::{AuditArgs, AuditFormat, PssLevel};
use super::manifests;
use super::output::{Target, World};
use super::{Failure, Outcome, Pipeline};
use crate::audit::baseline::Baseline;
use crate::audit::resource::Standard;
use crate::audit::{Auditor, render};
use crate::report::{Style, safe};

/// Most bytes of a baseline.
const MAX_BASELINE: u64 = 256 << 20;
pub(super) fn run(
    args: &AuditArgs,
    pipeline: &dyn Pipeline,
    world: &mut World<'_>,
) -> Result<Outcome, Failure> {
    let target = args.output.as_deref().map(Target::prepare).transpose()?;
    if !args.logs.is_empty() {
        return logs::run(args, target, world);
    }
    let baseline = args.baseline.as_deref().map(read_baseline).transpose()?;
    let baseline_to = args.write_baseline.as_deref().map(Target::prepare).transpose()?;
    let files = manifests::files(&args.paths)?;
    let (mut options, mut texts) = manifests::asked(&args.asked, &files, pipeline)?;
    options.strict = args.strict;
    let is_compared =
        baseline.is_some() || baseline_to.is_some() || matches!(args.format, AuditFormat::Sarif);
    options.is_single = !is_compared;
    let mut failed = Vec::new();
    let mut auditor = Auditor::new(&options);
    for file in &files {
        let name = file.display().to_string();
        let text = match texts.remove(file) {
            Some(text) => Ok(text),
            None => manifests::read(file),
        };
        let result = text.and_then(|text| auditor.text(&name, &text).map_err(anyhow::Error::from));
        if let Err(error) = result {
            failed.push(format!("{name}: {error:#}"));
        }
    }
    let mut audit = auditor.finish();
    if let Some(target) = baseline_to {
        target.write(&Baseline::of(&audit).render(), world)?;
    }
    let gone = baseline.map_or(0, |baseline| baseline.apply(&mut audit));
    let style = if target.is_some() { Style::Plain } else { world.out_style };
    let told = render::Told { version: options.version, style, verbose: args.verbose, gone };
    let write = |out: &mut dyn std::io::Write| render::write(&audit, args.format.into(), &told, out);
    match target {
        Some(target) => target.write_with(world, write)?,
        None => world.say_with(write)?,
    }
    if let Some((last, others)) = failed.split_last() {
        for error in others {
            let head = world.err_style.severity(crate::finding::Severity::High, "error:");
            world.tell(&format!("{head} {}\n", safe(error)));
        }
        let failure = Failure::input(anyhow!("{last}"));
        return Err(failure.hint(
            "a chart's or kustomization's sources are rendered first: `helm template … | kiln audit -`",
        ));
    }
    if audit.resources.is_empty() {
        let error = anyhow!("no resource of Kubernetes in {}", list(&args.paths));
        return Err(Failure::input(error).hint("a resource has `apiVersion` and `kind`"));
    }
    let is_heavy =
        args.fail_on.severity().is_some_and(|least| audit.open().any(|finding| finding.severity >= least));
    let least = match args.pss {
        Some(PssLevel::Restricted) => Standard::Restricted,
        Some(PssLevel::Baseline) => Standard::Baseline,
        None => Standard::Privileged,
    };
    let falls_short = audit.resources.iter().filter_map(|resource| resource.standard).any(|met| met < least);
    Ok(if is_heavy || falls_short { Outcome::Findings } else { Outcome::Clean })
}

fn list(paths: &[PathBuf]) -> String {
    let names: Vec<String> = paths.iter().map(|path| format!("`{}`", path.display())).collect();
    names.join(", ")
}

fn read_baseline(path: &Path) -> Result<Baseline, Failure> {
    let parsed = manifests::text(path, MAX_BASELINE)
        .and_then(|text| Baseline::parse(&text).map_err(anyhow::Error::from));
    parsed
        .map_err(|error| Failure::input(error).within(format!("--baseline `{}`", path.display())))
        .map_err(|failure| failure.hint("`kiln audit --write-baseline FILE` makes one"))
}

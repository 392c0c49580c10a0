//! `kiln audit`: manifests in, what is wrong with them out.
//!
//! Reads files and writes what was found; judges nothing.

mod logs;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use super::args::{AuditArgs, PssLevel};
use super::output::{Target, World};
use super::{Failure, Outcome, Pipeline};
use crate::audit::baseline::Baseline;
use crate::audit::resource::Standard;
use crate::audit::{Auditor, Options, options, render};
use crate::report::{Style, safe};

/// Most bytes of a file of manifests: a dump of fifty thousand pods.
const MAX_TEXT: u64 = 512 << 20;
/// Most bytes of a baseline.
const MAX_BASELINE: u64 = 256 << 20;
/// Deepest directory that is looked into.
const MAX_DEPTH: usize = 32;

pub(super) fn run(
    args: &AuditArgs,
    pipeline: &dyn Pipeline,
    world: &mut World<'_>,
) -> Result<Outcome, Failure> {
    let target = args.output.as_deref().map(Target::prepare).transpose()?;
    if !args.logs.is_empty() {
        return logs::run(&args.logs, args.format, target, world);
    }
    let baseline = args.baseline.as_deref().map(read_baseline).transpose()?;
    let baseline_to = args.write_baseline.as_deref().map(Target::prepare).transpose()?;
    let files = files(&args.paths)?;
    let mut options = Options {
        version: args.kube_version,
        platform: args.platform.into(),
        strict: args.strict,
        only: args.rules.iter().cloned().collect(),
        skip: args.skip.iter().cloned().collect(),
        pod_spec_paths: args.pod_spec_path.clone(),
        images: BTreeMap::new(),
        today: today(),
    };
    for (name, source) in &args.images {
        let image =
            pipeline.audited_image(source, args.image_platform.as_deref(), &args.registry.clone().into())?;
        options.images.insert(options::full_name(name), image);
    }
    let mut failed = Vec::new();
    // What comes from a pipe can be read once only.
    let mut texts = BTreeMap::new();
    if args.resolve {
        for name in image_names(&files, &options, &mut texts) {
            let full = options::full_name(&name);
            if let Entry::Vacant(place) = options.images.entry(full) {
                let image = pipeline.audited_image(
                    &name,
                    args.image_platform.as_deref(),
                    &args.registry.clone().into(),
                )?;
                place.insert(image);
            }
        }
    }
    let mut auditor = Auditor::new(&options);
    for file in &files {
        let name = file.display().to_string();
        let text = match texts.remove(file) {
            Some(text) => Ok(text),
            None => read(file),
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

/// The files that `paths` name, those of directories by name.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if path.as_os_str() != "-" && path.is_dir() {
            walk(path, MAX_DEPTH, &mut files)
                .with_context(|| format!("cannot read the directory `{}`", path.display()))
                .map_err(Failure::input)?;
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

/// Adds the manifests below `directory`; what lies behind links is left out.
fn walk(directory: &Path, depth: usize, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let Some(depth) = depth.checked_sub(1) else { return Ok(()) };
    let mut entries = std::fs::read_dir(directory)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let kind = entry.file_type()?;
        let path = entry.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if kind.is_dir() {
            walk(&path, depth, files)?;
        } else if kind.is_file() && matches!(extension, Some("yaml" | "yml" | "json")) {
            files.push(path);
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, anyhow::Error> {
    text(path, MAX_TEXT)
}

/// The text of a file, or of stdin, of `limit` bytes at the most.
fn text(path: &Path, limit: u64) -> Result<String, anyhow::Error> {
    let mut bytes = Vec::new();
    if path.as_os_str() == "-" {
        std::io::stdin().lock().take(limit + 1).read_to_end(&mut bytes)?;
    } else {
        std::fs::File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    }
    if bytes.len() as u64 > limit {
        return Err(anyhow!("longer than {limit} bytes"));
    }
    let text = String::from_utf8(bytes).map_err(|_| anyhow!("no text in UTF-8"))?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

fn read_baseline(path: &Path) -> Result<Baseline, Failure> {
    let parsed =
        text(path, MAX_BASELINE).and_then(|text| Baseline::parse(&text).map_err(anyhow::Error::from));
    parsed
        .map_err(|error| Failure::input(error).within(format!("--baseline `{}`", path.display())))
        .map_err(|failure| failure.hint("`kiln audit --write-baseline FILE` makes one"))
}

/// The images that pods in `files` name; what cannot be read is told later.
fn image_names(
    files: &[PathBuf],
    options: &Options,
    texts: &mut BTreeMap<PathBuf, String>,
) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for file in files {
        let Ok(text) = read(file) else { continue };
        names.extend(crate::audit::image_names(&text, options));
        if file.as_os_str() == "-" {
            texts.insert(file.clone(), text);
        }
    }
    names
}

/// The day, `YYYY-MM-DD`, in UTC.
fn today() -> Option<String> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    // `Sun, 06 Nov 1994 08:49:37 GMT`
    let now = httpdate::fmt_http_date(std::time::SystemTime::now());
    let mut words = now.split(' ').skip(1);
    let (day, month, year) = (words.next()?, words.next()?, words.next()?);
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    Some(format!("{year}-{month:02}-{day}"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn day_is_one() {
        assert!(crate::audit::ignore::is_day(&super::today().unwrap()));
    }
}

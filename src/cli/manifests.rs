//! Files of manifests and the images in them, for commands that read them.
//!
//! Finds and reads; what is in them is for others.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use super::args::AskedArgs;
use super::{Failure, Pipeline};
use crate::audit::{Options, image_names, options};
use crate::registry;

/// Most bytes of a file of manifests: a dump of fifty thousand pods.
const MAX_TEXT: u64 = 512 << 20;
/// Deepest directory that is looked into.
const MAX_DEPTH: usize = 32;

/// What is asked, with the images that are known or found; and what of `files` can be read once only.
pub(super) fn asked(
    args: &AskedArgs,
    files: &[PathBuf],
    pipeline: &dyn Pipeline,
) -> Result<(Options, BTreeMap<PathBuf, String>), Failure> {
    let mut options = Options {
        version: args.kube_version,
        platform: args.platform.into(),
        only: args.rules.iter().cloned().collect(),
        skip: args.skip.iter().cloned().collect(),
        pod_spec_paths: args.pod_spec_path.clone(),
        today: today(),
        ..Options::default()
    };
    let known = Known {
        images: &args.images,
        platform: args.image_platform.as_deref(),
        registry: args.registry.clone().into(),
    };
    known.read(&mut options, pipeline)?;
    let mut texts = BTreeMap::new();
    if args.resolve {
        let names = names(files, &options, &mut texts);
        known.resolve(names, &mut options, pipeline)?;
    }
    Ok((options, texts))
}

/// The images that are known, and how they are read.
pub(super) struct Known<'a> {
    /// By name, and where each is.
    pub(super) images: &'a [(String, String)],
    /// For which platform.
    pub(super) platform: Option<&'a str>,
    /// How registries are spoken to.
    pub(super) registry: registry::Settings,
}

impl Known<'_> {
    /// Reads the images that are named into `options`.
    pub(super) fn read(&self, options: &mut Options, pipeline: &dyn Pipeline) -> Result<(), Failure> {
        for (name, source) in self.images {
            let image = pipeline.audited_image(source, self.platform, &self.registry)?;
            options.images.insert(options::full_name(name), image);
        }
        Ok(())
    }

    /// Fetches those of `names` that are not known.
    pub(super) fn resolve(
        &self,
        names: impl IntoIterator<Item = String>,
        options: &mut Options,
        pipeline: &dyn Pipeline,
    ) -> Result<(), Failure> {
        for name in names {
            if options.image(&name).is_none() {
                let image = pipeline.audited_image(&name, self.platform, &self.registry)?;
                options.images.insert(options::full_name(&name), image);
            }
        }
        Ok(())
    }
}

/// The images that pods in `files` name; what cannot be read is told later.
fn names(files: &[PathBuf], options: &Options, texts: &mut BTreeMap<PathBuf, String>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for file in files {
        let Ok(text) = read(file) else { continue };
        found.extend(image_names(&text, options));
        if file.as_os_str() == "-" {
            texts.insert(file.clone(), text);
        }
    }
    found
}

/// The files that `paths` name, those of directories by name.
pub(super) fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
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

/// The text of a file of manifests, or of stdin.
pub(super) fn read(path: &Path) -> Result<String, anyhow::Error> {
    text(path, MAX_TEXT)
}

/// The text of a file, or of stdin, of `limit` bytes at the most.
pub(super) fn text(path: &Path, limit: u64) -> Result<String, anyhow::Error> {
    let mut bytes = Vec::new();
    if path.as_os_str() == "-" {
        std::io::stdin().lock().take(limit + 1).read_to_end(&mut bytes)?;
    } else {
        let file = std::fs::File::open(path)?;
        // All at once: a buffer that grows is there twice.
        let size = file.metadata()?.len().min(limit);
        bytes.reserve_exact(usize::try_from(size).unwrap_or_default() + 1);
        file.take(limit + 1).read_to_end(&mut bytes)?;
    }
    if bytes.len() as u64 > limit {
        return Err(anyhow!("longer than {limit} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| anyhow!("no text in UTF-8"))
}

/// The day, `YYYY-MM-DD`, in UTC.
pub(super) fn today() -> Option<String> {
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

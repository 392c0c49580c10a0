//! Comments of a document that makes pods: who wrote it, and the evidence of every mount.
//!
//! Works on the lines that the serialiser wrote; what it inserts is never more than a comment.

use std::fmt::Write as _;

use super::volumes;
use crate::manifest::{Manifest, Path, Volume};
use crate::plan::PathContent;

/// Longest evidence of one mount, characters: a line that a person still reads.
const MAX_COMMENT: usize = 300;

/// What stands above lines of a document, a line each, without `#`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::kube) struct Comments {
    /// Above everything.
    pub(in crate::kube) head: Vec<String>,
    /// Above the first list of init containers.
    pub(in crate::kube) init: Vec<String>,
    /// Above the members of the first list of mounts, in order.
    pub(in crate::kube) mounts: Vec<Vec<String>>,
}

impl Comments {
    /// Who wrote the pod of `manifest`, which was made from `source`, and the evidence of its mounts.
    pub(in crate::kube) fn of(manifest: &Manifest, source: &str) -> Self {
        let mut comments = Self::default();
        comments.head.push(format!("Fits the image that kiln {} made from {source}.", manifest.kiln_version));
        for path in manifest.paths.iter().filter(|path| matches!(path.volume, Volume::None)) {
            let why = match path.content {
                PathContent::Seed { files, .. } => {
                    format!("must be writable, but a volume would hide {files} files of the image")
                }
                _ => "holds links to the log streams, which a volume would hide".to_owned(),
            };
            comments.head.push(format!("No mount at {}: {why}.", path.path));
        }
        if manifest.paths.iter().any(|path| path.seeded) {
            let who = match manifest.seeding {
                Some(_) => "The source image copies",
                None => "Copies",
            };
            comments
                .init
                .push(format!("{who} what the image has there into volumes that are not filled yet."));
        }
        if manifest.preparing.is_some() {
            comments.init.push(
                "The source image makes what only its own script makes, as the app's user, and ends."
                    .to_owned(),
            );
        }
        comments.mounts =
            volumes::mounted(manifest).iter().map(|(path, _, _)| vec![evidence(path)]).collect();
        comments
    }

    /// `yaml`, which the serialiser wrote, with them.
    pub(in crate::kube) fn insert(&self, yaml: &str) -> String {
        let mut out = String::new();
        put(&mut out, 0, &self.head);
        let mut init = Some(&self.init);
        let mut mounts = self.mounts.iter();
        // Indentation of the mounts' list while in it.
        let mut list: Option<usize> = None;
        for line in yaml.lines() {
            let indent = line.len() - line.trim_start().len();
            if line.trim() == "initContainers:"
                && let Some(lines) = init.take()
            {
                put(&mut out, indent, lines);
            }
            let is_item = line.trim_start().starts_with("- ");
            match list {
                Some(at) if is_item && indent == at => {
                    if let Some(lines) = mounts.next() {
                        put(&mut out, at, lines);
                    }
                }
                Some(at) if indent <= at => list = None,
                None if line.trim() == "volumeMounts:" => list = Some(indent),
                _ => {}
            }
            out.push_str(line);
            out.push('\n');
        }
        out
    }
}

fn put(out: &mut String, indent: usize, lines: &[String]) {
    for line in lines {
        let _ = writeln!(out, "{:indent$}# {}", "", printable(line));
    }
}

/// Why `path` is mounted, in one line.
fn evidence(path: &Path) -> String {
    let evidence: Vec<String> =
        path.evidence.iter().map(|evidence| format!("{}: {}", evidence.source, evidence.detail)).collect();
    let text =
        printable(&format!("{} ({}): {}", name(&path.purpose), name(&path.confidence), evidence.join("; ")));
    if text.chars().count() <= MAX_COMMENT {
        return text;
    }
    text.chars().take(MAX_COMMENT).chain("…".chars()).collect()
}

/// The word that the manifest uses.
fn name(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => unreachable!("an enum of plain words"),
    }
}

/// `text` without what could end a comment or act on a terminal: YAML 1.1 also breaks lines at NEL, LS and PS.
pub(in crate::kube) fn printable(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        let is_unsafe = c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}');
        if is_unsafe {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

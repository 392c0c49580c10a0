//! Comments of the pod spec: who wrote it, and the evidence of every mount.
//!
//! Works on the lines that the serialiser wrote; what it inserts is never more than a comment.

use std::fmt::Write as _;

use super::volumes;
use crate::manifest::{Manifest, Path, Volume};
use crate::plan::PathContent;

/// Longest evidence of one mount, characters: a line that a person still reads.
const MAX_COMMENT: usize = 300;

/// `yaml` with a head and a line above each mount.
pub(super) fn insert(yaml: &str, manifest: &Manifest, source: &str) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "# Fits the image that kiln {} made from {}.",
        printable(&manifest.kiln_version),
        printable(source)
    );
    for path in manifest.paths.iter().filter(|path| matches!(path.volume, Volume::None)) {
        let why = match path.content {
            PathContent::Seed { files, .. } => {
                format!("must be writable, but a volume would hide {files} files of the image")
            }
            _ => "holds links to the log streams, which a volume would hide".to_owned(),
        };
        let _ = writeln!(out, "# No mount at {}: {why}.", printable(&path.path));
    }
    let mounted = volumes::mounted(manifest);
    let mut mounted = mounted.iter().map(|(path, _, _)| *path);
    // Indentation of the mounts' list while in it.
    let mut list: Option<usize> = None;
    for line in yaml.lines() {
        if line.trim() == "initContainers:" {
            if manifest.paths.iter().any(|path| path.seeded) {
                let who = match manifest.seeding {
                    Some(_) => "The source image copies",
                    None => "Copies",
                };
                let _ =
                    writeln!(out, "  # {who} what the image has there into volumes that are not filled yet.");
            }
            if manifest.preparing.is_some() {
                let _ = writeln!(
                    out,
                    "  # The source image makes what only its own script makes, as the app's user, and ends."
                );
            }
        }
        let indent = line.len() - line.trim_start().len();
        let is_item = line.trim_start().starts_with("- ");
        match list {
            Some(at) if is_item && indent == at => {
                if let Some(path) = mounted.next() {
                    let _ = writeln!(out, "{:at$}# {}", "", comment(path));
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

fn comment(path: &Path) -> String {
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
fn printable(text: &str) -> String {
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

//! `kiln audit --logs`: logs in, directories that must be writable out.
//!
//! Reads files line by line; what a line tells is not decided here.

use std::fs::File;
use std::io::{BufReader, Write};
use std::path::PathBuf;

use anyhow::anyhow;

use super::super::args::AuditFormat;
use super::super::output::{Target, World};
use super::super::{Failure, Outcome};
use crate::audit::logs::{Learned, Learner};
use crate::json;
use crate::report::{Style, count, safe};

pub(super) fn run(
    paths: &[PathBuf],
    format: AuditFormat,
    target: Option<Target>,
    world: &mut World<'_>,
) -> Result<Outcome, Failure> {
    if !matches!(format, AuditFormat::Text | AuditFormat::Json) {
        return Err(Failure::usage(anyhow!("`--logs` is told as `text` or `json`")));
    }
    let mut learner = Learner::default();
    for path in paths {
        let name = path.display().to_string();
        let result = if path.as_os_str() == "-" {
            learner.read(&name, &mut std::io::stdin().lock())
        } else {
            File::open(path).and_then(|file| learner.read(&name, &mut BufReader::new(file)))
        };
        result.map_err(|error| Failure::input(error).within(format!("--logs `{name}`")))?;
    }
    let learned = learner.finish();
    let style = if target.is_some() { Style::Plain } else { world.out_style };
    let write = |out: &mut dyn Write| match format {
        AuditFormat::Json => out.write_all(json::render(&learned).as_bytes()),
        _ => tell(&learned, style, out),
    };
    match target {
        Some(target) => target.write_with(world, write)?,
        None => world.say_with(write)?,
    }
    let is_clean = learned.directories.is_empty() && learned.unclear.is_empty();
    Ok(if is_clean { Outcome::Clean } else { Outcome::Findings })
}

fn tell(learned: &Learned, style: Style, out: &mut dyn Write) -> std::io::Result<()> {
    for directory in &learned.directories {
        let times = count(directory.count, "line", "lines");
        writeln!(out, "{} ({times})", style.heading(&safe(&directory.path)))?;
        for line in &directory.evidence {
            let place = style.faint(&format!("{}:{}", safe(&line.file), line.line));
            writeln!(out, "  {place} {}", safe(&line.text))?;
        }
    }
    if !learned.unclear.is_empty() {
        writeln!(out, "{}", style.heading("read-only, but the line tells no absolute path:"))?;
        for line in &learned.unclear {
            let place = style.faint(&format!("{}:{}", safe(&line.file), line.line));
            writeln!(out, "  {place} {}", safe(&line.text))?;
        }
    }
    if learned.directories.is_empty() {
        return writeln!(out, "no directory in {}", count(learned.lines, "line", "lines"));
    }
    let names: Vec<String> =
        learned.directories.iter().map(|directory| format!("--writable {}", safe(&directory.path))).collect();
    writeln!(out, "\n{} {}", style.heading("for `kiln harden`:"), names.join(" "))?;
    writeln!(out, "{}", style.heading("for the pod:"))?;
    for (number, directory) in learned.directories.iter().enumerate() {
        writeln!(out, "  volumeMounts: {{name: w-{number}, mountPath: {}}}", safe(&directory.path))?;
    }
    Ok(())
}

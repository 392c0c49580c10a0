//! `kiln audit --logs`: logs in, directories that must be writable out.
//!
//! Reads files line by line; what a line tells is not decided here.

use std::fs::File;
use std::io::{self, BufReader, Write};

use anyhow::anyhow;

use super::super::args::{AuditArgs, AuditFormat};
use super::super::output::{Target, World};
use super::super::{Failure, Outcome};
use crate::audit::logs::{Directory, Learned, Learner, LogLine};
use crate::finding::Severity;
use crate::json;
use crate::report::{Style, count, safe, shell_word};

/// The most that a volume takes whose use nobody measured.
const SIZE_LIMIT: &str = "1Gi";

pub(super) fn run(
    args: &AuditArgs,
    target: Option<Target>,
    world: &mut World<'_>,
) -> Result<Outcome, Failure> {
    if !matches!(args.format, AuditFormat::Text | AuditFormat::Json) {
        return Err(Failure::usage(anyhow!("`--logs` is told as `text` or `json`")));
    }
    let mut learner = Learner::default();
    for path in &args.logs {
        let name = path.display().to_string();
        let result = if path.as_os_str() == "-" {
            learner.read(&name, &mut io::stdin().lock())
        } else {
            File::open(path).and_then(|file| learner.read(&name, &mut BufReader::new(file)))
        };
        result.map_err(|error| Failure::input(error).within(format!("--logs `{name}`")))?;
    }
    let learned = learner.finish();
    let style = if target.is_some() { Style::Plain } else { world.out_style };
    let write = |out: &mut dyn Write| match args.format {
        AuditFormat::Json => out.write_all(json::render(&learned).as_bytes()),
        _ => tell(&learned, style, out),
    };
    match target {
        Some(target) => target.write_with(world, write)?,
        None => world.say_with(write)?,
    }
    let is_clean = learned.directories.is_empty() && learned.unclear.is_empty();
    // What cannot be written keeps an app from running.
    let decides = args.fail_on.severity().is_some_and(|least| least <= Severity::High);
    Ok(if is_clean || !decides { Outcome::Clean } else { Outcome::Findings })
}

fn tell(learned: &Learned, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let (system, own): (Vec<&Directory>, Vec<&Directory>) =
        learned.directories.iter().partition(|directory| directory.is_system);
    directories(&own, style, out)?;
    if !system.is_empty() {
        let head = "do not make these writable: the system's programs, libraries and configuration are there";
        writeln!(out, "{}", style.heading(head))?;
        directories(&system, style, out)?;
    }
    if !learned.unclear.is_empty() {
        writeln!(out, "{}", style.heading("read-only, but the line tells no absolute path:"))?;
        lines(&learned.unclear, style, out)?;
    }
    if learned.directories.is_empty() {
        return writeln!(out, "no directory in {}", count(learned.lines, "line", "lines"));
    }
    let suggested = learned.suggested();
    if suggested.is_empty() {
        return Ok(());
    }
    let options: Vec<String> =
        suggested.iter().map(|path| format!("--writable {}", shell_word(path))).collect();
    writeln!(out, "\n{} {}", style.heading("for `kiln harden`:"), options.join(" "))?;
    writeln!(out, "{}", style.heading("for the pod:"))?;
    writeln!(out, "  volumeMounts:")?;
    for (number, path) in suggested.iter().enumerate() {
        writeln!(out, "  - {{name: w-{number}, mountPath: {}}}", yaml_text(path))?;
    }
    writeln!(out, "  volumes:")?;
    for number in 0..suggested.len() {
        writeln!(out, "  - {{name: w-{number}, emptyDir: {{sizeLimit: {SIZE_LIMIT}}}}}")?;
    }
    Ok(())
}

fn directories(all: &[&Directory], style: Style, out: &mut dyn Write) -> io::Result<()> {
    for directory in all {
        let times = count(directory.count, "line", "lines");
        writeln!(out, "{} ({times})", style.heading(&safe(&directory.path)))?;
        lines(&directory.evidence, style, out)?;
    }
    Ok(())
}

fn lines(all: &[LogLine], style: Style, out: &mut dyn Write) -> io::Result<()> {
    for line in all {
        let place = style.faint(&format!("{}:{}", safe(&line.file), line.line));
        writeln!(out, "  {place} {}", safe(&line.text))?;
    }
    Ok(())
}

/// `text` in double quotes of YAML, in characters that no terminal acts on.
fn yaml_text(text: &str) -> String {
    let escaped = text.chars().fold(String::new(), |escaped, c| match c {
        '"' | '\\' => format!("{escaped}\\{c}"),
        ' '..='~' => format!("{escaped}{c}"),
        c => format!("{escaped}\\U{:08x}", u32::from(c)),
    });
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::kube::document;

    fn told(log: &str) -> String {
        let (mut learner, mut out) = (Learner::default(), Vec::new());
        learner.read("app.log", &mut log.as_bytes()).unwrap();
        tell(&learner.finish(), Style::Plain, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_is_suggested_can_be_used_and_leaves_the_system_alone() {
        let text = told(
            "rm: cannot remove '/bin/bash': Read-only file system\n\
            touch: cannot touch '/srv/a b/x': Read-only file system\n\
            touch: cannot touch '/srv/a b/c/x': Read-only file system\n\
            touch: cannot touch 'x': Read-only file system\n\
            OSError: [Errno 30] Read-only file system: '/srv/é/x'\n",
        );
        expect![[r#"
            /srv/a b (1 line)
              app.log:2 touch: cannot touch '/srv/a b/x': Read-only file system
            /srv/a b/c (1 line)
              app.log:3 touch: cannot touch '/srv/a b/c/x': Read-only file system
            /srv/é (1 line)
              app.log:5 OSError: [Errno 30] Read-only file system: '/srv/é/x'
            do not make these writable: the system's programs, libraries and configuration are there
            /bin (1 line)
              app.log:1 rm: cannot remove '/bin/bash': Read-only file system
            read-only, but the line tells no absolute path:
              app.log:4 touch: cannot touch 'x': Read-only file system

            for `kiln harden`: --writable '/srv/a b' --writable $'/srv/\xc3\xa9'
            for the pod:
              volumeMounts:
              - {name: w-0, mountPath: "/srv/a b"}
              - {name: w-1, mountPath: "/srv/\U000000e9"}
              volumes:
              - {name: w-0, emptyDir: {sizeLimit: 1Gi}}
              - {name: w-1, emptyDir: {sizeLimit: 1Gi}}
        "#]]
        .assert_eq(&text);
        let (_, yaml) = text.split_once("for the pod:\n").unwrap();
        let documents = document::read(yaml).unwrap();
        let value = documents[0].root.value();
        assert_eq!(value["volumeMounts"][1], serde_json::json!({"name": "w-1", "mountPath": "/srv/é"}));
        assert_eq!(value["volumes"].as_array().unwrap().len(), 2);
        let text = told("rm: cannot remove '/bin/bash': Read-only file system\n");
        assert!(!text.contains("for the pod"), "{text}");
    }
}

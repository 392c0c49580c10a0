//! What a run showed, for people.
//!
//! Renders a profile; decides nothing.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::sections::Detail;
use super::size::{count, human};
use super::style::{Style, safe};
use super::table::columns;
use crate::finding::Severity;
use crate::options::quote;
use crate::profile::{Actor, End, Ending, Exec, Holds, How, Phase, Probe, Profile, Protocol, Written};

/// Most lines of one list.
const LIST: usize = 12;

/// The summary of `profile`, a run of the image named `image`.
pub fn render_profile(profile: &Profile, image: &str, style: Style, detail: Detail) -> String {
    let mut text = Text { out: String::new(), style, detail };
    let runs = count(profile.runs.into(), "run", "runs");
    text.line(&format!("{} ({}), {runs}", safe(image), safe(&profile.image.platform)));
    text.chain(profile);
    text.processes(profile);
    text.sockets(profile);
    text.written(profile);
    text.prepared(profile);
    let [executed, opened, mapped] =
        [&profile.executed, &profile.opened, &profile.mapped].map(|list| list.len() as u64);
    text.heading("files");
    text.line(&format!(
        "  {}, {} as code, {} opened",
        count(executed, "executed", "executed"),
        count(mapped, "mapped", "mapped"),
        count(opened, "file", "files"),
    ));
    text.failures(profile);
    text.syscalls(profile);
    text.ends(profile);
    text.observed(profile);
    if !profile.cut.is_empty() {
        let lists = profile.cut.join(", ");
        text.warn(&format!("not whole, because they grew beyond kiln's limits: {lists}"));
    }
    text.out
}

struct Text {
    out: String,
    style: Style,
    detail: Detail,
}

impl Text {
    fn line(&mut self, line: &str) {
        self.out.push_str(line.trim_end());
        self.out.push('\n');
    }

    fn heading(&mut self, heading: &str) {
        let heading = self.style.heading(heading);
        self.line("");
        self.line(&heading);
    }

    fn warn(&mut self, warning: &str) {
        let warning = self.style.severity(Severity::Medium, warning);
        self.line("");
        self.line(&warning);
    }

    /// `lines`, as many as are asked for.
    fn list(&mut self, lines: &[String]) {
        let limit = match self.detail {
            Detail::Short => LIST,
            Detail::Full => usize::MAX,
        };
        for line in lines.iter().take(limit) {
            self.line(&format!("  {line}"));
        }
        if let Some(more) = lines.len().checked_sub(limit).filter(|&more| more > 0) {
            let more = self.style.faint(&format!("… {more} more (-v)"));
            self.line(&format!("  {more}"));
        }
    }

    /// What the first process became.
    fn chain(&mut self, profile: &Profile) {
        self.heading("start");
        let Some(first) = profile.processes.first() else { return };
        let lines: Vec<String> = first.execs.iter().map(told).collect();
        self.list(&lines);
    }

    /// What it started, level by level.
    fn processes(&mut self, profile: &Profile) {
        let mut depths = BTreeMap::new();
        let mut lines = Vec::new();
        for (number, process) in profile.processes.iter().enumerate() {
            let Some((parent, _)) = process.parent else { continue };
            let depth: usize = depths.get(&(parent as usize)).copied().unwrap_or(0) + 1;
            depths.insert(number, depth);
            let programs: Vec<String> = process.execs.iter().map(words).collect();
            let programs =
                if programs.is_empty() { "(the same program)".to_owned() } else { programs.join(" → ") };
            lines.push(format!("{}{programs}", "  ".repeat(depth.min(LIST) - 1)));
        }
        if !lines.is_empty() {
            self.heading("processes");
            self.list(&lines);
        }
    }

    fn sockets(&mut self, profile: &Profile) {
        if profile.sockets.is_empty() {
            return;
        }
        self.heading("listens");
        let lines: Vec<String> = profile
            .sockets
            .iter()
            .map(|socket| {
                let (bind, by) = (&socket.bind, by(profile, &socket.by));
                let address = safe(&bind.address);
                match bind.protocol {
                    Protocol::Unix if address.is_empty() => format!("unix (no name) by {by}"),
                    Protocol::Unix => format!("unix {address} by {by}"),
                    protocol => {
                        let name = if protocol == Protocol::Tcp { "tcp" } else { "udp" };
                        let port = if bind.port == 0 {
                            "any port".to_owned()
                        } else {
                            format!("port {}", bind.port)
                        };
                        format!("{name} {address}, {port} by {by}")
                    }
                }
            })
            .collect();
        self.list(&lines);
    }

    fn written(&mut self, profile: &Profile) {
        if profile.written.is_empty() {
            return;
        }
        self.heading("written");
        let rows: Vec<[String; 3]> = profile
            .written
            .iter()
            .map(|entry| [safe(&entry.path).into_owned(), ways(entry), when(entry)])
            .collect();
        self.list(&columns(&rows, &[]));
    }

    fn prepared(&mut self, profile: &Profile) {
        let left = profile.prepared.iter().filter(|left| left.holds != Holds::Image);
        let rows: Vec<[String; 2]> =
            left.map(|left| [safe(&left.path).into_owned(), held(&left.holds)]).collect();
        if !rows.is_empty() {
            self.heading("left behind by programs that were gone");
            self.list(&columns(&rows, &[]));
        }
    }

    fn failures(&mut self, profile: &Profile) {
        if profile.failures.is_empty() {
            return;
        }
        self.heading("failed");
        let rows: Vec<[String; 4]> = profile
            .failures
            .iter()
            .map(|failure| {
                let words = [&failure.error, &failure.call, &failure.subject];
                let [error, call, subject] = words.map(|word| safe(word).into_owned());
                [error, call, subject, format!("by {}", by(profile, &failure.by))]
            })
            .collect();
        self.list(&columns(&rows, &[]));
    }

    fn syscalls(&mut self, profile: &Profile) {
        if profile.syscalls.is_empty() {
            return;
        }
        self.heading("system calls");
        let names: Vec<&str> = profile.syscalls.iter().map(String::as_str).collect();
        self.line(&format!("  {}: {}", names.len(), safe(&names.join(" "))));
    }

    fn ends(&mut self, profile: &Profile) {
        self.heading("end");
        let lines: Vec<String> = profile.endings.iter().map(ending).collect();
        self.list(&lines);
    }

    fn observed(&mut self, profile: &Profile) {
        for run in &profile.observed {
            self.heading("observed");
            let ready = match &run.ready {
                Some(ready) => format!("ready after {} ms: {}", ready.after_ms, probe(&ready.probe)),
                None => "never ready".to_owned(),
            };
            let mut lines = vec![ready];
            lines.push(format!(
                "{} watched in {} ms, {}",
                count(run.calls, "call", "calls"),
                run.duration_ms,
                count(run.searches, "search for what is not there", "searches for what is not there"),
            ));
            let sizes = run.directories.iter().filter(|directory| directory.peak_bytes > 0);
            let rows: Vec<[String; 2]> =
                sizes.map(|entry| [safe(&entry.path).into_owned(), human(entry.peak_bytes)]).collect();
            lines.extend(columns(&rows, &[1]));
            self.list(&lines);
            if run.lost_signals > 0 {
                let signals = count(run.lost_signals, "real-time signal", "real-time signals");
                self.warn(&format!("{signals} could not be handed on: the run may have gone another way"));
            }
        }
    }
}

/// A program with its words, and whose it is.
fn told(exec: &Exec) -> String {
    let mut text = words(exec);
    if let Some(interpreter) = &exec.interpreter {
        let _ = write!(text, " by {}", safe(interpreter));
    }
    let _ = write!(text, " as {}:{}", exec.uid, exec.gid);
    if exec.cwd != "/" {
        let _ = write!(text, " in {}", safe(&exec.cwd));
    }
    text
}

/// The program, and its words but the first.
fn words(exec: &Exec) -> String {
    let rest = exec.argv.iter().skip(1).map(|word| quote(&safe(word)));
    let all: Vec<String> = std::iter::once(safe(&exec.path).into_owned()).chain(rest).collect();
    all.join(" ")
}

/// What is told of a file that was left behind.
fn held(holds: &Holds) -> String {
    match holds {
        Holds::Text(text) => format!("{} of text", human(text.len() as u64)),
        Holds::Link(target) => format!("link to {}", safe(target)),
        Holds::Image => "the image's".to_owned(),
        Holds::Untold(why) => why.words().to_owned(),
    }
}

fn by(profile: &Profile, actors: &[Actor]) -> String {
    let mut names: Vec<&str> = actors.iter().filter_map(|actor| name(profile, *actor)).collect();
    names.sort_unstable();
    names.dedup();
    safe(&names.join(", ")).into_owned()
}

/// The program that `actor` was then; for a process that stayed what its parent was, that one's.
fn name(profile: &Profile, actor: Actor) -> Option<&str> {
    let (mut process, mut exec) = (actor.process as usize, actor.exec as usize);
    // A parent stands before its children, so this ends.
    loop {
        let entry = profile.processes.get(process)?;
        if let Some(program) = exec.checked_sub(1).and_then(|last| entry.execs.get(last)) {
            return Some(&program.path);
        }
        let (parent, at) = entry.parent?;
        if parent as usize >= process {
            return None;
        }
        (process, exec) = (parent as usize, at as usize);
    }
}

fn ways(entry: &Written) -> String {
    let word = |how: &How| match how {
        How::Created => "created",
        How::Directory => "made",
        How::Linked => "linked",
        How::Socket => "socket",
        How::Node => "node",
        How::Unnamed => "files without a name",
        How::Opened => "opened to write",
        How::Truncated => "truncated",
        How::RenamedHere => "renamed to this",
        How::RenamedAway => "renamed away",
        How::Removed => "removed",
        How::Mode => "mode",
        How::Owner => "owner",
        How::Times => "times",
        How::Attributes => "attributes",
    };
    let words: Vec<&str> = entry.how.iter().map(word).collect();
    words.join(", ")
}

fn when(entry: &Written) -> String {
    let mut phases: Vec<Phase> = entry.by.iter().map(|actor| actor.phase).collect();
    phases.sort_unstable();
    phases.dedup();
    let words: Vec<&str> = phases.into_iter().map(phase).collect();
    words.join(", ")
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::StartUp => "start-up",
        Phase::Steady => "steady",
        Phase::Shutdown => "shutdown",
    }
}

fn ending(ending: &Ending) -> String {
    let when = match ending.phase {
        Phase::StartUp => "before it was ready",
        Phase::Steady => "while it served",
        Phase::Shutdown => "when it was asked to stop",
    };
    match ending.end {
        End::Exit(status) => format!("exit {status} {when}"),
        End::Signal(signal) => format!("signal {signal} {when}"),
    }
}

fn probe(probe: &Probe) -> String {
    match probe {
        Probe::Tcp(port) => format!("port {port} accepts"),
        Probe::Http { port, path } => format!("http:{port}{} answers", safe(path)),
        Probe::Exec(command) => format!("`{}` succeeds", safe(command)),
        Probe::Log(text) => format!("it wrote `{}`", safe(text)),
        Probe::Quiet => "nothing was executed and nothing made any more".to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::profile::tests::profile;
    use crate::profile::{Directory, Observed, Prepared, Ready, Untold};

    #[test]
    fn summary_of_a_run() {
        let mut profile = profile();
        profile.observed.push(Observed {
            ready: Some(Ready { probe: Probe::Tcp(8080), after_ms: 71 }),
            duration_ms: 2100,
            directories: vec![Directory { path: "/run/app".into(), peak_bytes: 4096 }],
            searches: 1,
            calls: 23,
            lost_signals: 1,
        });
        profile.cut.push("failures".into());
        let left = |path: &str, holds| Prepared {
            path: path.into(),
            mode: "0644".into(),
            uid: 0,
            gid: 0,
            holds,
            runs: 1,
        };
        profile.prepared = vec![
            left("/etc/app.conf", Holds::Text("listen\n".into())),
            left("/etc/app.id", Holds::Untold(Untold::Differs)),
            left("/etc/chmodded", Holds::Image),
            left("/etc/link", Holds::Link("app.conf".into())),
        ];
        expect![[r#"
            oci:demo:app (linux/amd64), 1 run

            start
              /entry.sh server as 0:0
              /app/server as 0:0

            processes
              /bin/mkdir /run/app
              /bin/chown app /run/app
              /app/a
              /app/b

            listens
              tcp 0.0.0.0, port 8080 by /app/server

            written
              /run/app      made, owner      start-up
              /run/app/log  opened to write  steady

            left behind by programs that were gone
              /etc/app.conf  7 B of text
              /etc/app.id    what is in it is another in each run
              /etc/link      link to app.conf

            files
              6 executed, 1 mapped as code, 1 file opened

            failed
              EROFS  openat  /etc/\x1bapp  by /app/server

            end
              signal 15 when it was asked to stop

            observed
              ready after 71 ms: port 8080 accepts
              23 calls watched in 2100 ms, 1 search for what is not there
              /run/app  4.00 KiB

            1 real-time signal could not be handed on: the run may have gone another way

            not whole, because they grew beyond kiln's limits: failures
        "#]]
        .assert_eq(&render_profile(&profile, "oci:demo:app", Style::Plain, Detail::Short));
    }

    #[test]
    fn long_lists_end_in_how_many_more_there_are() {
        let mut profile = profile();
        let one = profile.written[0].clone();
        profile.written = (0..20).map(|n| Written { path: format!("/d/{n:02}"), ..one.clone() }).collect();
        let short = render_profile(&profile, "x", Style::Plain, Detail::Short);
        assert!(short.contains("/d/11") && !short.contains("/d/12") && short.contains("… 8 more"), "{short}");
        let full = render_profile(&profile, "x", Style::Plain, Detail::Full);
        assert!(full.contains("/d/19") && !full.contains("more"), "{full}");
    }
}

//! Exit statuses, and the failures that lead to them.
//!
//! Does not know what a command does.

use std::any::Any;
use std::fmt::Write as _;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::process::ExitCode;

use crate::finding::{Finding, Severity};
use crate::report::{Style, safe};

/// How a command that could do its work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing that decides against it.
    Clean,
    /// Findings of severity high, with `--strict`; a promise that does not hold.
    Findings,
    /// An app ran, and ended with this status.
    Ended(u8),
}

/// The exit statuses of kiln. Part of its interface: CI jobs decide by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Done.
    Done,
    /// Findings that decide against it, or a recipe with problems.
    Findings,
    /// The command line is wrong.
    Usage,
    /// An input is bad or an output cannot be written: the same command fails again.
    Input,
    /// Network or registry: worth a retry.
    Network,
    /// What was asked for could break what runs: more has to be known.
    Refused,
    /// A bug of kiln.
    Bug,
    /// `kiln run` could not run the app, or ended it: what `docker run` and `podman run` say then.
    NotRun,
    /// The app's own.
    App(u8),
}

impl Status {
    /// The status of a command's result: the one place where statuses are decided.
    pub fn of(result: &Result<Outcome, Failure>) -> Self {
        match result {
            Ok(Outcome::Clean) => Self::Done,
            Ok(Outcome::Findings) => Self::Findings,
            Ok(Outcome::Ended(status)) => Self::App(*status),
            Err(failure) => match failure.kind {
                Kind::Findings => Self::Findings,
                Kind::Usage => Self::Usage,
                Kind::Input => Self::Input,
                Kind::Network => Self::Network,
                Kind::Refused => Self::Refused,
                Kind::NotRun => Self::NotRun,
            },
        }
    }

    /// The number that the caller sees.
    pub fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Findings => 1,
            Self::Usage => 2,
            Self::Input => 3,
            Self::Network => 4,
            Self::Refused => 6,
            Self::Bug => 70,
            Self::NotRun => 125,
            Self::App(status) => status,
        }
    }
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status.number())
    }
}

/// Why a command could not go on.
#[derive(Debug)]
pub struct Failure {
    kind: Kind,
    error: anyhow::Error,
    /// Told before the error, a line each.
    findings: Vec<Finding>,
    hint: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Findings,
    Usage,
    Input,
    Network,
    Refused,
    NotRun,
}

impl Failure {
    fn new(kind: Kind, error: impl Into<anyhow::Error>) -> Self {
        Self { kind, error: error.into(), findings: Vec::new(), hint: None }
    }

    /// For these findings nothing is written.
    pub fn findings(error: impl Into<anyhow::Error>, findings: Vec<Finding>) -> Self {
        Self { findings, ..Self::new(Kind::Findings, error) }
    }

    /// What was asked for makes no sense.
    pub fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self::new(Kind::Usage, error)
    }

    /// An input is bad, or an output cannot be written.
    pub fn input(error: impl Into<anyhow::Error>) -> Self {
        Self::new(Kind::Input, error)
    }

    /// Network or registry.
    pub fn network(error: impl Into<anyhow::Error>) -> Self {
        Self::new(Kind::Network, error)
    }

    /// What was asked for could break what runs.
    pub fn refused(error: impl Into<anyhow::Error>) -> Self {
        Self::new(Kind::Refused, error)
    }

    /// The way out, where one is known.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same, of an app that should have run: its own status must not look like one of kiln's.
    #[must_use]
    pub fn of_run(mut self) -> Self {
        self.kind = Kind::NotRun;
        self
    }

    /// Says of what it is true.
    #[must_use]
    pub fn within(mut self, context: String) -> Self {
        self.error = self.error.context(context);
        self
    }

    /// The findings, a line each; `error: a: b: c` on one line, then `hint: …` on another.
    pub fn render(&self, style: Style) -> String {
        let severity = Severity::High;
        let mut chain = String::new();
        for cause in self.error.chain() {
            let text = cause.to_string();
            // Some causes already repeat what they wrap.
            if !chain.ends_with(&text) {
                let gap = if chain.is_empty() { "" } else { ": " };
                let _ = write!(chain, "{gap}{text}");
            }
        }
        let mut out: String =
            self.findings.iter().map(|finding| safe(&finding.to_string()).into_owned() + "\n").collect();
        let _ = writeln!(out, "{} {}", style.severity(severity, "error:"), safe(&chain));
        if let Some(hint) = &self.hint {
            let _ = writeln!(out, "{} {}", style.heading("hint:"), safe(hint));
        }
        out
    }
}

/// Runs `work`; a panic in it is a bug of kiln, already told by [`tell_bug`].
pub(super) fn guarded(work: impl FnOnce() -> Status) -> Status {
    // Nothing of `work` is looked at after a panic.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Status::Bug)
}

/// Tells a panic in one line: what users see of a bug.
pub(super) fn tell_bug(info: &PanicHookInfo<'_>) {
    let mut err = std::io::stderr();
    let place = info.location().map(|at| format!(" at {}:{}", at.file(), at.line())).unwrap_or_default();
    let _ = writeln!(err, "error: bug in kiln{place}: {}", safe(&panic_text(info.payload())));
    let _ = writeln!(err, "hint: this is not about your image; please report it with the command you ran");
    // Says nothing unless `RUST_BACKTRACE` asks for it.
    let trace = std::backtrace::Backtrace::capture();
    if trace.status() == std::backtrace::BacktraceStatus::Captured {
        let _ = writeln!(err, "{trace}");
    }
}

fn panic_text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into())
}

#[cfg(test)]
mod tests {
    use anyhow::{Context as _, anyhow};

    use super::*;

    #[test]
    fn every_end_has_its_own_status() {
        let cases = [
            (Ok(Outcome::Clean), 0),
            (Ok(Outcome::Findings), 1),
            (Err(Failure::findings(anyhow!("x"), Vec::new())), 1),
            (Err(Failure::usage(anyhow!("x"))), 2),
            (Err(Failure::input(anyhow!("x"))), 3),
            (Err(Failure::network(anyhow!("x"))), 4),
            (Err(Failure::refused(anyhow!("x"))), 6),
            (Err(Failure::network(anyhow!("x")).of_run()), 125),
            (Ok(Outcome::Ended(7)), 7),
        ];
        for (result, number) in cases {
            assert_eq!(Status::of(&result).number(), number);
        }
    }

    #[test]
    fn panic_is_a_bug_and_does_not_leave_the_function() {
        // `resume_unwind` runs no hook: the test's output stays clean.
        let bug = || std::panic::resume_unwind(Box::new("invariant"));
        assert_eq!(guarded(bug).number(), 70);
        assert_eq!(panic_text(&"invariant"), "invariant");
        assert_eq!(panic_text(&7), "no message");
    }

    #[test]
    fn error_is_one_line_whatever_its_causes_say() {
        let cause: Result<(), _> = Err(anyhow!("line one\nline two \x1b[31m"));
        let error = cause.context("layer 3").context("source `oci:x`").unwrap_err();
        let text = Failure::input(error).hint("look there").render(Style::Plain);
        assert_eq!(text, "error: source `oci:x`: layer 3: line one\\nline two \\x1b[31m\nhint: look there\n");
    }
}

//! An audit for people: what is wrong, where, and how far the pods are.
//!
//! Names from manifests reach a terminal escaped only.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::super::checklist::{Mark, Point};
use super::super::resource::Standard;
use super::super::rules::RULES;
use super::super::{Audit, Finding, State};
use super::unaudited::unaudited;
use super::{Told, message};
use crate::finding::Severity;
use crate::report::{columns, count, safe};

pub(super) fn write(audit: &Audit, told: &Told, out: &mut dyn Write) -> io::Result<()> {
    findings(audit, told, out)?;
    checklist(audit, told, out)?;
    standards(audit, told, out)?;
    undecided(audit, told, out)?;
    unread(audit, told, out)?;
    summary(audit, told, out)
}

fn findings(audit: &Audit, told: &Told, out: &mut dyn Write) -> io::Result<()> {
    let least = if told.verbose { Severity::Info } else { Severity::Low };
    let is_told = |finding: &&Finding| finding.severity >= least && finding.state == State::Open;
    let told_of: Vec<&Finding> = audit.findings.iter().filter(is_told).collect();
    for same in told_of.chunk_by(|a, b| a.resource == b.resource) {
        let Some(first) = same.first() else { continue };
        let resource = audit.resource(first);
        let head = format!("{}: {}", safe(audit.file(first)), safe(&resource.title()));
        writeln!(out, "{}", told.style.heading(&head))?;
        // Columns of known words and numbers: hundreds of thousands of lines need no table.
        let severities = same.iter().map(|finding| finding.severity.name().len()).max().unwrap_or_default();
        let places = same.iter().map(|finding| place(finding).len()).max().unwrap_or_default();
        for finding in same {
            let name = finding.severity.name();
            let severity = told.style.severity(finding.severity, name);
            let blanks = severities - name.len();
            let (id, place, text) = (finding.rule.id, place(finding), message(audit, finding));
            writeln!(out, "  {severity}{:blanks$}  {id}  {place:places$}  {}", "", safe(&text))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// `12:7`.
fn place(finding: &Finding) -> String {
    format!("{}:{}", finding.line, finding.column)
}

fn checklist(audit: &Audit, told: &Told, out: &mut dyn Write) -> io::Result<()> {
    let pods: Vec<_> = audit.resources.iter().filter_map(|resource| resource.checklist).collect();
    if pods.is_empty() {
        return Ok(());
    }
    let heading = format!("checklist of {}", number(pods.len(), "pod"));
    writeln!(out, "{}", told.style.heading(&heading))?;
    let of = |point: Point, wanted: Mark| pods.iter().filter(|marks| marks.of(point) == wanted).count();
    let rows: Vec<[String; 3]> = Point::ALL
        .into_iter()
        .map(|point| {
            let (holds, open) = (of(point, Mark::Holds), of(point, Mark::Open));
            let text = match (pods.len(), open) {
                (1, 1) => "not decided".to_owned(),
                (1, _) => if holds == 1 { "yes" } else { "no" }.to_owned(),
                (all, 0) => format!("{holds} of {all}"),
                (all, open) => format!("{holds} of {all}, {open} not decided"),
            };
            [point.number().to_string(), point.title().to_owned(), text]
        })
        .collect();
    for line in columns(&rows, &[]) {
        writeln!(out, "  {line}")?;
    }
    let sum: usize = pods.iter().map(|marks| marks.score()).sum();
    writeln!(out, "  score {sum} of {}\n", pods.len() * Point::ALL.len())
}

fn standards(audit: &Audit, told: &Told, out: &mut dyn Write) -> io::Result<()> {
    let met: Vec<Standard> = audit.resources.iter().filter_map(|resource| resource.standard).collect();
    if met.is_empty() {
        return Ok(());
    }
    let of = |wanted: Standard| met.iter().filter(|standard| **standard == wanted).count();
    let counts = [
        (of(Standard::Restricted), "restricted"),
        (of(Standard::Baseline), "baseline"),
        (of(Standard::Privileged), "privileged"),
    ];
    let counts: Vec<String> =
        counts.iter().filter(|(n, _)| *n > 0).map(|(n, name)| format!("{n} {name}")).collect();
    let heading = format!("Pod Security Standards {}:", told.version);
    writeln!(out, "{} {}", told.style.heading(&heading), counts.join(", "))
}

fn undecided(audit: &Audit, told: &Told, out: &mut dyn Write) -> io::Result<()> {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for rule in RULES {
        let tally = audit.tally(rule);
        let Some(why) = tally.why.filter(|_| tally.undecided > 0) else { continue };
        match reasons.iter_mut().find(|(reason, _)| *reason == why) {
            Some((_, ids)) => ids.push(rule.id),
            None => reasons.push((why, vec![rule.id])),
        }
    }
    for (why, ids) in reasons {
        writeln!(out, "{} {} ({why})", told.style.heading("not decided:"), ids.join(" "))?;
    }
    Ok(())
}

fn unread(audit: &Audit, told: &Told, out: &mut dyn Write) -> io::Result<()> {
    for one in unaudited(audit) {
        writeln!(out, "{} {}", told.style.heading("not audited:"), safe(&one.text))?;
    }
    Ok(())
}

fn summary(audit: &Audit, told: &Told, out: &mut dyn Write) -> io::Result<()> {
    let of = |severity: Severity| audit.open().filter(|finding| finding.severity == severity).count();
    let counts: Vec<String> = Severity::ALL
        .into_iter()
        .rev()
        .filter_map(|severity| {
            let n = of(severity);
            (n > 0).then(|| told.style.severity(severity, &format!("{n} {severity}")))
        })
        .collect();
    let counts = if counts.is_empty() { told.style.good("none") } else { counts.join(", ") };
    let ignored = audit.findings.iter().filter(|finding| matches!(finding.state, State::Ignored(_))).count();
    let known = audit.findings.iter().filter(|finding| finding.state == State::Known).count();
    let mut more = String::new();
    for (n, what) in
        [(ignored, "ignored"), (known, "in the baseline"), (told.gone, "of the baseline no longer there")]
    {
        if n > 0 {
            let _ = write!(more, "; {n} {what}");
        }
    }
    let pods = audit.resources.iter().filter(|resource| resource.checklist.is_some()).count();
    let resources = number(audit.resources.len(), "resource");
    let heading = told.style.heading("findings:");
    writeln!(out, "{heading} {counts}{more} ({}, {resources})", number(pods, "pod"))
}

/// `1 pod`, `2 pods`.
fn number(n: usize, one: &str) -> String {
    count(n as u64, one, &format!("{one}s"))
}

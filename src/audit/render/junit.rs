//! An audit as JUnit XML: a suite for each resource, a case for each rule that had something to decide.
//!
//! A rule that could not be decided is a skipped case, never one that passed; so is what no rule looked at.

use std::io::{self, Write};

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

use super::super::resource::Resource;
use super::super::rule::Rule;
use super::super::rules::RULES;
use super::super::{Audit, Finding, Outcome, State};
use super::message;
use super::unaudited::{Unaudited, unaudited};

pub(super) fn write(audit: &Audit, out: &mut dyn Write) -> io::Result<()> {
    let mut writer = Writer::new_with_indent(&mut *out, b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let mut sums = [0; 3];
    each(audit, |_, cases| {
        for (sum, n) in sums.iter_mut().zip(counts(cases)) {
            *sum += n;
        }
        Ok(())
    })?;
    let unaudited = unaudited(audit);
    for (sum, n) in sums.iter_mut().zip([unaudited.len(), 0, unaudited.len()]) {
        *sum += n;
    }
    let mut root = BytesStart::new("testsuites");
    root.push_attribute(("name", "kiln audit"));
    attributes(&mut root, sums);
    writer.write_event(Event::Start(root))?;
    each(audit, |resource, cases| suite(&mut writer, audit, resource, cases))?;
    if !unaudited.is_empty() {
        skipped(&mut writer, &unaudited)?;
    }
    writer.write_event(Event::End(BytesEnd::new("testsuites")))?;
    writeln!(out)
}

/// A rule that had something to decide at a resource.
struct Case<'a> {
    rule: &'static Rule,
    /// Findings that count.
    open: Vec<&'a Finding>,
    /// Why it is neither passed nor failed.
    skipped: Option<&'static str>,
}

/// Calls `act` with every resource that has cases, and those.
fn each<'a>(
    audit: &'a Audit,
    mut act: impl FnMut(&'a Resource, &[Case<'a>]) -> io::Result<()>,
) -> io::Result<()> {
    let mut rest = audit.findings.as_slice();
    for (number, resource) in audit.resources.iter().enumerate() {
        let own = rest.partition_point(|finding| finding.resource <= number);
        let (own, behind) = rest.split_at(own);
        rest = behind;
        let cases: Vec<Case<'a>> = RULES
            .into_iter()
            .zip(&resource.outcomes)
            .filter(|(_, outcome)| **outcome != Outcome::Void)
            .map(|(rule, outcome)| {
                let found = own.iter().filter(|finding| finding.rule.id == rule.id);
                let open: Vec<&Finding> = found.filter(|finding| finding.state == State::Open).collect();
                let skipped = match outcome {
                    Outcome::Undecided => audit.reasons.get(rule.id).copied(),
                    Outcome::Failed if open.is_empty() => Some("ignored, or in the baseline"),
                    _ => None,
                };
                Case { rule, open, skipped }
            })
            .collect();
        if !cases.is_empty() {
            act(resource, &cases)?;
        }
    }
    Ok(())
}

/// Cases, failures and skipped ones.
fn counts(cases: &[Case<'_>]) -> [usize; 3] {
    let failed = cases.iter().filter(|case| !case.open.is_empty()).count();
    let skipped = cases.iter().filter(|case| case.skipped.is_some()).count();
    [cases.len(), failed, skipped]
}

fn attributes(element: &mut BytesStart<'_>, [tests, failures, skipped]: [usize; 3]) {
    element.push_attribute(("tests", tests.to_string().as_str()));
    element.push_attribute(("failures", failures.to_string().as_str()));
    element.push_attribute(("skipped", skipped.to_string().as_str()));
    element.push_attribute(("errors", "0"));
}

fn suite<W: Write>(
    writer: &mut Writer<W>,
    audit: &Audit,
    resource: &Resource,
    cases: &[Case<'_>],
) -> io::Result<()> {
    let file = audit.files.get(resource.file).map_or("", String::as_str);
    let name = printable(&resource.title());
    let mut suite = BytesStart::new("testsuite");
    suite.push_attribute(("name", name.as_str()));
    suite.push_attribute(("file", printable(file).as_str()));
    attributes(&mut suite, counts(cases));
    writer.write_event(Event::Start(suite))?;
    for Case { rule, open, skipped } in cases {
        let mut case = BytesStart::new("testcase");
        case.push_attribute(("classname", name.as_str()));
        case.push_attribute(("name", format!("{} {}", rule.id, rule.title).as_str()));
        if open.is_empty() && skipped.is_none() {
            writer.write_event(Event::Empty(case))?;
            continue;
        }
        writer.write_event(Event::Start(case))?;
        if let Some(why) = skipped {
            let mut skipped = BytesStart::new("skipped");
            skipped.push_attribute(("message", *why));
            writer.write_event(Event::Empty(skipped))?;
        }
        for finding in open {
            let mut failure = BytesStart::new("failure");
            failure.push_attribute(("type", finding.severity.to_string().as_str()));
            failure.push_attribute(("message", printable(&message(audit, finding)).as_str()));
            writer.write_event(Event::Start(failure))?;
            let place = format!("{file}:{}:{} {}", finding.line, finding.column, finding.field);
            writer.write_event(Event::Text(BytesText::new(&printable(&place))))?;
            writer.write_event(Event::End(BytesEnd::new("failure")))?;
        }
        writer.write_event(Event::End(BytesEnd::new("testcase")))?;
    }
    writer.write_event(Event::End(BytesEnd::new("testsuite")))
}

/// A suite of what no rule looked at.
fn skipped<W: Write>(writer: &mut Writer<W>, all: &[Unaudited<'_>]) -> io::Result<()> {
    const NAME: &str = "not audited";
    let mut suite = BytesStart::new("testsuite");
    suite.push_attribute(("name", NAME));
    attributes(&mut suite, [all.len(), 0, all.len()]);
    writer.write_event(Event::Start(suite))?;
    for one in all {
        let mut case = BytesStart::new("testcase");
        case.push_attribute(("classname", NAME));
        case.push_attribute(("name", printable(&format!("{}:{}", one.file, one.line)).as_str()));
        writer.write_event(Event::Start(case))?;
        let mut skipped = BytesStart::new("skipped");
        skipped.push_attribute(("message", printable(&one.text).as_str()));
        writer.write_event(Event::Empty(skipped))?;
        writer.write_event(Event::End(BytesEnd::new("testcase")))?;
    }
    writer.write_event(Event::End(BytesEnd::new("testsuite")))
}

/// `text` without what no XML document may hold (XML 1.0, 2.2), and on one line.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') { '\u{fffd}' } else { c })
        .collect()
}

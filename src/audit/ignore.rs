//! The annotation `kiln.dev/ignore`: which findings a resource does not want to be told, why, and until when.
//!
//! Knows no rule by itself; a line of another shape is told as it stands. Annotations are remembered until all is found: what is
//! found about everything together can be ignored like the rest.

use serde_json::Value;

use super::resource::Resource;
use super::rule::{Check, Rule};
use super::{Audit, Finding, Options, Outcome, State, rules};
use crate::kube::document::Node;
use crate::kube::field;

/// The annotation's name.
const KEY: &str = "kiln.dev/ignore";

/// The annotation of a resource, or of the template of its pods.
#[derive(Debug)]
pub(super) struct Annotation {
    /// Number of the resource.
    resource: usize,
    /// The way to what has it, a dot at its end: only what is found below is ignored; empty where it is the resource.
    prefix: String,
    /// The field.
    field: String,
    /// Where that stands.
    at: (usize, usize),
    /// What each line says, or what is wrong with it.
    lines: Vec<Result<Ignore, String>>,
}

/// A line of the annotation.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ignore {
    /// The rule's id.
    rule: &'static str,
    /// Only of this container.
    container: Option<String>,
    /// The last day, `YYYY-MM-DD`.
    until: Option<String>,
    /// Why.
    reason: String,
}

impl Annotation {
    /// The same of the resource of that number.
    pub(super) fn of(self, resource: usize) -> Self {
        Self { resource, ..self }
    }
}

/// The annotation in `metadata`, which stands at `prefix` in the resource at `node`, whose number is left at nought.
pub(super) fn read(prefix: &str, metadata: &Value, node: &Node) -> Option<Annotation> {
    let value = field::value(metadata, "annotations")?.get(KEY)?;
    let field = format!("{prefix}metadata.annotations[\"{KEY}\"]");
    let at = node.nearest(&field);
    Some(Annotation { resource: 0, prefix: prefix.to_owned(), field, at, lines: parse(value) })
}

/// Takes what `annotations` say out of what counts, and tells what is wrong with them. Findings must be sorted by resource.
pub(super) fn apply(audit: &mut Audit, annotations: &[Annotation], options: &Options) {
    let mut wrong = Vec::new();
    for annotation in annotations {
        let number = annotation.resource;
        let start = audit.findings.partition_point(|finding| finding.resource < number);
        let end = audit.findings.partition_point(|finding| finding.resource <= number);
        let own = audit.findings.get_mut(start..end).unwrap_or_default();
        let Some(resource) = audit.resources.get_mut(number) else { continue };
        let before = wrong.len();
        for line in &annotation.lines {
            let told = annotation.line(line, own, resource, options);
            let told = told.filter(|(rule, _)| options.wants(rule.id));
            wrong.extend(told.map(|(rule, message)| Finding {
                rule,
                severity: rule.severity,
                resource: number,
                container: None,
                field: annotation.field.as_str().into(),
                named: None,
                line: annotation.at.0,
                column: annotation.at.1,
                message: message.into(),
                state: State::Open,
            }));
        }
        for (rule, slot) in rules::RULES.iter().zip(&mut resource.outcomes) {
            if matches!(rule.check, Check::Annotation) && options.wants(rule.id) {
                let is_broken = wrong.iter().skip(before).any(|finding| finding.rule.id == rule.id);
                *slot = (*slot).max(if is_broken { Outcome::Failed } else { Outcome::Passed });
            }
        }
    }
    audit.findings.extend(wrong);
}

impl Annotation {
    /// Takes what a line says out of `findings`; the rule that it breaks itself, and how.
    fn line(
        &self,
        line: &Result<Ignore, String>,
        findings: &mut [Finding],
        resource: &Resource,
        options: &Options,
    ) -> Option<(&'static Rule, String)> {
        let Ignore { rule, container, until, reason } = match line {
            Ok(line) => line,
            Err(message) => return Some((&rules::IG001, message.clone())),
        };
        let is_over = |until: &&String| options.today.as_ref().is_some_and(|today| today > *until);
        if let Some(until) = until.as_ref().filter(is_over) {
            return Some((&rules::IG002, format!("{rule} was ignored until {until}")));
        }
        let mut is_used = false;
        for finding in findings.iter_mut().filter(|finding| finding.rule.id == *rule && self.covers(finding))
        {
            let own = finding.container.and_then(|index| resource.containers.get(index));
            if container.is_none() || own.map(|(_, name, _)| name) == container.as_ref() {
                finding.state = State::Ignored(reason.as_str().into());
                is_used = true;
            }
        }
        // Of what was not asked for, or could not be decided, nobody knows.
        let outcomes = rules::RULES.iter().zip(&resource.outcomes);
        let is_decided = outcomes
            .filter(|(other, _)| other.id == *rule)
            .any(|(_, outcome)| matches!(outcome, Outcome::Passed | Outcome::Failed));
        if is_used || !is_decided {
            return None;
        }
        let whose = container.as_ref().map(|name| format!("/{name}")).unwrap_or_default();
        Some((&rules::IG003, format!("nothing is found that `{rule}{whose}` would ignore")))
    }

    /// Whether the annotation is about that finding.
    fn covers(&self, finding: &Finding) -> bool {
        finding.field.starts_with(&self.prefix) || matches!(finding.rule.check, Check::Whole(_))
    }
}

/// The lines of the annotation: what each says, or what is wrong with it.
fn parse(value: &Value) -> Vec<Result<Ignore, String>> {
    let Some(text) = value.as_str() else { return vec![Err("the annotation is no text".to_owned())] };
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(parse_line).collect();
    if lines.is_empty() { vec![Err("the annotation says nothing".to_owned())] } else { lines }
}

fn parse_line(line: &str) -> Result<Ignore, String> {
    let wrong = |why: &str| format!("`{line}`: {why}");
    let (head, reason) = line.split_once(':').ok_or_else(|| wrong("no reason: expected `RULE: REASON`"))?;
    let reason = reason.trim();
    if reason.is_empty() {
        return Err(wrong("no reason behind the colon"));
    }
    let mut words = head.split_whitespace();
    let what = words.next().ok_or_else(|| wrong("no rule before the colon"))?;
    let (rule, container) = match what.split_once('/') {
        Some((rule, container)) => (rule, Some(container.to_owned())),
        None => (what, None),
    };
    let until = match (words.next(), words.next(), words.next()) {
        (None, ..) => None,
        (Some("until"), Some(day), None) if is_day(day) => Some(day.to_owned()),
        (Some("until"), Some(_), None) => return Err(wrong("expected a day behind `until`: YYYY-MM-DD")),
        _ => return Err(wrong("expected `RULE[/CONTAINER] [until YYYY-MM-DD]: REASON`")),
    };
    let known = rules::rule(rule).ok_or_else(|| wrong("no such rule"))?;
    if matches!(known.check, Check::Annotation) {
        return Err(wrong("what is wrong with this annotation cannot be ignored"));
    }
    Ok(Ignore { rule: known.id, container, until, reason: reason.to_owned() })
}

/// Whether the text is a day, `YYYY-MM-DD`, that a calendar may have.
pub fn is_day(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let number = |text: &str, digits: usize| {
        (text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| text.parse::<u32>().ok())
    };
    let [year, month, day] = parts.as_slice() else { return false };
    let (year, month, day) = (number(year, 4), number(month, 2), number(day, 2));
    year.flatten().is_some()
        && month.flatten().is_some_and(|month| (1..=12).contains(&month))
        && day.flatten().is_some_and(|day| (1..=31).contains(&day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_which_whose_until_when_and_why() {
        let text = "FS007: bounded by the app\n\n  sc001/web until 2027-03-01: no digests: yet\n";
        let ignore =
            |rule: &'static str, container: Option<&str>, until: Option<&str>, reason: &str| Ignore {
                rule,
                container: container.map(Into::into),
                until: until.map(Into::into),
                reason: reason.into(),
            };
        assert_eq!(
            parse(&text.into()),
            [
                Ok(ignore("FS007", None, None, "bounded by the app")),
                Ok(ignore("SC001", Some("web"), Some("2027-03-01"), "no digests: yet")),
            ]
        );
    }

    #[test]
    fn lines_of_another_shape_say_what_is_wrong() {
        let cases = [
            ("FS007", "no reason: expected `RULE: REASON`"),
            ("FS007:  ", "no reason behind the colon"),
            (": why", "no rule before the colon"),
            ("FS999: why", "no such rule"),
            ("ig001: sure", "what is wrong with this annotation cannot be ignored"),
            ("FS007 until 2027-13-01: why", "expected a day behind `until`: YYYY-MM-DD"),
            ("FS007 till 2027-01-01: why", "expected `RULE[/CONTAINER] [until YYYY-MM-DD]: REASON`"),
        ];
        for (line, why) in cases {
            assert_eq!(parse(&line.into()), [Err(format!("`{}`: {why}", line.trim()))], "{line}");
        }
        for empty in ["", " \n\n"] {
            assert_eq!(parse(&empty.into()), [Err("the annotation says nothing".to_owned())]);
        }
        for value in [Value::Null, 5.into(), vec!["SC001: x"].into()] {
            assert_eq!(parse(&value), [Err("the annotation is no text".to_owned())], "{value}");
        }
    }
}

//! `kiln explain`: the text of a finding's code, or of a promise.
//!
//! Holds no words of its own about them: they stand with the codes and the promises.

use std::fmt::Write as _;

use anyhow::anyhow;
use serde_json::{Value, json};

use super::args::{ExplainArgs, Format};
use super::output::World;
use super::{Failure, Outcome};
use crate::audit::checklist::Point;
use crate::audit::rule::Rule;
use crate::audit::rules::{RULES, rule};
use crate::finding::{Code, CodeDoc};
use crate::promise::{Promise, PromiseDoc};
use crate::report::{Style, columns};

pub(super) fn run(args: &ExplainArgs, world: &mut World<'_>) -> Result<Outcome, Failure> {
    let text = match (&args.code, args.format) {
        (None, Format::Text) => {
            let row = |code: &Code| {
                let doc = code.doc();
                [doc.id.to_owned(), doc.severity.to_string(), doc.slug.to_owned(), doc.title.to_owned()]
            };
            let of_audit = |rule: &&Rule| {
                [rule.id.to_owned(), rule.severity.to_string(), "audit".to_owned(), rule.title.to_owned()]
            };
            let rows: Vec<_> = Code::ALL.iter().map(row).chain(RULES.iter().map(of_audit)).collect();
            columns(&rows, &[]).into_iter().map(|line| line + "\n").collect()
        }
        (None, Format::Json) => {
            let codes = Code::ALL.iter().map(|code| document(code.doc()));
            let all: Vec<_> = codes.chain(RULES.iter().map(|rule| rule_document(rule))).collect();
            format!("{:#}\n", json!(all))
        }
        (Some(name), format) => match (Promise::parse(name), format) {
            (Some(promise), Format::Text) => render_promise(promise.doc(), world.out_style),
            (Some(promise), Format::Json) => format!("{:#}\n", promise_document(promise.doc())),
            (None, format) => {
                if let Some(rule) = rule(name) {
                    let text = match format {
                        Format::Text => render_rule(rule, world.out_style),
                        Format::Json => format!("{:#}\n", rule_document(rule)),
                    };
                    world.say(&text)?;
                    return Ok(Outcome::Clean);
                }
                let code = Code::parse(name).ok_or_else(|| {
                    Failure::usage(anyhow!("no code `{name}`")).hint("`kiln explain` lists them")
                })?;
                match format {
                    Format::Text => render(code.doc(), world.out_style),
                    Format::Json => format!("{:#}\n", document(code.doc())),
                }
            }
        },
    };
    world.say(&text)?;
    Ok(Outcome::Clean)
}

fn render(doc: &CodeDoc, style: Style) -> String {
    let severity = style.severity(doc.severity, &doc.severity.to_string());
    let out = format!("{} {} ({severity})\n{}\n", style.heading(doc.id), doc.slug, doc.title);
    out + &sections(
        &[("Why it matters", doc.why), ("As it looks", doc.example), ("What to do", doc.remedy)],
        style,
    )
}

fn render_promise(doc: &PromiseDoc, style: Style) -> String {
    let out = format!("{} promise\n{}\n", style.heading(doc.id), doc.title);
    out + &sections(
        &[("Why it matters", doc.why), ("What to do about an image that breaks it", doc.remedy)],
        style,
    )
}

fn render_rule(rule: &Rule, style: Style) -> String {
    let severity = style.severity(rule.severity, &rule.severity.to_string());
    let out = format!("{} rule of `kiln audit` ({severity})\n{}\n", style.heading(rule.id), rule.title);
    let same = rule.maps.join(", ");
    out + &sections(
        &[
            ("It holds where", rule.passes),
            ("Why it matters", rule.why),
            ("What to do", rule.remedy),
            ("Whether a program can mend it", rule.fix.describe()),
            ("The same elsewhere", &same),
        ],
        style,
    )
}

fn sections(sections: &[(&str, &str)], style: Style) -> String {
    let mut out = String::new();
    for (heading, text) in sections {
        if !text.is_empty() {
            let _ = writeln!(out, "\n{}", style.heading(heading));
            for line in text.lines() {
                let indent = if line.is_empty() { "" } else { "  " };
                let _ = writeln!(out, "{indent}{line}");
            }
        }
    }
    out
}

fn promise_document(doc: &PromiseDoc) -> Value {
    json!({"id": doc.id, "title": doc.title, "why": doc.why, "remedy": doc.remedy})
}

fn document(doc: &CodeDoc) -> Value {
    json!({
        "code": doc.id,
        "slug": doc.slug,
        "severity": doc.severity,
        "title": doc.title,
        "why": doc.why,
        "example": doc.example,
        "remedy": doc.remedy,
    })
}

fn rule_document(rule: &Rule) -> Value {
    json!({
        "code": rule.id,
        "severity": rule.severity,
        "title": rule.title,
        "passes": rule.passes,
        "why": rule.why,
        "remedy": rule.remedy,
        "fix": rule.fix,
        "maps": rule.maps,
        "checklist": rule.point.map(Point::number),
    })
}

//! What trying a hardened image under its pod showed, round by round, as a part of the report.
//!
//! Judges nothing: whether a round holds is told to it.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Serialize;

use super::size::count;
use super::style::{Style, safe};
use super::verification::{RunEntry, Standing};
use super::{Detail, verification};
use crate::finding::Severity;
use crate::promise::{Proof, Shown};

/// What came of hardening and trying until it held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Trial {
    /// Every time that it was hardened and tried, in order.
    pub rounds: Vec<Round>,
    /// What the last of them showed.
    pub run: RunEntry,
}

/// One time that an image was hardened and tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Round {
    /// What it was given that the one before lacked.
    pub gained: Vec<Gained>,
    /// An option that it was given before and that was left out, to see whether it is needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub without: Option<String>,
    /// What did not hold, each with where.
    pub broken: Vec<String>,
}

/// An option that a failed start asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Gained {
    /// As it would be given: `--keep=/usr/bin/git`.
    pub option: String,
    /// The calls that failed, each with who called.
    pub why: Vec<String>,
}

/// Most failed calls that are told of one option.
const WHY: usize = 3;

impl Trial {
    /// Of `rounds`, the last of which showed `proofs` under `pod`.
    pub fn new(rounds: Vec<Round>, pod: &str, proofs: &[Proof<Shown>], last_words: &[String]) -> Self {
        Self { rounds, run: RunEntry::of(pod, proofs, last_words) }
    }

    /// For people: one paragraph.
    pub fn render(&self, style: Style, detail: Detail) -> String {
        let mut out = String::new();
        let rounds = count(self.rounds.len() as u64, "round", "rounds");
        let ids = |state| {
            let of_state = self.run.shown.iter().filter(|shown| shown.state == state);
            of_state.map(|shown| shown.id).collect::<Vec<_>>().join(", ")
        };
        let holds = self.rounds.last().is_some_and(|round| round.broken.is_empty());
        let verdict =
            if holds { style.good("holds") } else { style.severity(Severity::High, "does not hold") };
        let _ = writeln!(out, "tried under its pod: {verdict} after {rounds}");
        for (words, state) in [("hold", Standing::Held), ("not checked in full", Standing::Open)] {
            let ids = ids(state);
            if !ids.is_empty() {
                let _ = writeln!(out, "  {words}: {ids}");
            }
        }
        // Its source was not seen to do better.
        for shown in self.run.shown.iter().filter(|shown| holds && shown.state == Standing::Broken) {
            for breach in &shown.breaches {
                let (subject, message) = (safe(&breach.subject), safe(&breach.message));
                let _ =
                    writeln!(out, "  {}, as far as the source is known, too: {subject}: {message}", shown.id);
            }
        }
        for (number, round) in self.rounds.iter().enumerate() {
            if let Some(option) = &round.without {
                let needed =
                    if round.broken.is_empty() { "holds: not needed" } else { "does not hold: needed" };
                let _ = writeln!(out, "  round {}, without {}: {needed}", number + 1, safe(option));
            }
            for gained in &round.gained {
                let _ = writeln!(out, "  round {}, with {}:", number + 1, safe(&gained.option));
                let most = if detail == Detail::Full { usize::MAX } else { WHY };
                for why in gained.why.iter().take(most) {
                    let _ = writeln!(out, "    {}", safe(why));
                }
            }
        }
        if !holds || detail == Detail::Full {
            out.push('\n');
            verification::render_run(&mut out, &self.run, style, detail);
        }
        out
    }
}

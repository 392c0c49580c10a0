//! What programs left behind that were gone when the app was ready: bytes of small text files, and where links lead.
//!
//! Values, and what two runs make of each other. Who is asked for them, and when, is not known here; what is made of
//! them is the plan's.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A file or link that a start-up script left behind: as it was when the app was ready, and still was when it had ended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Prepared {
    /// Which.
    pub path: String,
    /// Its permission bits, four octal digits.
    #[schemars(regex(pattern = "^[0-7]{4}$"))]
    pub mode: String,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// What is in it.
    pub holds: Holds,
    /// In how many runs.
    pub runs: u32,
}

/// What is in a file, or where a link leads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Holds {
    /// These bytes, which are text, in every run.
    Text(String),
    /// This, which is what a symbolic link says, in every run.
    Link(String),
    /// What the image has: only its mode or owner was set.
    Image,
    /// It is not told.
    Untold(Untold),
}

/// Why what is in a file is not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Untold {
    /// It may be a secret.
    Secret,
    /// A value that the user gave the runs is in it.
    Given,
    /// It is another in each run.
    Differs,
    /// It was written again after the app was ready.
    Changed,
    /// It is no text.
    Binary,
    /// It is larger than what is told.
    Large,
}

impl Untold {
    /// What is to be said of such a file.
    pub fn words(self) -> &'static str {
        match self {
            Self::Secret => "what is in it may be a secret",
            Self::Given => "what is in it comes from a value that only the watched runs were given",
            Self::Differs => "what is in it is another in each run",
            Self::Changed => "it is written again while the app serves",
            Self::Binary => "it is no text",
            Self::Large => "it is too large to be told",
        }
    }
}

/// Both of one path as one: what they do not agree on is not told.
pub(super) fn united(one: Prepared, other: Prepared) -> Prepared {
    let is_equal =
        (&one.mode, one.uid, one.gid, &one.holds) == (&other.mode, other.uid, other.gid, &other.holds);
    let holds = match (one.holds, other.holds) {
        (holds, _) if is_equal => holds,
        // Neither tells what is in it, and the graver reason stays.
        (Holds::Untold(a), Holds::Untold(b)) => Holds::Untold(a.min(b)),
        (Holds::Untold(why), _) | (_, Holds::Untold(why)) => Holds::Untold(why),
        // In place or with another owner in each run.
        _ => Holds::Untold(Untold::Differs),
    };
    // Of two runs neither comes first.
    let (mode, uid, gid) = (one.mode.max(other.mode), one.uid.max(other.uid), one.gid.max(other.gid));
    Prepared { path: one.path, mode, uid, gid, holds, runs: one.runs.saturating_add(other.runs) }
}

/// Parts of names that secrets have.
const SECRET: &[&str] =
    &["PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "TOKEN", "CREDENTIAL", "PRIVATE", "_KEY"];

/// Ends what a private key begins with, in PEM and in OpenSSH's form of it (RFC 7468).
const PRIVATE_KEY: &str = "PRIVATE KEY-----";

/// Values of fewer characters are words, and may be a part of one by chance.
const WORD: usize = 4;

/// Whether something of this name may be a secret.
pub fn is_secret_name(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    SECRET.iter().any(|part| upper.contains(part))
}

/// Whether `text` has a private key in it.
pub fn has_private_key(text: &str) -> bool {
    text.lines().any(|line| line.trim_start().starts_with("-----BEGIN ") && line.contains(PRIVATE_KEY))
}

/// Whether `value` stands in `text`, not only as a part of a word if it is as short as one.
pub fn has_word(text: &str, value: &str) -> bool {
    if value.len() >= WORD {
        return text.contains(value);
    }
    let is_part = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    text.match_indices(value).any(|(at, _)| {
        let (before, after) = (text.get(..at), text.get(at.saturating_add(value.len())..));
        !is_part(before.and_then(|text| text.chars().next_back()))
            && !is_part(after.and_then(|text| text.chars().next()))
    })
}

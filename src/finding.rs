//! Findings: what kiln saw in an image or in its rules that a person should know; the run goes on.
//!
//! Knows no image; a finding names its subject in words.

mod codes;

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use codes::{Code, CodeDoc};

/// How much a finding matters. The order is the order of weight.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Said so that the reader knows; nothing to do.
    Info,
    /// Worth a look; the image runs.
    Low,
    /// A promise is weaker than it could be, or a start could differ.
    Medium,
    /// The app may not start, or what an attacker wants is left.
    High,
    /// Whoever is in the container is on the node.
    Critical,
}

impl Severity {
    /// From the lightest.
    pub const ALL: [Self; 5] = [Self::Info, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// In one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One thing seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Which kind of thing; `kiln explain CODE` tells more.
    pub code: Code,
    /// The code's severity.
    pub severity: Severity,
    /// What it is about: a path, a package, an option.
    pub subject: String,
    /// What was seen there and, where kiln knows one, the way out. Names from images are escaped.
    pub message: String,
}

impl Finding {
    /// A finding of `code` about `subject`.
    pub fn new(code: Code, subject: impl fmt::Display, message: impl Into<String>) -> Self {
        Self { code, severity: code.doc().severity, subject: subject.to_string(), message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}: {}", self.severity, self.code, self.subject, self.message)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.doc().id)
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.doc().id)
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = String::deserialize(deserializer)?;
        Self::parse(&id).ok_or_else(|| D::Error::custom(format_args!("no code is `{id}`")))
    }
}

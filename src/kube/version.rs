//! Versions of Kubernetes.
//!
//! Knows numbers only; what each version has stands with those who ask.

use std::fmt;
use std::str::FromStr;

/// A version of Kubernetes, `1.N`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32);

impl Version {
    /// The newest that is known here; later ones are taken for it.
    pub const NEWEST: Self = Self(37);

    /// The oldest that upstream still mends: the default.
    pub const OLDEST_SUPPORTED: Self = Self(35);
}

impl Default for Version {
    fn default() -> Self {
        Self::OLDEST_SUPPORTED
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.0)
    }
}

/// Something that is no version of Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a version of Kubernetes such as `1.33`, found `{0}`")]
pub struct ParseVersionError(String);

impl FromStr for Version {
    type Err = ParseVersionError;

    fn from_str(text: &str) -> Result<Self, ParseVersionError> {
        let minor = text.strip_prefix('v').unwrap_or(text).strip_prefix("1.");
        let minor = minor.filter(|minor| minor.bytes().all(|byte| byte.is_ascii_digit()));
        let minor = minor.and_then(|minor| minor.parse().ok());
        minor.map(Self).ok_or_else(|| ParseVersionError(text.to_owned()))
    }
}

//! What machine an image is for: `OS/ARCH[/VARIANT]`, spelled and matched as containerd does.
//!
//! Does not know which images there are.

use std::fmt;
use std::str::FromStr;

/// Operating system, processor architecture and its variant, in Go's names.
///
/// Normalised: `aarch64` is `arm64`, and the variant that is the default of its architecture is left out (but `arm` has `v7`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Platform {
    os: String,
    architecture: String,
    variant: Option<String>,
}

/// A text that is not `OS/ARCH[/VARIANT]`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("platform `{0}` is not `OS/ARCH[/VARIANT]`, such as `linux/amd64`")]
pub struct ParsePlatformError(String);

impl Platform {
    /// Normalises the three parts; an empty variant is none.
    pub fn new(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let os = match os.to_ascii_lowercase().as_str() {
            "macos" => "darwin".to_owned(),
            other => other.to_owned(),
        };
        let architecture = architecture.to_ascii_lowercase();
        let variant = variant.unwrap_or_default().to_ascii_lowercase();
        let (architecture, variant) = match (architecture.as_str(), variant.as_str()) {
            ("i386", "") | ("386", _) => ("386", ""),
            ("x86_64" | "x86-64" | "amd64", "v1" | "") => ("amd64", ""),
            ("x86_64" | "x86-64", variant) => ("amd64", variant),
            ("aarch64" | "arm64", "8" | "v8" | "") => ("arm64", ""),
            ("aarch64", variant) => ("arm64", variant),
            ("armhf", _) | ("arm", "" | "7") => ("arm", "v7"),
            ("armel", _) | ("arm", "6") => ("arm", "v6"),
            ("arm", "5") => ("arm", "v5"),
            ("arm", "8") => ("arm", "v8"),
            ("powerpc64le", variant) => ("ppc64le", variant),
            ("loongarch64", variant) => ("loong64", variant),
            (architecture, variant) => (architecture, variant),
        };
        let variant = (!variant.is_empty()).then(|| variant.to_owned());
        Self { os, architecture: architecture.to_owned(), variant }
    }

    /// The machine this was built for; always Linux, for images run on Linux.
    pub fn host() -> Self {
        Self::new("linux", std::env::consts::ARCH, None)
    }

    /// `linux`, `windows`, …
    pub fn os(&self) -> &str {
        &self.os
    }

    /// `amd64`, `arm64`, …
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    /// `v7`, …
    pub fn variant(&self) -> Option<&str> {
        self.variant.as_deref()
    }

    /// Whether this is what an index says of something that is no image: an attestation.
    pub fn is_unknown(&self) -> bool {
        self.os == "unknown" || self.architecture == "unknown"
    }

    /// How well an image for `offered` runs where this is asked for: 0 is exactly, larger is older; `None` is not at all.
    ///
    /// A machine of one variant runs images of earlier ones (`arm/v7` runs `arm/v6`; `amd64/v3` runs `amd64`).
    pub fn distance(&self, offered: &Self) -> Option<u32> {
        if self.os != offered.os || self.architecture != offered.architecture {
            return None;
        }
        if self.variant == offered.variant {
            return Some(0);
        }
        self.level()?.checked_sub(offered.level()?)
    }

    /// The variant as a number, where variants are ordered.
    fn level(&self) -> Option<u32> {
        let default = match self.architecture.as_str() {
            "amd64" => 1,
            "arm" => 7,
            "arm64" => 8,
            _ => return None,
        };
        match &self.variant {
            None => Some(default),
            Some(variant) => variant.strip_prefix('v')?.parse().ok(),
        }
    }
}

impl FromStr for Platform {
    type Err = ParsePlatformError;

    fn from_str(text: &str) -> Result<Self, ParsePlatformError> {
        let part = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        };
        let parts: Vec<&str> = text.split('/').collect();
        match parts.as_slice() {
            [os, architecture] if part(os) && part(architecture) => Ok(Self::new(os, architecture, None)),
            [os, architecture, variant] if part(os) && part(architecture) && part(variant) => {
                Ok(Self::new(os, architecture, Some(variant)))
            }
            _ => Err(ParsePlatformError(text.to_owned())),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        text.parse().unwrap()
    }

    #[test]
    fn spellings_of_one_platform_are_equal() {
        for (left, right) in [
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/x86_64", "linux/amd64"),
            ("linux/amd64/v1", "Linux/AMD64"),
            ("linux/arm", "linux/armhf"),
            ("linux/arm/7", "linux/arm/v7"),
        ] {
            assert_eq!(platform(left), platform(right));
        }
    }

    #[test]
    fn a_newer_variant_runs_older_images_only() {
        assert_eq!(platform("linux/arm/v7").distance(&platform("linux/arm/v5")), Some(2));
        assert_eq!(platform("linux/arm/v6").distance(&platform("linux/arm/v7")), None);
        assert_eq!(platform("linux/amd64/v3").distance(&platform("linux/amd64")), Some(2));
        assert_eq!(platform("linux/amd64").distance(&platform("linux/amd64/v2")), None);
        assert_eq!(platform("linux/amd64").distance(&platform("linux/arm64")), None);
        assert_eq!(platform("windows/amd64").distance(&platform("linux/amd64")), None);
    }

    #[test]
    fn texts_that_are_no_platform_are_refused() {
        for text in ["", "linux", "linux/", "linux/amd64/", "a/b/c/d", "linux/am d64"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_host_is_a_platform_in_the_names_of_go() {
        assert_eq!(platform(&Platform::host().to_string()), Platform::host());
    }
}

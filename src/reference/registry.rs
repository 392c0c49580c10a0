//! Names of images in registries, normalised as Docker does (distribution's reference grammar).
//!
//! Does not know which host answers for a name, or whether anything is there.

use std::fmt;

use crate::digest::BlobDigest;

/// The registry of names that name none.
pub const DOCKER_HUB: &str = "docker.io";

/// The tag of names that have none.
const DEFAULT_TAG: &str = "latest";

/// Longest repository with its host, in bytes: distribution's `NameTotalLengthMax`.
const MAX_REPOSITORY: usize = 255;

/// Longest tag, in bytes (distribution-spec, "Pulling manifests").
const MAX_TAG: usize = 128;

/// A repository: the host as named, and the path below it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Repository {
    /// `HOST[:PORT]`; [`DOCKER_HUB`] where the name has none.
    pub host: String,
    /// Its path, `library/` added where Docker Hub wants it.
    pub path: String,
}

/// `docker://HOST[:PORT]/REPO[:TAG][@DIGEST]`, or the same without the transport.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RegistryReference {
    /// Where.
    pub repository: Repository,
    /// The tag; `latest` where neither a tag nor a digest is given.
    pub tag: Option<String>,
    /// The manifest's digest; counts before the tag.
    pub digest: Option<BlobDigest>,
}

impl RegistryReference {
    /// Reads a name without its transport; `None` where no registry would have it.
    pub fn parse(text: &str) -> Option<Self> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse().ok()?)),
            None => (text, None),
        };
        // A colon before the last slash is a port's.
        let name_start = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match rest.get(name_start..)?.split_once(':') {
            Some((name, tag)) => (rest.get(..name_start + name.len())?, Some(tag)),
            None => (rest, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return None;
        }
        let tag = match (tag, &digest) {
            (Some(tag), _) => Some(tag.to_owned()),
            (None, Some(_)) => None,
            (None, None) => Some(DEFAULT_TAG.to_owned()),
        };
        Some(Self { repository: Repository::parse(name)?, tag, digest })
    }

    /// As a pod spec or `docker pull` names it: without a transport.
    pub fn name(&self) -> String {
        let mut name = self.repository.to_string();
        if let Some(tag) = &self.tag {
            name = format!("{name}:{tag}");
        }
        if let Some(digest) = &self.digest {
            name = format!("{name}@{digest}");
        }
        name
    }
}

impl Repository {
    fn parse(name: &str) -> Option<Self> {
        let (host, path) = match name.split_once('/') {
            Some((first, rest)) if is_host_by_look(first) => (first, rest),
            _ => (DOCKER_HUB, name),
        };
        let host = if host == "index.docker.io" { DOCKER_HUB } else { host };
        let is_official = host == DOCKER_HUB && !path.contains('/');
        let path = if is_official { format!("library/{path}") } else { path.to_owned() };
        let good = is_host(host)
            && path.split('/').all(is_component)
            && host.len() + 1 + path.len() <= MAX_REPOSITORY;
        good.then(|| Self { host: host.to_owned(), path })
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.path)
    }
}

impl fmt::Display for RegistryReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "docker://{}", self.name())
    }
}

/// Docker's rule for telling `host/name` from `user/name`.
fn is_host_by_look(text: &str) -> bool {
    text == "localhost" || text.contains(['.', ':']) || text.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn is_host(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let Some((address, after)) = rest.split_once(']') else { return false };
            if address.parse::<core::net::Ipv6Addr>().is_err() {
                return false;
            }
            match after.strip_prefix(':') {
                Some(port) => ("v6", Some(port)),
                None if after.is_empty() => ("v6", None),
                None => return false,
            }
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let digits = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    host.split('.').all(label)
        && port.is_none_or(|port| digits(port) && port.parse::<u16>().is_ok_and(|port| port > 0))
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(text: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if text.is_empty() || !text.bytes().all(|byte| alphanumeric(byte) || b"._-".contains(&byte)) {
        return false;
    }
    let edges =
        text.bytes().next().is_some_and(alphanumeric) && text.bytes().last().is_some_and(alphanumeric);
    let mut separators = text.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    edges
        && separators.all(|between| {
            matches!(between, "" | "." | "_" | "__") || between.bytes().all(|byte| byte == b'-')
        })
}

fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.len() <= MAX_TAG
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|byte| word(byte) || b".-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        RegistryReference::parse(text).map_or_else(|| "none".to_owned(), |reference| reference.to_string())
    }

    #[test]
    fn names_are_normalised_as_docker_does() {
        for (text, expected) in [
            ("nginx", "docker://docker.io/library/nginx:latest"),
            ("nginx:1.25", "docker://docker.io/library/nginx:1.25"),
            ("me/app", "docker://docker.io/me/app:latest"),
            ("index.docker.io/nginx", "docker://docker.io/library/nginx:latest"),
            ("localhost/app", "docker://localhost/app:latest"),
            ("host:5000/app", "docker://host:5000/app:latest"),
            ("Host/app:1", "docker://Host/app:1"),
            ("ghcr.io/a/b_c/d__e-f:V1", "docker://ghcr.io/a/b_c/d__e-f:V1"),
            ("[::1]:5000/app:1", "docker://[::1]:5000/app:1"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn digest_stands_alone_or_beside_a_tag() {
        let digest = BlobDigest::of(b"x");
        assert_eq!(shown(&format!("a@{digest}")), format!("docker://docker.io/library/a@{digest}"));
        assert_eq!(shown(&format!("a:1@{digest}")), format!("docker://docker.io/library/a:1@{digest}"));
    }

    #[test]
    fn what_no_registry_takes_is_no_name() {
        for text in [
            "",
            ":",
            "a:",
            "a:b c",
            "a:-x",
            "A",
            "a//b",
            "/a",
            "a/",
            "a_-b",
            "a..b",
            "-a",
            "a@sha256:0",
            "a@b",
            "host:0/a",
            "host:99999/a",
            "host:5000",
            "h..t/a",
            "[::1/a",
            "[x]/a",
            "a b",
            "a\n",
            "user:pass@host/a",
        ] {
            let found = shown(text);
            // `host:5000` is a repository `host` with a tag, as Docker has it.
            let expected = if text == "host:5000" { "docker://docker.io/library/host:5000" } else { "none" };
            assert_eq!(found, expected, "{text}");
        }
        assert_eq!(shown(&"a".repeat(300)), "none");
        assert_eq!(shown(&format!("a:{}", "t".repeat(129))), "none");
    }
}

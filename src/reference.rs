//! Where an image is, as skopeo writes it (containers-transports(5)).
//!
//! Does not know whether anything is there.

mod registry;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

pub use registry::{DOCKER_HUB, RegistryReference, Repository};

/// The path that stands for stdin or stdout.
pub const STDIO: &str = "-";

/// Longest name of an image in a layout or archive, in bytes: more than any registry accepts with host and tag.
const MAX_NAME: usize = 512;

/// An image on this machine, in files or in a daemon, or in a registry.
///
/// A path ends at the first `:`, so that it cannot contain one; that is how skopeo and podman split it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reference {
    /// `oci:DIR[:REF]`: an OCI image layout in a directory.
    OciLayout {
        /// The layout.
        directory: PathBuf,
        /// Value of the annotation `org.opencontainers.image.ref.name`.
        tag: Option<String>,
    },
    /// `oci-archive:FILE[:REF]`: an OCI image layout in a tar archive.
    OciArchive {
        /// The archive; [`STDIO`] is stdin or stdout.
        file: PathBuf,
        /// Value of the annotation `org.opencontainers.image.ref.name`.
        tag: Option<String>,
    },
    /// `docker-daemon:NAME[:TAG]` or `docker-daemon:sha256:ID`: an image of the Docker daemon, or podman's service.
    DockerDaemon {
        /// Repository and tag, always with a tag, or the image's ID.
        name: String,
    },
    /// `docker-archive:FILE[:NAME[:TAG]]`: what `docker save` writes.
    DockerArchive {
        /// The archive; [`STDIO`] is stdin or stdout.
        file: PathBuf,
        /// Repository and tag, always with a tag: `latest` where none is given.
        tag: Option<String>,
    },
    /// `docker://NAME` or a bare name: an image in a registry.
    Registry(RegistryReference),
}

/// Why a text names no image that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// `docker:…` without the slashes.
    #[error("image `{0}` has no `//` after the transport: expected `docker://NAME`")]
    NoSlashes(String),
    /// A name that no registry has.
    #[error(
        "image `{0}` is not a registry's name: expected `[HOST[:PORT]/]REPOSITORY[:TAG][@sha256:DIGEST]`"
    )]
    BadRegistryName(String),
    /// A transport of other tools.
    #[error(
        "image `{text}` names the transport `{transport}`: expected `docker://`, `oci:`, `oci-archive:`, `docker-archive:` or `docker-daemon:`"
    )]
    Transport {
        /// The whole text.
        text: String,
        /// What stands before the colon.
        transport: &'static str,
    },
    /// Nothing at all.
    #[error("image reference is empty")]
    Empty,
    /// No path after the transport.
    #[error("image `{0}` has no path: expected `{1}:PATH`")]
    NoPath(String, &'static str),
    /// A colon after the path and nothing after it, as an unset variable leaves it.
    #[error("image `{0}` ends in a colon: expected a name after it, or no colon")]
    EmptyTag(String),
    /// A name that no layout holds.
    #[error("name `{0}` is not a reference name: expected letters, digits and `-._:@/+`")]
    BadTag(String),
    /// A name that no docker archive holds.
    #[error("name `{0}` is not a repository and tag: expected `NAME[:TAG]`")]
    BadRepoTag(String),
    /// A digest or an index where only names are possible.
    #[error("name `{0}` holds `@`: a docker archive is asked by `NAME[:TAG]` only")]
    Digested(String),
}

/// Transports of containers-transports(5) that are not images on this machine's disk as kiln reads them.
const OTHER_TRANSPORTS: [&str; 5] = ["containers-storage", "dir", "ostree", "sif", "tarball"];

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        if text.is_empty() {
            return Err(ReferenceError::Empty);
        }
        let (transport, rest) = text.split_once(':').unwrap_or((text, ""));
        match transport {
            // An image may be named like a transport: a name without a colon has none.
            _ if !text.contains(':') => registry(text, text),
            "docker" => match rest.strip_prefix("//") {
                Some(name) => registry(text, name),
                None => Err(ReferenceError::NoSlashes(text.to_owned())),
            },
            "oci" => {
                let (path, tag) = split_path(text, rest, "oci")?;
                Ok(Self::OciLayout { directory: path, tag: tag.map(reference_name).transpose()? })
            }
            "oci-archive" => {
                let (path, tag) = split_path(text, rest, "oci-archive")?;
                Ok(Self::OciArchive { file: path, tag: tag.map(reference_name).transpose()? })
            }
            "docker-archive" => {
                let (path, tag) = split_path(text, rest, "docker-archive")?;
                Ok(Self::DockerArchive { file: path, tag: tag.map(repo_tag).transpose()? })
            }
            "docker-daemon" if rest.is_empty() => {
                Err(ReferenceError::NoPath(text.to_owned(), "docker-daemon"))
            }
            "docker-daemon" => Ok(Self::DockerDaemon { name: repo_tag(rest)? }),
            other => match OTHER_TRANSPORTS.into_iter().find(|&known| known == other) {
                Some(transport) => Err(ReferenceError::Transport { text: text.to_owned(), transport }),
                None => registry(text, text),
            },
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (transport, path, tag) = match self {
            Self::OciLayout { directory, tag } => ("oci", directory, tag),
            Self::OciArchive { file, tag } => ("oci-archive", file, tag),
            Self::DockerArchive { file, tag } => ("docker-archive", file, tag),
            Self::DockerDaemon { name } => return write!(f, "docker-daemon:{name}"),
            Self::Registry(reference) => return reference.fmt(f),
        };
        write!(f, "{transport}:{}", path.display())?;
        match tag {
            Some(tag) => write!(f, ":{tag}"),
            None => Ok(()),
        }
    }
}

fn registry(text: &str, name: &str) -> Result<Reference, ReferenceError> {
    let parsed = RegistryReference::parse(name);
    parsed.map(Reference::Registry).ok_or_else(|| ReferenceError::BadRegistryName(text.to_owned()))
}

fn split_path<'a>(
    text: &str,
    rest: &'a str,
    transport: &'static str,
) -> Result<(PathBuf, Option<&'a str>), ReferenceError> {
    let (path, tag) = match rest.split_once(':') {
        Some((path, tag)) => (path, Some(tag)),
        None => (rest, None),
    };
    if path.is_empty() {
        return Err(ReferenceError::NoPath(text.to_owned(), transport));
    }
    if tag == Some("") {
        return Err(ReferenceError::EmptyTag(text.to_owned()));
    }
    Ok((PathBuf::from(path), tag))
}

/// The grammar of `org.opencontainers.image.ref.name` (image-spec, annotations), a little wider: any order of its characters.
fn reference_name(text: &str) -> Result<String, ReferenceError> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:@/+".contains(&byte);
    if text.len() > MAX_NAME || !text.bytes().all(good) {
        return Err(ReferenceError::BadTag(text.to_owned()));
    }
    Ok(text.to_owned())
}

/// A repository with its tag, `latest` added where there is none.
fn repo_tag(text: &str) -> Result<String, ReferenceError> {
    if text.contains('@') {
        return Err(ReferenceError::Digested(text.to_owned()));
    }
    let bad = || ReferenceError::BadRepoTag(text.to_owned());
    // A colon before the last slash is a registry's port.
    let name_start = text.rfind('/').map_or(0, |slash| slash + 1);
    let (repository, tag) = match text.get(name_start..).and_then(|name| name.split_once(':')) {
        Some((name, tag)) => (text.get(..name_start + name.len()).unwrap_or_default(), tag),
        None => (text, "latest"),
    };
    let name_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:/".contains(&byte);
    let tag_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let good = text.len() <= MAX_NAME
        // As Docker's grammar; in a daemon's URL, `..` would climb.
        && repository.split('/').all(|component| component.starts_with(|c: char| c.is_ascii_alphanumeric()))
        && repository.bytes().all(name_byte)
        && !tag.is_empty()
        && tag.bytes().all(tag_byte);
    if good { Ok(format!("{repository}:{tag}")) } else { Err(bad()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Reference, ReferenceError> {
        text.parse()
    }

    #[test]
    fn path_ends_at_the_first_colon() {
        assert_eq!(
            parse("oci:/a/b:c:d"),
            Ok(Reference::OciLayout { directory: "/a/b".into(), tag: Some("c:d".into()) })
        );
        assert_eq!(parse("oci-archive:x.tar"), Ok(Reference::OciArchive { file: "x.tar".into(), tag: None }));
    }

    #[test]
    fn docker_archive_names_get_the_tag_latest() {
        let tag_of = |text| match parse(text) {
            Ok(Reference::DockerArchive { tag, .. }) => tag,
            other => panic!("{other:?}"),
        };
        assert_eq!(tag_of("docker-archive:-"), None);
        assert_eq!(tag_of("docker-archive:-:app"), Some("app:latest".into()));
        assert_eq!(tag_of("docker-archive:f:host:5000/app"), Some("host:5000/app:latest".into()));
        assert_eq!(tag_of("docker-archive:f:host:5000/app:1"), Some("host:5000/app:1".into()));
    }

    #[test]
    fn registries_and_daemons_are_told_apart_from_nonsense() {
        for name in ["docker://nginx", "nginx", "oci", "host:5000/nginx:1.25", "docker://[::1]:5000/a/b"] {
            assert!(matches!(parse(name), Ok(Reference::Registry(_))), "{name}");
        }
        assert!(matches!(parse("docker:nginx"), Err(ReferenceError::NoSlashes(_))));
        for bad in ["docker://", "docker:///x", "https://host/x", "NGINX", "host:5000/x:"] {
            assert!(matches!(parse(bad), Err(ReferenceError::BadRegistryName(_))), "{bad}");
        }
        assert_eq!(parse("docker-daemon:nginx"), Ok(Reference::DockerDaemon { name: "nginx:latest".into() }));
        assert!(matches!(parse("docker-daemon:"), Err(ReferenceError::NoPath(..))));
        assert!(matches!(parse("docker-daemon:../x"), Err(ReferenceError::BadRepoTag(_))));
        assert!(matches!(parse("dir:/x"), Err(ReferenceError::Transport { transport: "dir", .. })));
        assert_eq!(parse(""), Err(ReferenceError::Empty));
    }

    #[test]
    fn empty_paths_and_tags_are_refused() {
        assert!(matches!(parse("oci:"), Err(ReferenceError::NoPath(..))));
        assert!(matches!(parse("oci::x"), Err(ReferenceError::NoPath(..))));
        assert!(matches!(parse("oci:x:"), Err(ReferenceError::EmptyTag(_))));
        assert!(matches!(parse("oci:x:a b"), Err(ReferenceError::BadTag(_))));
        assert!(matches!(parse("docker-archive:x:a@sha256:00"), Err(ReferenceError::Digested(_))));
        for bad in ["a:", "a//b", "/a", ":t", "a:b c"] {
            let text = format!("docker-archive:x:{bad}");
            assert!(matches!(parse(&text), Err(ReferenceError::BadRepoTag(_))), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_displayed_parses_to_the_same(text in "((oci|oci-archive|docker-archive|docker-daemon):[^:\0]{1,12}|(docker://)?[a-zA-Z0-9./:_-]{1,12})(:[a-z0-9./:_-]{1,12})?") {
            if let Ok(reference) = parse(&text) {
                prop_assert_eq!(parse(&reference.to_string()), Ok(reference));
            }
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC*") {
            let _ = parse(&text);
        }
    }
}

//! What the place of a path says: what it is for, whether a volume may stand there.
//!
//! Knows names and what is kept below them; not who writes there.

use super::Inputs;
use crate::path::ImagePath;
use crate::recipe::Purpose;
use crate::rootfs::Content;

/// Directories that are never declared: a volume there hides the system, or is the whole of it.
const NEVER: &[&str] = &[
    "/",
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/home",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/media",
    "/mnt",
    "/opt",
    "/proc",
    "/root",
    "/sbin",
    "/sys",
    "/usr",
    "/usr/local",
    "/usr/share",
    "/var",
    "/var/cache",
    "/var/lib",
    "/var/lib/dpkg",
    "/var/lib/apk",
    "/var/lib/rpm",
    "/var/log",
    "/var/spool",
    "/.kiln",
];

/// Trees below which nothing is declared at all: the kernel's, kiln's own, programs and libraries.
const NEVER_BELOW: &[&str] = &[
    "/bin",
    "/dev",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/proc",
    "/sbin",
    "/sys",
    "/usr/bin",
    "/usr/lib",
    "/usr/lib64",
    "/usr/sbin",
    "/usr/local/bin",
    "/usr/local/lib",
    "/usr/local/sbin",
    "/.kiln",
];

/// Why no volume may stand at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// One of the system's own directories.
    System,
    /// It holds a program, library or script that stays.
    Code(ImagePath),
    /// Kubernetes cannot name it: not printable UTF-8, or a `:` in it.
    Name,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::System => f.write_str("it is one of the system's own directories"),
            Self::Code(path) => write!(f, "it holds code: {path}"),
            Self::Name => f.write_str("its name cannot stand in a pod spec"),
        }
    }
}

/// Whether a volume may stand at the canonical `path`.
pub(super) fn refuse(inputs: &Inputs<'_>, path: &ImagePath) -> Option<Refusal> {
    if is_system(path) {
        return Some(Refusal::System);
    }
    if let Some(code) = code_below(inputs, path) {
        return Some(Refusal::Code(code));
    }
    let nameable = std::str::from_utf8(path.as_bytes())
        .is_ok_and(|text| !text.contains(':') && path.to_string() == format!("/{text}"));
    (!nameable).then_some(Refusal::Name)
}

/// Whether `path` is one of the system's own directories, or lies in a tree of programs.
pub fn is_system(path: &ImagePath) -> bool {
    NEVER.iter().any(|never| ImagePath::literal(never) == *path)
        || NEVER_BELOW.iter().any(|never| path.is_within(&ImagePath::literal(never)))
}

/// Whether `path` is the kernel's: nothing there is the image's to write.
pub fn is_kernel(path: &ImagePath) -> bool {
    ["/dev", "/proc", "/sys"].iter().any(|tree| path.is_within(&ImagePath::literal(tree)))
}

/// The first kept program, library or script at or below `path`.
fn code_below(inputs: &Inputs<'_>, path: &ImagePath) -> Option<ImagePath> {
    inputs
        .rootfs
        .below(path)
        .find(|(path, _)| {
            inputs.rootfs.entry(path).and_then(|entry| entry.file()).is_some_and(|file| {
                matches!(file.content, Content::Elf(_) | Content::ElfUnreadable | Content::Script(_))
            }) && (inputs.kept)(path)
        })
        .map(|(path, _)| path.clone())
}

/// What a directory is for, told from where it is.
pub(super) fn purpose(path: &ImagePath) -> Purpose {
    let within = |tree: &str| path.is_within(&ImagePath::literal(tree));
    if within("/tmp") || within("/var/tmp") {
        Purpose::Tmp
    } else if within("/run") {
        Purpose::Run
    } else if within("/var/cache") {
        Purpose::Cache
    } else if within("/var/log") || path.name() == b"logs" || path.name() == b"log" {
        Purpose::Log
    } else {
        Purpose::State
    }
}

/// Where software puts what it writes, by custom (FHS 3.0, 5 and 3.15–3.18).
pub(super) fn is_customary(path: &ImagePath) -> bool {
    ["/run", "/var/cache", "/var/lib", "/var/log", "/var/spool"]
        .iter()
        .any(|tree| path.is_within(&ImagePath::literal(tree)))
}

/// Directories that many programs share.
pub(super) fn is_shared(path: &ImagePath) -> bool {
    ["/run", "/run/lock", "/tmp", "/var/tmp"].iter().any(|shared| ImagePath::literal(shared) == *path)
}

/// A path written as text; relative ones are taken from `base`. `None` where it is no path.
pub(super) fn absolute(text: &str, base: &str) -> Option<ImagePath> {
    let joined = if text.starts_with('/') { text.to_owned() } else { format!("{base}/{text}") };
    let mut components: Vec<&str> = Vec::new();
    for component in joined.split('/') {
        match component {
            "" | "." => {}
            ".." => {
                components.pop();
            }
            name => components.push(name),
        }
    }
    ImagePath::parse(components.join("/").as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purposes_follow_the_place() {
        for (path, expect) in [
            ("/run/x", Purpose::Run),
            ("/tmp", Purpose::Tmp),
            ("/var/cache/x", Purpose::Cache),
            ("/usr/local/apache2/logs", Purpose::Log),
            ("/data", Purpose::State),
        ] {
            assert_eq!(purpose(&ImagePath::literal(path)), expect, "{path}");
        }
    }

    #[test]
    fn relative_paths_are_joined_and_climbing_stops_at_the_root() {
        assert_eq!(absolute("logs/x", "/srv"), Some(ImagePath::literal("/srv/logs/x")));
        assert_eq!(absolute("../../../x", "/srv"), Some(ImagePath::literal("/x")));
        assert_eq!(absolute("/a/../b", "/srv"), Some(ImagePath::literal("/b")));
        assert_eq!(absolute("./", "/data"), Some(ImagePath::literal("/data")));
    }
}

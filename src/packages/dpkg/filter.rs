//! The package database reduced to what remains, in its original layout and bytes.
//!
//! Pure text: what remains is the caller's to say, and paths are as written, not as they lie in the image.

use super::alternatives;
use super::control::stanzas;
use super::split_sum;
use crate::path::ImagePath;

/// `status`, or a file of `status.d`: stanzas of packages that `keep` says no to are left out. It is given name
/// and architecture (empty where there is none). All else stays, byte for byte.
pub fn filter_status(bytes: &[u8], keep: &dyn Fn(&str, &str) -> bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for stanza in stanzas(bytes) {
        let kept = stanza
            .text("Package")
            .is_none_or(|name| keep(&name, &stanza.text("Architecture").unwrap_or_default()));
        if kept {
            out.extend_from_slice(stanza.bytes);
        }
    }
    out
}

/// `info/*.list`: lines of paths that do not remain are left out.
pub fn filter_list(bytes: &[u8], remains: &dyn Fn(&ImagePath) -> bool) -> Vec<u8> {
    filter_lines(bytes, |line| line.is_empty() || path_remains(line, remains))
}

/// `*.md5sums`: lines of files that do not remain are left out.
pub fn filter_md5sums(bytes: &[u8], remains: &dyn Fn(&ImagePath) -> bool) -> Vec<u8> {
    filter_lines(bytes, |line| split_sum(line).is_none_or(|(_, path)| path_remains(path, remains)))
}

/// `info/*.conffiles`: lines of files that do not remain are left out.
pub fn filter_conffiles(bytes: &[u8], remains: &dyn Fn(&ImagePath) -> bool) -> Vec<u8> {
    filter_lines(bytes, |line| !line.starts_with(b"/") || path_remains(line, remains))
}

/// `diversions`: entries that `keep` says no to are left out. It is given both paths and the package, `:` for
/// a local diversion. A cut entry at the end stays.
pub fn filter_diversions(bytes: &[u8], keep: &dyn Fn(&ImagePath, &ImagePath, &str) -> bool) -> Vec<u8> {
    let lines: Vec<&[u8]> = bytes.split_inclusive(|&byte| byte == b'\n').collect();
    let kept = lines.chunks(3).filter(|triple| {
        let [from, to, package] = triple else { return true };
        match (ImagePath::parse(text(from)), ImagePath::parse(text(to))) {
            (Ok(from), Ok(to)) => keep(&from, &to, &String::from_utf8_lossy(text(package))),
            _ => true,
        }
    });
    kept.flatten().copied().collect::<Vec<&[u8]>>().concat()
}

/// A record of `alternatives`: choices whose program does not remain are left out, and so are the names of other
/// files that do not. `None` where no choice remains: the record goes. What is no record stays.
pub fn filter_alternative(bytes: &[u8], remains: &dyn Fn(&ImagePath) -> bool) -> Option<Vec<u8>> {
    let Some(layout) = alternatives::layout(bytes) else { return Some(bytes.to_vec()) };
    let stays = |line: &[u8]| alternatives::target(line).is_none_or(|path| remains(&path));
    let mut out = layout.head.concat();
    let mut any = false;
    for choice in layout.choices {
        if !choice.first().is_some_and(|master| stays(master)) {
            continue;
        }
        any = true;
        for (at, line) in choice.into_iter().enumerate() {
            // The second line is the priority; a blank line stands for a file that this choice does not have.
            out.extend_from_slice(if at == 1 || stays(line) { line } else { b"\n" });
        }
    }
    out.extend(layout.tail.concat());
    any.then_some(out)
}

/// What a file of `info` is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InfoKind {
    /// `list`: the package's files.
    List,
    /// `md5sums`.
    Sums,
    /// `conffiles`.
    Conffiles,
    /// `preinst`, `postinst`, `prerm`, `postrm`, `config`: scripts that only a package manager runs.
    Script,
    /// `shlibs`, `symbols`, `triggers`, `templates` and whatever else: of use to a package manager only.
    Other,
}

/// The package that a file of `/var/lib/dpkg/info` belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InfoFile {
    /// Name of the package, as the file name has it.
    pub package: String,
    /// Architecture, where the file name has it.
    pub architecture: Option<String>,
    /// What for.
    pub kind: InfoKind,
}

/// Which package the file at `path` belongs to; `None` where it is no file of a package in the database.
pub fn belongs_to(path: &ImagePath) -> Option<InfoFile> {
    let name = path.as_bytes().strip_prefix(b"var/lib/dpkg/info/")?;
    let name = std::str::from_utf8(name).ok().filter(|name| !name.contains('/'))?;
    let (stem, suffix) = name.rsplit_once('.')?;
    let (package, architecture) = match stem.split_once(':') {
        Some((package, architecture)) => (package, Some(architecture.to_owned())),
        None => (stem, None),
    };
    let kind = match suffix {
        "list" => InfoKind::List,
        "md5sums" => InfoKind::Sums,
        "conffiles" => InfoKind::Conffiles,
        "preinst" | "postinst" | "prerm" | "postrm" | "config" => InfoKind::Script,
        _ => InfoKind::Other,
    };
    Some(InfoFile { package: package.to_owned(), architecture, kind })
}

fn filter_lines(bytes: &[u8], keep: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    bytes
        .split_inclusive(|&byte| byte == b'\n')
        .filter(|line| keep(text(line)))
        .collect::<Vec<&[u8]>>()
        .concat()
}

/// What cannot be read as a path is not kiln's to judge.
fn path_remains(line: &[u8], remains: &dyn Fn(&ImagePath) -> bool) -> bool {
    ImagePath::parse(line).map_or(true, |path| path.is_root() || remains(&path))
}

fn text(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without(gone: &'static str) -> impl Fn(&ImagePath) -> bool {
        let gone = ImagePath::literal(gone);
        move |path| !path.is_within(&gone)
    }

    #[test]
    fn kept_stanzas_are_the_same_bytes() {
        let text =
            b"Package: a\nArchitecture: all\n\nPackage: b\nArchitecture: amd64\nX: \r\n y\n\n\nPackage: c\n";
        let out = filter_status(text, &|name, architecture| (name, architecture) != ("a", "all"));
        assert_eq!(out, b"Package: b\nArchitecture: amd64\nX: \r\n y\n\n\nPackage: c\n");
        assert_eq!(filter_status(text, &|_, _| true), text);
        assert_eq!(filter_status(text, &|_, _| false), b"");
    }

    #[test]
    fn lists_and_sums_lose_what_is_gone() {
        assert_eq!(filter_list(b"/.\n/bin\n/bin/bash\n/binary\n", &without("/bin")), b"/.\n/binary\n");
        let sum = "0123456789abcdef0123456789abcdef";
        let sums = format!("{sum}  bin/bash\n{sum}  usr/bin/a b\nodd\n");
        assert_eq!(
            filter_md5sums(sums.as_bytes(), &without("/bin")),
            format!("{sum}  usr/bin/a b\nodd\n").as_bytes()
        );
        assert_eq!(
            filter_conffiles(b"/etc/a\nremove-on-upgrade /etc/b\n", &without("/etc/a")),
            b"remove-on-upgrade /etc/b\n"
        );
    }

    #[test]
    fn a_diversion_goes_as_a_whole() {
        let text = b"/bin/sh\n/bin/sh.distrib\ndash\n/a\n/b\n:\n/cut\n";
        let out =
            filter_diversions(text, &|_, to, package| package != "dash" && *to != ImagePath::literal("x"));
        assert_eq!(out, b"/a\n/b\n:\n/cut\n");
    }

    #[test]
    fn an_alternative_without_its_program_is_no_choice() {
        let text = b"auto\n/usr/bin/awk\nawk.1\n/usr/share/man/awk.1\n\n/usr/bin/mawk\n5\n/usr/share/man/mawk.1\n/usr/bin/gawk\n10\n\n\n";
        assert_eq!(
            filter_alternative(text, &without("/usr/bin/mawk")).unwrap(),
            b"auto\n/usr/bin/awk\nawk.1\n/usr/share/man/awk.1\n\n/usr/bin/gawk\n10\n\n\n"
        );
        assert_eq!(
            filter_alternative(text, &without("/usr/share")).unwrap(),
            b"auto\n/usr/bin/awk\nawk.1\n/usr/share/man/awk.1\n\n/usr/bin/mawk\n5\n\n/usr/bin/gawk\n10\n\n\n"
        );
        assert_eq!(filter_alternative(text, &without("/usr/bin")), None);
        assert_eq!(filter_alternative(text, &|_| true).unwrap(), text);
        assert_eq!(filter_alternative(b"odd", &|_| false).unwrap(), b"odd");
    }

    #[test]
    fn info_files_name_their_package() {
        let of = |name: &str| belongs_to(&ImagePath::literal("/var/lib/dpkg/info").child(name.as_bytes()));
        let libc = of("libc6:amd64.postinst").unwrap();
        assert_eq!(
            (libc.package.as_str(), libc.architecture.as_deref(), libc.kind),
            ("libc6", Some("amd64"), InfoKind::Script)
        );
        let docker = of("docker.io.list").unwrap();
        assert_eq!(
            (docker.package.as_str(), docker.architecture, docker.kind),
            ("docker.io", None, InfoKind::List)
        );
        assert_eq!(of("format"), None);
        assert_eq!(belongs_to(&ImagePath::literal("/var/lib/dpkg/info/x/y.list")), None);
    }

    proptest::proptest! {
        #[test]
        fn keeping_everything_changes_nothing(text in "([A-Z][a-z]{0,3}:? ?[a-z/]{0,5}\r?\n|\n| [a-z]*\n|/[a-z]*\n|auto\n)*") {
            let bytes = text.as_bytes();
            proptest::prop_assert_eq!(filter_status(bytes, &|_, _| true), bytes);
            proptest::prop_assert_eq!(filter_list(bytes, &|_| true), bytes);
            proptest::prop_assert_eq!(filter_md5sums(bytes, &|_| true), bytes);
            proptest::prop_assert_eq!(filter_diversions(bytes, &|_, _, _| true), bytes);
            let alternative = filter_alternative(bytes, &|_| true);
            proptest::prop_assert!(alternative.is_none_or(|out| out == bytes));
        }
    }
}

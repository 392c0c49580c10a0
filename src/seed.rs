//! Seeding: what fills volumes with the image's own content before an app starts, as it lies in a hardened image.
//!
//! A helper in `/.kiln/seed`, a table of what it copies in `/.kiln/seeds`, and a mount point for each volume below
//! `/.kiln/volumes`. Knows the helper's bytes and the table's form; what is seeded is the plan's to decide. The helper's source is
//! in `seed/helper`: a program of its own, whose bytes are checked in, so that every build of kiln has the same. For processors
//! that it was not built for `script` does what it does, in a container of the source image.

mod records;
pub mod script;

pub use records::{Kind, MAX_TABLE, Malformed, Record, records};

use crate::image::Platform;
use crate::path::ImagePath;

/// Where the helper lies.
pub const HELPER_PATH: &str = ".kiln/seed";
/// Where its table lies.
pub const TABLE_PATH: &str = ".kiln/seeds";
/// Below it volumes are mounted for the helper, each at the path that it is mounted at for the app.
pub const VOLUMES_PATH: &str = ".kiln/volumes";
/// Where files stand that are written where no volume can be: links lead there.
pub const FILES_PATH: &str = ".kiln/files";
/// What the app's directory is called in its volume. The volume's own top belongs to whoever made it, with a mode that nobody
/// chose; of this one owner and mode are the image's.
pub const TREE: &str = "tree";

/// Most bytes that are copied at a start: as much takes seconds on a slow disk, and what is larger is no state that an
/// installation made.
pub const MAX_BYTES: u64 = 1 << 30;

/// Most bytes of a helper that are read back: many times as many as it has.
const MAX_HELPER: u64 = 256 << 10;

/// The helper for images of `platform`; `None` where kiln has none.
pub fn helper(platform: &Platform) -> Option<&'static [u8]> {
    match (platform.os(), platform.architecture()) {
        ("linux", "amd64") => Some(include_bytes!("seed/helper/seed.x86_64")),
        ("linux", "arm64") => Some(include_bytes!("seed/helper/seed.aarch64")),
        _ => None,
    }
}

/// How many bytes of the file at `path` pass 1 must keep to check what seeds an image.
pub fn wanted(path: &ImagePath) -> Option<u64> {
    match path.as_bytes() {
        path if path == HELPER_PATH.as_bytes() => Some(MAX_HELPER),
        path if path == TABLE_PATH.as_bytes() => Some(MAX_TABLE as u64),
        _ => None,
    }
}

/// Where the volume for the tree at `path` is mounted for the helper.
pub fn mount_point(path: &ImagePath) -> ImagePath {
    path.components().fold(ImagePath::literal(VOLUMES_PATH), |at, name| at.child(name))
}

/// How many bytes of records fit into a table.
pub fn table_room() -> usize {
    MAX_TABLE - records::HEAD.len() - 1
}

/// Where the link at `path` leads.
pub fn link_target(path: &ImagePath) -> ImagePath {
    path.components().fold(ImagePath::literal(FILES_PATH), |at, name| at.child(name))
}

/// Whether the helper takes `path`, as a tree or in one: below its volumes it is longer.
pub fn takes(path: &ImagePath) -> bool {
    let length = path.as_bytes().len() + VOLUMES_PATH.len() + "//".len();
    length <= records::MAX_PATH && path.components().all(|name| name.len() <= records::MAX_NAME)
}

/// The table of `records`; `None` where it would be too large, or one of them cannot stand in it.
pub fn table(records: impl IntoIterator<Item = (Kind, u16, Vec<u8>)>) -> Option<Vec<u8>> {
    let mut out = [records::HEAD, b"\0"].concat();
    for (kind, mode, path) in records {
        let mode = format!("{:04o}", mode & 0o1777);
        out.extend_from_slice(&[&[kind.letter(), b' '], mode.as_bytes(), b" ", &path, b"\0"].concat());
        if out.len() > MAX_TABLE {
            return None;
        }
    }
    let is_whole = records::records(&out).all(|record| record.is_ok());
    is_whole.then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(table: &[u8]) -> Result<Vec<(Kind, u32, String)>, Malformed> {
        let text = |path: &[u8]| String::from_utf8_lossy(path).into_owned();
        records(table)
            .map(|record| record.map(|record| (record.kind, record.mode, text(record.path))))
            .collect()
    }

    #[test]
    fn what_is_written_is_read_back() {
        let all: [(Kind, u16, &str); 6] = [
            (Kind::Tree, 0o700, "/var/lib/x y"),
            (Kind::Directory, 0o1777, "tmp"),
            (Kind::File, 0o600, "tmp/a\nb"),
            (Kind::Link, 0o777, "l"),
            (Kind::Pipe, 0o640, "p"),
            (Kind::Tree, 0o755, "/z"),
        ];
        let table = table(all.map(|(kind, mode, path)| (kind, mode, path.as_bytes().to_vec()))).unwrap();
        let expected: Vec<_> = all.map(|(kind, mode, path)| (kind, u32::from(mode), path.to_owned())).into();
        assert_eq!(read(&table), Ok(expected));
        assert_eq!(read(b"kiln-seeds 1\0"), Ok(Vec::new()));
    }

    #[test]
    fn setuid_is_not_written() {
        let table = table([(Kind::Tree, 0o6755, b"/x".to_vec())]).unwrap();
        assert_eq!(table, b"kiln-seeds 1\0T 0755 /x\0");
    }

    #[test]
    fn what_no_helper_should_follow_is_malformed() {
        let long = [b"f 0644 ".as_slice(), &[b'a'; records::MAX_NAME + 1]].concat();
        let deep = [b"f 0644 ".as_slice(), &b"a/".repeat(2048), b"a"].concat();
        for record in [
            b"f 0644 ../x".as_slice(),
            b"f 0644 a/../x",
            b"f 0644 a//x",
            b"f 0644 /x",
            b"f 0644 a/",
            b"f 0644 .",
            b"f 0644 ",
            b"f 4755 x",
            b"f 2755 x",
            b"f 0888 x",
            b"f 644 x",
            b"f 00644 x",
            b"x 0644 x",
            b"T 0644 x",
            b"T 0644 /",
            b"T 0644 /../x",
            b"",
            &long,
            &deep,
        ] {
            let table = [b"kiln-seeds 1\0T 0755 /x\0".as_slice(), record, b"\0"].concat();
            assert_eq!(read(&table), Err(Malformed), "{}", String::from_utf8_lossy(record));
        }
        for table in [
            b"".as_slice(),
            b"kiln-seeds 2\0",
            b"kiln-seeds 1",
            b"kiln-seeds 1\0f 0644 x\0",
            b"kiln-seeds 1\0T 0755 /x",
        ] {
            assert_eq!(read(table), Err(Malformed), "{}", String::from_utf8_lossy(table));
        }
    }

    #[test]
    fn volumes_are_mounted_for_the_helper_by_the_path_they_have_for_the_app() {
        let point = mount_point(&ImagePath::literal("/var/lib/x"));
        assert_eq!(point, ImagePath::literal("/.kiln/volumes/var/lib/x"));
    }

    #[test]
    fn helpers_are_static_programs_of_their_architecture() {
        for (platform, machine) in [("linux/amd64", 62), ("linux/arm64", 183)] {
            let helper = helper(&platform.parse().unwrap()).unwrap();
            assert!(
                helper.starts_with(b"\x7fELF\x02\x01") && helper[16] == 2 && helper[18] == machine,
                "{platform}"
            );
            assert!(helper.len() as u64 <= MAX_HELPER);
        }
        assert_eq!(helper(&"linux/arm/v7".parse().unwrap()), None);
        assert_eq!(helper(&"windows/amd64".parse().unwrap()), None);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes in "(kiln-seeds 1\0)?[Tdflp 0-7a./\0]{0,60}") {
            let _ = read(bytes.as_bytes());
        }
    }
}

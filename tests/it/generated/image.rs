//! Images by chance: few names, so that layers meet; links, loops, whiteouts, replacements, odd names.
//!
//! An entry that no runtime could unpack is left out when the image is built.

use std::fmt;

use kiln::path::ImagePath;
use kiln::plan::Level;
use kiln::rootfs::{Entry, File, Kind, LayerIndex, Rootfs, dump};
use proptest::prelude::*;

use crate::fixture::Fixture;

/// What to build an image from.
#[derive(Clone)]
pub struct Image {
    layers: Vec<Vec<Entry>>,
    cmd: Vec<&'static str>,
    level: Level,
    keep: Vec<&'static str>,
    strip: Vec<&'static str>,
    user: &'static str,
    writable: Option<&'static str>,
}

const DIRECTORIES: &[&[u8]] = &[
    b"",
    b"",
    b"bin",
    b"usr",
    b"usr/bin",
    b"usr/bin",
    b"usr/lib",
    b"app",
    b"app",
    b"d",
    b"d/e",
    b"link",
    b"etc",
    b"var/lib/data",
    b"a-very-long-name-that-does-not-fit-into-one-tar-header/nor-does-its-neighbour-in-the-same-directory/x",
];

const NAMES: &[&[u8]] = &[
    b"sh",
    b"bash",
    b"env",
    b"ls",
    b"app",
    b"app",
    b"libx.so",
    b"liby.so",
    b"x",
    b"y",
    b"d",
    b"e",
    b"link",
    b"bin",
    b"usr",
    b"odd\xff\n",
    b"spa ce",
    b"run.sh",
    b"passwd",
    b"data",
    b"perl",
];

const TARGETS: &[&str] = &[
    "x",
    "../x",
    "/app/app",
    "/bin",
    "usr/bin",
    "/usr/bin/sh",
    "sh",
    "link",
    "/link",
    "..",
    "/d",
    "d/e",
    "/nowhere",
    "/etc/passwd",
    "../../../usr/lib",
    "/bin/bash",
    ".",
];

const FILES: &[&str] = &[
    "elf static",
    "elf needed=libx.so interp=/usr/lib/liby.so",
    "elf needed=libx.so,liby.so",
    "elf needed=libgone.so system",
    "#!/bin/sh",
    "#!/usr/bin/env app",
    "#!/app/app",
    "#!/app/x -x",
    "\"#!/bin/sh\\nls /d\\nexec app\\n\"",
    "\"root:x:0:0::/root:/bin/sh\\n\"",
    "\"\"",
    "700",
    "\"some text\"",
];

const COMMANDS: &[&[&str]] = &[
    &["/app/app"],
    &["app"],
    &["/app/x", "y"],
    &["sh", "-c", "app"],
    &["sh", "-c", "app $X"],
    &["/app/run.sh", "app"],
    &["env", "A=b", "app"],
    &[],
];

const GLOBS: &[&str] =
    &["/bin/*", "/app/x", "/usr/lib/libx.so", "/d/**", "/link", "/nowhere", "**/sh", "/usr"];

fn path() -> impl Strategy<Value = ImagePath> {
    (prop::sample::select(DIRECTORIES), prop::sample::select(NAMES))
        .prop_map(|(directory, name)| ImagePath::parse(&[directory, b"/", name].concat()).unwrap())
}

fn file() -> impl Strategy<Value = Kind> {
    prop::sample::select(FILES).prop_map(|text| {
        let layers = dump::parse_layers(&format!("/f f {text}"));
        layers[0].entries[0].kind.clone()
    })
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        6 => file(),
        3 => Just(Kind::Directory),
        2 => prop::sample::select(TARGETS).prop_map(|target| Kind::Symlink(target.as_bytes().into())),
        2 => path().prop_map(Kind::Hardlink),
        1 => Just(Kind::Whiteout),
        1 => Just(Kind::Opaque),
        1 => Just(Kind::Fifo),
        1 => Just(Kind::CharDevice(1, 3)),
    ]
}

fn entry() -> impl Strategy<Value = Entry> {
    let modes =
        prop::sample::select(&[0o755, 0o755, 0o755, 0o644, 0o700, 0o600, 0o4755, 0o1777, 0o555, 0o2775][..]);
    let owners = prop::sample::select(&[(0, 0), (0, 0), (1000, 1000), (0, 42), (65532, 0)][..]);
    let capable = prop::sample::select(&[false, false, false, false, true][..]);
    (path(), kind(), modes, owners, capable).prop_map(|(path, kind, mode, (uid, gid), capable)| {
        // An edited account file that is a program would be text afterwards: no image is like that.
        let kind = match kind {
            Kind::File(_) if path.name() == b"passwd" => {
                dump::parse_layers("/f f \"x:x:7:7::/:/bin/sh\\n\"")[0].entries[0].kind.clone()
            }
            kind => kind,
        };
        let capable = capable && matches!(kind, Kind::File(_));
        let xattrs = capable.then(|| {
            Box::new(vec![
                (Box::from(&b"user.note"[..]), Box::from(&b"kept"[..])),
                (Box::from(&b"security.capability"[..]), Box::from(&b"\x01\0\0\x02"[..])),
            ])
        });
        Entry { path, kind, mode, uid, gid, mtime: 1_700_000_000, xattrs }
    })
}

/// Any image, and any way to harden it.
pub fn any() -> impl Strategy<Value = Image> {
    let globs = || prop::collection::vec(prop::sample::select(GLOBS), 0..3);
    (
        prop::collection::vec(prop::collection::vec(entry(), 0..14), 1..5),
        prop::sample::select(COMMANDS),
        prop::sample::select(&[Level::Distroless, Level::Distroless, Level::Distroless, Level::Strip][..]),
        (globs(), globs()),
        prop::sample::select(&["", "", "1000", "1000:42"][..]),
        prop::sample::select(&[None, None, Some("/d"), Some("/var/lib/data/x"), Some("/new/deep")][..]),
    )
        .prop_map(|(layers, cmd, level, (keep, strip), user, writable)| Image {
            layers,
            cmd: cmd.to_vec(),
            level,
            keep: keep.into_iter().take(1).collect(),
            strip: strip.into_iter().skip(1).collect(),
            user,
            writable,
        })
}

impl Image {
    /// The layers, without entries that no runtime could unpack.
    pub fn layers(&self) -> Vec<LayerIndex> {
        let mut layers: Vec<LayerIndex> = Vec::new();
        for wanted in &self.layers {
            layers.push(LayerIndex::default());
            for entry in wanted {
                let mut with = layers.clone();
                if let Some(top) = with.last_mut() {
                    top.entries.push(entry.clone());
                }
                if is_possible(&with) {
                    layers = with;
                }
            }
        }
        layers
    }

    /// The image as a fixture.
    pub fn fixture(&self) -> Fixture {
        let mut fixture = Fixture::new("").cmd(&self.cmd).user(self.user).env(&["PATH=/app:/usr/bin:/bin"]);
        fixture.layers = self.layers();
        fixture.options.level = self.level;
        fixture.options.keep = self.keep.iter().map(ToString::to_string).collect();
        fixture.options.strip = self.strip.iter().map(ToString::to_string).collect();
        fixture.options.writable = self.writable.map(ImagePath::literal).into_iter().collect();
        fixture
    }
}

/// Whether each entry of the top layer has somewhere to be: no file above it, no loop, a link's target is a file.
fn is_possible(layers: &[LayerIndex]) -> bool {
    let Some((top, lower)) = layers.split_last() else { return true };
    // Layer by layer and entry by entry, whiteouts first: as it will be unpacked.
    let (whiteouts, others): (Vec<Entry>, Vec<Entry>) =
        top.entries.iter().cloned().partition(|entry| matches!(entry.kind, Kind::Whiteout | Kind::Opaque));
    let mut done = lower.to_vec();
    let Ok(rootfs) = Rootfs::merge(done.clone()) else { return false };
    let lands = |entry: &Entry| {
        let directory = match entry.kind {
            Kind::Opaque => Some(entry.path.clone()),
            _ => entry.path.parent(),
        };
        directory.and_then(|directory| rootfs.canonicalize_missing(&directory)).is_some()
    };
    if !whiteouts.iter().all(lands) {
        return false;
    }
    done.push(LayerIndex { entries: whiteouts });
    for entry in others {
        let Ok(rootfs) = Rootfs::merge(done.clone()) else { return false };
        let above = entry.path.parent().unwrap_or_else(ImagePath::root);
        let Some(above) = rootfs.canonicalize_missing(&above) else { return false };
        let blocked = std::iter::once(above.clone())
            .chain(above.ancestors())
            .any(|dir| rootfs.node(&dir).is_some() && !rootfs.is_directory(&dir));
        if blocked {
            return false;
        }
        if let Kind::Hardlink(target) = &entry.kind
            && *target == entry.path
        {
            return false;
        }
        if let Some(top) = done.last_mut() {
            top.entries.push(entry);
        }
    }
    Rootfs::merge(done).is_ok()
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:?} {:?} keep {:?} strip {:?} user {:?} writable {:?}",
            self.cmd, self.level, self.keep, self.strip, self.user, self.writable
        )?;
        for (number, layer) in self.layers().iter().enumerate() {
            if number > 0 {
                writeln!(f, "--")?;
            }
            for entry in &layer.entries {
                let Entry { path, kind, mode, uid, gid, .. } = entry;
                let what = match kind {
                    Kind::File(File { size, content, .. }) => format!("f {size} {content:?}"),
                    Kind::Symlink(target) => format!("l {}", String::from_utf8_lossy(target)),
                    Kind::Hardlink(target) => format!("h {target}"),
                    other => format!("{other:?}"),
                };
                writeln!(f, "{path} {what} {mode:04o} {uid}:{gid}")?;
            }
        }
        Ok(())
    }
}

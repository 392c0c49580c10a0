//! Memory grows with an image's entries, by a stated number of bytes for each, and with nothing else.
//!
//! The one test of its program: whatever else ran would be counted too.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]
#![allow(clippy::indexing_slicing, reason = "offsets of a header that is made here")]

use std::fmt::Write as _;
use std::io::{Cursor, Read};

use kiln::accounts::Accounts;
use kiln::image::Config;
use kiln::layer::index::read_index;
use kiln::options::Options;
use kiln::packages::{self, Database};
use kiln::plan::decide::decide;
use kiln::plan::known::Known;
use kiln::plan::{Level, Plan};
use kiln::recipe;
use kiln::rootfs::Rootfs;
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// What one entry may take at the peak: 304 bytes are its name, its place in the index, in the tree, among the owners
/// and the verdicts, its line in the package database and in the report; and a little room.
const PER_ENTRY: usize = 320;

/// A tar stream of `count` files with `size` bytes each, half of them the application's, half a package's that goes.
/// Content is made while it is read.
fn layer(count: usize, size: u64) -> impl Read {
    let owned =
        |number: usize| format!("usr/share/package/part-{:04}/file-{:02}.data", number / 100, number % 100);
    let (mut list, mut sums) = (String::new(), String::new());
    for number in 0..count / 2 {
        let name = owned(number);
        let _ = writeln!(list, "/{name}");
        let _ = writeln!(sums, "{:032x}  {name}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    }
    let status = "Package: package\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n".to_owned();
    let database = [
        ("var/lib/dpkg/status", status),
        ("var/lib/dpkg/info/package.list", list),
        ("var/lib/dpkg/info/package.md5sums", sums),
    ];
    let mut front = Vec::new();
    let database = database.map(|(path, text)| (path, text.into_bytes()));
    for (path, bytes) in database.into_iter().chain([(PROGRAM, program())]) {
        front.extend(header(path, bytes.len() as u64));
        front.extend(bytes);
        front.resize(front.len().next_multiple_of(512), 0);
    }
    let files = (0..count).flat_map(move |number| {
        let name = match number % 2 {
            0 => owned(number / 2),
            _ => {
                format!("srv/app/node_modules/module-{:04}/lib/file-{:02}.js", number / 200, number / 2 % 100)
            }
        };
        let padded = usize::try_from(size.next_multiple_of(512)).unwrap();
        [Piece { bytes: header(&name, size), zeros: 0 }, Piece { bytes: Vec::new(), zeros: padded }]
    });
    let end = Piece { bytes: Vec::new(), zeros: 1024 };
    Pieces { left: Piece { bytes: front, zeros: 0 }.reader(), next: files.chain([end]) }
}

/// What the image starts, so that its package is not needed.
const PROGRAM: &str = "srv/app/main";

/// A static program of headers only: an ELF header and one segment (elf(5)).
fn program() -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(16, 0);
    let (executable, x86_64, load) = (2u16, 62u16, 1u32);
    for (at, value) in [(16, executable), (18, x86_64), (52, 64), (54, 56), (56, 1)] {
        bytes.resize(bytes.len().max(at + 2), 0);
        bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }
    bytes.resize(120, 0);
    bytes[20] = 1;
    bytes[32] = 64;
    bytes[64..68].copy_from_slice(&load.to_le_bytes());
    bytes[96] = 120;
    bytes
}

fn header(path: &str, size: u64) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.set_path(path).unwrap();
    header.set_size(size);
    header.set_mode(if path == PROGRAM { 0o755 } else { 0o644 });
    header.set_cksum();
    header.as_bytes().to_vec()
}

struct Piece {
    bytes: Vec<u8>,
    zeros: usize,
}

impl Piece {
    fn reader(self) -> Box<dyn Read> {
        Box::new(Cursor::new(self.bytes).chain(std::io::repeat(0).take(self.zeros as u64)))
    }
}

struct Pieces<I> {
    left: Box<dyn Read>,
    next: I,
}

impl<I: Iterator<Item = Piece>> Read for Pieces<I> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        loop {
            match self.left.read(buf)? {
                0 => match self.next.next() {
                    Some(piece) => self.left = piece.reader(),
                    None => return Ok(0),
                },
                read => return Ok(read),
            }
        }
    }
}

fn plan(layer: impl Read) -> Plan {
    let config = br#"{"architecture":"amd64","os":"linux","config":{"Cmd":["/srv/app/main"]},
        "rootfs":{"type":"layers","diff_ids":["sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]}}"#;
    let (config, options) = (Config::parse(config).unwrap(), Options::default());
    let rootfs = Rootfs::merge(vec![read_index(layer, &packages::wanted).unwrap()]).unwrap();
    let (packages, accounts) = (Database::read(&rootfs), Accounts::read(&rootfs));
    decide(&Known::new(&rootfs, &config, packages.as_ref(), &accounts, recipe::builtin(), &options)).unwrap()
}

/// Bytes allocated at the peak of making a plan, beyond what was there before.
fn peak(count: usize, size: u64) -> usize {
    let layer = layer(count, size);
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let plan = plan(layer);
    let peak = ALLOCATOR.peak_usage();
    assert!(plan.level == Level::Distroless && plan.removed.len() > count / 2, "the package goes");
    peak - before
}

#[test]
fn memory_grows_by_a_stated_number_of_bytes_an_entry_and_not_with_their_content() {
    // Catalog and recipes are read once.
    peak(10, 0);
    let (few, many) = (peak(1_000, 0), peak(11_000, 0));
    let per_entry = (many - few) / 10_000;
    assert!(per_entry <= PER_ENTRY, "{per_entry} bytes an entry, more than {PER_ENTRY}");
    let large = peak(1_000, 50_000);
    assert!(
        large < few + few / 10,
        "{large} bytes for 50 MB in as many entries as took {few} without content"
    );
}

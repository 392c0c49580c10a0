//! rpm's database: read whatever it holds, and filtered twice is filtered once.

use kiln::packages::rpm::{self, fixture};
use kiln::packages::{Database, State};
use kiln::path::ImagePath;
use kiln::rootfs::{Entry, File, Kept, Kind, LayerIndex, Rootfs};

/// The first bytes of a `SQLite` database.
const MAGIC: &[u8] = b"SQLite format 3\0";

/// Checks one database; bytes that are none are the headers of a database's packages, 0xff 0xfe between them.
pub fn check(data: &[u8]) {
    let built;
    let bytes = if data.starts_with(MAGIC) {
        data
    } else {
        built = fixture::database_of(&headers(data));
        &built
    };
    let file = File { size: bytes.len() as u64, bytes: Some(Kept::new(bytes)), ..File::default() };
    let link = entry("bin", Kind::Symlink(b"usr/bin".as_slice().into()));
    let plain = ["usr/bin/a", "etc/b"].map(|path| entry(path, Kind::File(File::default())));
    let database = entry("var/lib/rpm/rpmdb.sqlite", Kind::File(file));
    let index = LayerIndex { entries: [link, database].into_iter().chain(plain).collect() };
    let rootfs = Rootfs::merge(vec![index]).unwrap_or_else(|error| panic!("plain files: {error}"));
    if let Some(database) = Database::read(&rootfs) {
        for (id, package) in database.packages() {
            assert_eq!(package.state, State::Installed);
            assert!(database.named(&package.name).any(|other| other == id));
            assert!(database.dependencies(id).len() <= database.packages().count());
            for file in &package.files {
                let _ = (database.owners(file), database.location(&rootfs, id, file));
            }
        }
        let _: Vec<String> = database.warnings().iter().map(ToString::to_string).collect();
    }
    let all = rpm::filter_database(bytes, &|_, _| true);
    assert!(!matches!(all, Ok(Some(_))), "all packages stay");
    let keep = |name: &str, _: &str| name.len().is_multiple_of(2);
    if let Ok(Some(once)) = rpm::filter_database(bytes, &keep) {
        assert!(matches!(rpm::filter_database(&once, &keep), Ok(None)), "filtered twice is filtered once");
    }
}

fn headers(mut data: &[u8]) -> Vec<&[u8]> {
    let mut headers = Vec::new();
    while let Some(at) = data.windows(2).position(|pair| pair == [0xff, 0xfe]) {
        let (header, rest) = data.split_at(at);
        headers.push(header);
        data = rest.get(2..).unwrap_or_default();
    }
    headers.push(data);
    headers
}

fn entry(path: &str, kind: Kind) -> Entry {
    Entry { path: ImagePath::literal(path), kind, mode: 0o644, uid: 0, gid: 0, mtime: 0, xattrs: None }
}

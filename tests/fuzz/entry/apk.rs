//! apk's files: read whatever they hold, filtered to themselves where nothing goes.

use kiln::packages::apk::filter::{
    Remaining, filter_installed, filter_scripts, filter_triggers, filter_world,
};
use kiln::packages::{Database, State};
use kiln::path::ImagePath;
use kiln::rootfs::{Entry, File, Kept, Kind, LayerIndex, Rootfs};

/// What the files of an input are, in order; bytes 0xff, which no such file holds, stand between them.
const FILES: [&str; 3] = ["lib/apk/db/installed", "etc/apk/world", "lib/apk/db/triggers"];

/// Checks one database.
pub fn check(data: &[u8]) {
    let parts: Vec<&[u8]> = data.split(|&byte| byte == 0xff).collect();
    let files = FILES.iter().zip(&parts).map(|(path, bytes)| {
        let file = File { size: bytes.len() as u64, bytes: Some(Kept::new(bytes)), ..File::default() };
        entry(path, Kind::File(file))
    });
    let link = entry("bin", Kind::Symlink(b"usr/bin".as_slice().into()));
    let plain = ["usr/bin/a", "etc/b"].map(|path| entry(path, Kind::File(File::default())));
    let index = LayerIndex { entries: std::iter::once(link).chain(files).chain(plain).collect() };
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
    for part in &parts {
        assert_eq!(filter_installed(part, &|_| true, &|_| true), *part, "all packages and files stay");
        let keep = |name: &str| name.len().is_multiple_of(2);
        let once = filter_installed(part, &keep, &|path| path.name().len().is_multiple_of(2));
        let twice = filter_installed(&once, &keep, &|path| path.name().len().is_multiple_of(2));
        assert_eq!(once, twice, "filtered twice is filtered once");
        let mut remaining = Remaining::default();
        remaining.add(parts.first().unwrap_or(&&b""[..]), &keep);
        for filter in [filter_world, filter_triggers, filter_scripts] {
            let once = filter(part, &remaining);
            assert!(once.len() <= part.len());
            assert_eq!(filter(&once, &remaining), once, "filtered twice is filtered once");
        }
    }
}

fn entry(path: &str, kind: Kind) -> Entry {
    Entry { path: ImagePath::literal(path), kind, mode: 0o644, uid: 0, gid: 0, mtime: 0, xattrs: None }
}

//! dpkg's files: read whatever they hold, filtered to themselves where nothing goes.

use kiln::packages::dpkg::filter::{
    filter_alternative, filter_diversions, filter_list, filter_md5sums, filter_status,
};
use kiln::packages::{Database, State, canonical};
use kiln::path::ImagePath;
use kiln::rootfs::{Entry, File, Kept, Kind, LayerIndex, Rootfs};

/// What the files of an input are, in order; bytes 0xff, which no such file holds, stand between them.
const FILES: [&str; 6] = [
    "var/lib/dpkg/status",
    "var/lib/dpkg/info/a.list",
    "var/lib/dpkg/info/a.md5sums",
    "var/lib/dpkg/diversions",
    "var/lib/dpkg/alternatives/x",
    "var/lib/dpkg/status.d/b",
];

/// Checks one database.
pub fn check(data: &[u8]) {
    let parts: Vec<&[u8]> = data.split(|&byte| byte == 0xff).collect();
    let links =
        [("bin", "usr/bin"), ("etc/alternatives/x", "/usr/bin/y"), ("usr/bin/x", "/etc/alternatives/x")];
    let links = links.map(|(path, target)| entry(path, Kind::Symlink(target.as_bytes().into())));
    let files = FILES.iter().zip(&parts).map(|(path, bytes)| {
        entry(
            path,
            Kind::File(File { size: bytes.len() as u64, bytes: Some(Kept::new(bytes)), ..File::default() }),
        )
    });
    let plain = ["usr/bin/y", "a", "etc/b"].map(|path| entry(path, Kind::File(File::default())));
    let index = LayerIndex { entries: links.into_iter().chain(files).chain(plain).collect() };
    let rootfs = Rootfs::merge(vec![index]).unwrap_or_else(|error| panic!("plain files: {error}"));
    if let Some(database) = Database::read(&rootfs) {
        for (id, package) in database.packages() {
            let is_named = database.named(&package.name).any(|other| other == id);
            assert_eq!(is_named, package.state == State::Installed, "{}", package.name);
            assert!(database.dependencies(id).len() <= database.packages().count());
            for file in &package.files {
                let _ =
                    (database.owners(file), database.is_unmodified(&rootfs, file), canonical(&rootfs, file));
                let _ = database.location(&rootfs, id, file);
            }
        }
        let _: Vec<String> = database.warnings().iter().map(ToString::to_string).collect();
    }
    for part in parts {
        assert_eq!(filter_status(part, &|_, _| true), part, "all packages stay");
        assert_eq!(filter_list(part, &|_| true), part, "all files stay");
        assert_eq!(filter_md5sums(part, &|_| true), part, "all sums stay");
        assert_eq!(filter_diversions(part, &|_, _, _| true), part, "all diversions stay");
        let _ = filter_alternative(part, &|_| true);
        let one = |name: &str, _: &str| name.len().is_multiple_of(2);
        let once = filter_status(part, &one);
        assert_eq!(filter_status(&once, &one), once, "filtered twice is filtered once");
    }
}

fn entry(path: &str, kind: Kind) -> Entry {
    Entry { path: ImagePath::literal(path), kind, mode: 0o644, uid: 0, gid: 0, mtime: 0, xattrs: None }
}

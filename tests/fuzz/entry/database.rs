//! What the package databases have in common: the image around one, and what holds of whatever was read.
//!
//! Does not know the kinds.

use kiln::packages::{Database, State};
use kiln::path::ImagePath;
use kiln::rootfs::{Entry, File, Kept, Kind, LayerIndex, Rootfs};

/// An image with these links, files with bytes, and empty files.
pub fn image(links: &[(&str, &str)], files: &[(&str, &[u8])], empty: &[&str]) -> Rootfs {
    let links = links.iter().map(|(path, target)| entry(path, Kind::Symlink(target.as_bytes().into())));
    let files = files.iter().map(|(path, bytes)| {
        let file = File { size: bytes.len() as u64, bytes: Some(Kept::new(bytes)), ..File::default() };
        entry(path, Kind::File(file))
    });
    let empty = empty.iter().map(|path| entry(path, Kind::File(File::default())));
    let index = LayerIndex { entries: links.chain(files).chain(empty).collect() };
    Rootfs::merge(vec![index]).unwrap_or_else(|error| panic!("plain files: {error}"))
}

/// Reads the image's database, if it has one, and asks it everything.
pub fn check_read(rootfs: &Rootfs) {
    let Some(database) = Database::read(rootfs) else { return };
    for (id, package) in database.packages() {
        let is_named = database.named(&package.name).any(|other| other == id);
        assert_eq!(is_named, package.state == State::Installed, "{}", package.name);
        assert!(database.dependencies(id).len() <= database.packages().count());
        for file in &package.files {
            let _ = (database.owners(file), database.is_unmodified(rootfs, file));
            let _ = database.location(rootfs, id, file);
        }
    }
    let _: Vec<String> = database.warnings().iter().map(ToString::to_string).collect();
}

fn entry(path: &str, kind: Kind) -> Entry {
    Entry { path: ImagePath::literal(path), kind, mode: 0o644, uid: 0, gid: 0, mtime: 0, xattrs: None }
}

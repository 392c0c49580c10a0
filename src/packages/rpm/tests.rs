//! Small rpm databases, read, filtered and broken.

use proptest::prelude::*;
use rusqlite::{Connection, MAIN_DB};

use super::*;
use crate::rootfs::dump::parse_layers;
use crate::rootfs::{Kind as EntryKind, Rootfs};

const PACKAGES: &[fixture::Line<'_>] = &[
    ("filesystem", &["/bin", "/usr/", "/usr/bin/", "/var/log/"], &[]),
    (
        "bash",
        &["/bin/bash", "/usr/bin/sh"],
        &["libc.so.6(GLIBC_2.34)(64bit)", "filesystem", "rpmlib(PayloadIsZstd)"],
    ),
    ("app", &["/usr/sbin/app"], &["/bin/sh", "bash(x86-64)", "(nano if vim)", "ghost"]),
];

fn image(database: &[u8], more: &str) -> Rootfs {
    let mut layers = parse_layers(&format!(
        "/bin l usr/bin\n/usr/bin/bash f 0755\n/usr/bin/sh l bash\n/usr/sbin/app f 0755\n/var/lib/rpm/rpmdb.sqlite f\n{more}"
    ));
    for entry in &mut layers[0].entries {
        if let EntryKind::File(file) = &mut entry.kind
            && entry.path.name() == b"rpmdb.sqlite"
        {
            file.size = database.len() as u64;
            file.bytes = Some(crate::rootfs::Kept::new(database));
        }
    }
    Rootfs::merge(layers).unwrap()
}

fn names(database: &[u8]) -> Vec<String> {
    let rows = sqlite::read_packages(database).unwrap();
    rows.iter().map(|blob| parse_header(blob).unwrap().text(Tag::Name).unwrap()).collect()
}

#[test]
fn owners_needs_and_fields_are_read() {
    let rootfs = image(&fixture::database(PACKAGES), "");
    let database = Database::read(&rootfs).unwrap();
    let name = |id| database.get(id).name.as_str();
    let owner = |path: &str| {
        database.owners(&ImagePath::literal(path)).iter().map(|id| name(*id)).collect::<Vec<_>>()
    };
    assert_eq!(owner("/usr/bin/bash"), ["bash"], "through the link of the merged /usr");
    assert_eq!(owner("/bin"), ["filesystem"], "a link is listed as one");
    assert_eq!(owner("/usr/bin"), ["filesystem"]);
    let app = database.get(database.package("app").unwrap());
    assert_eq!((app.version.as_str(), app.architecture.as_str()), ("7:1.0-1", "x86_64"));
    assert_eq!(app.source.as_deref(), Some("app-src"));
    let needs: Vec<&str> =
        database.dependencies(database.package("app").unwrap()).into_iter().map(name).collect();
    assert_eq!(needs, ["bash"], "by file and by capability");
    let needs: Vec<&str> =
        database.dependencies(database.package("bash").unwrap()).into_iter().map(name).collect();
    assert_eq!(needs, ["filesystem"]);
}

#[test]
fn packages_that_go_go_from_every_table_and_from_the_free_space() {
    let database = fixture::database(PACKAGES);
    let filtered = filter_database(&database, &|name, architecture| {
        assert_eq!(architecture, "x86_64");
        name != "bash"
    });
    let filtered = filtered.unwrap().unwrap();
    assert_eq!(names(&filtered), ["filesystem", "app"]);
    assert!(!filtered.windows(8).any(|bytes| bytes == b"bash-src"), "deleted, not only unlinked");
    assert_eq!(filtered[18..20], [2, 2], "as rpm left it");
    assert_eq!(filtered[96..100], database[96..100]);
    let mut readable = filtered.clone();
    readable[18..20].fill(1);
    let mut connection = Connection::open_in_memory().unwrap();
    connection.deserialize_read_exact(MAIN_DB, &*readable, readable.len(), true).unwrap();
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM Name"), 2);
    assert_eq!(count("SELECT count(*) FROM Basenames WHERE hnum NOT IN (SELECT hnum FROM Packages)"), 0);
    assert_eq!(count("SELECT count(*) FROM Basenames"), 5);
}

#[test]
fn equal_databases_are_filtered_to_equal_bytes_and_a_second_time_changes_nothing() {
    let database = fixture::database(PACKAGES);
    let keep = |name: &str, _: &str| name == "app";
    let one = filter_database(&database, &keep).unwrap().unwrap();
    assert_eq!(filter_database(&database, &keep).unwrap().unwrap(), one);
    assert!(filter_database(&one, &keep).unwrap().is_none());
    assert!(filter_database(&database, &|_, _| true).unwrap().is_none());
}

#[test]
fn a_database_with_a_log_or_broken_is_not_read() {
    let whole = fixture::database(PACKAGES);
    let is_read = |bytes: &[u8], more: &str| Database::read(&image(bytes, more)).is_some();
    assert!(is_read(&whole, "/var/lib/rpm/rpmdb.sqlite-wal f 0"));
    assert!(!is_read(&whole, "/var/lib/rpm/rpmdb.sqlite-wal f 4096"));
    assert!(!is_read(&whole[..whole.len() / 2], ""));
    assert!(!is_read(b"SQLite format 3\0", ""));
    assert!(!is_read(b"no database", ""));
    let mut broken = whole;
    broken[4096..8192].fill(0xff);
    assert!(!is_read(&broken, ""));
}

#[test]
fn what_a_strangers_schema_says_is_not_run() {
    let mut connection = Connection::open_in_memory().unwrap();
    let base = fixture::database(PACKAGES);
    let mut readable = base;
    readable[18..20].fill(1);
    connection.deserialize_read_exact(MAIN_DB, &*readable, readable.len(), false).unwrap();
    connection
        .execute_batch(
            "CREATE TRIGGER t AFTER DELETE ON Name BEGIN INSERT INTO Packages (blob) VALUES (x'00'); END;
             CREATE TABLE \"odd\"\"name\" (hnum INTEGER, text TEXT);
             INSERT INTO \"odd\"\"name\" VALUES (2, 'of bash');
             CREATE VIEW hnum_view AS SELECT hnum FROM Packages;",
        )
        .unwrap();
    let bytes = connection.serialize(MAIN_DB).unwrap().to_vec();
    let filtered = filter_database(&bytes, &|name, _| name == "app").unwrap().unwrap();
    assert_eq!(names(&filtered), ["app"]);
    assert!(!filtered.windows(7).any(|bytes| bytes == b"of bash"));
    let view = "ALTER TABLE Packages RENAME TO p; CREATE VIEW Packages AS SELECT hnum, blob FROM p;";
    connection.execute_batch(&format!("DROP VIEW hnum_view; DROP TRIGGER t; {view}")).unwrap();
    let bytes = connection.serialize(MAIN_DB).unwrap().to_vec();
    assert!(matches!(sqlite::read_packages(&bytes), Err(SqliteError::Read(_))));
}

#[test]
fn an_index_without_its_row_fails_and_does_not_pass_for_filtered() {
    let mut database = fixture::database(PACKAGES);
    // The index over names has a page of its own: the fifth.
    let page = 4 * 4096..5 * 4096;
    let at = database[page.clone()].windows(4).position(|bytes| bytes == b"bash").unwrap();
    database[page.start + at] = b'c';
    assert!(matches!(filter_database(&database, &|name, _| name != "bash"), Err(SqliteError::Delete(_))));
}

#[test]
fn a_table_that_would_be_lost_by_the_way_fails_and_does_not_pass_for_filtered() {
    let mut database = fixture::database(PACKAGES);
    let text = b"CREATE TABLE 'Packages'";
    let at = database.windows(text.len()).position(|bytes| bytes == text).unwrap();
    database[at + 1] = b'r';
    assert_eq!(names(&database), ["filesystem", "bash", "app"]);
    assert!(matches!(filter_database(&database, &|name, _| name != "bash"), Err(SqliteError::Lossy)));
}

#[test]
fn only_the_database_itself_is_wanted() {
    let is_wanted = |path: &str| wanted(&ImagePath::literal(path)).is_some();
    assert!(is_wanted("/var/lib/rpm/rpmdb.sqlite") && is_wanted("/usr/lib/sysimage/rpm/rpmdb.sqlite"));
    assert!(!is_wanted("/var/lib/rpm/Packages") && !is_wanted("/var/lib/rpm/rpmdb.sqlite-wal"));
}

proptest! {
    #[test]
    fn no_header_makes_the_reader_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        at in 0usize..600, with in proptest::collection::vec(any::<u8>(), 1..8),
    ) {
        let rootfs = Rootfs::default();
        let mut mutated = fixture::header("bash", &["/usr/bin/bash", "/etc/"], &["/bin/sh"]);
        for (slot, byte) in mutated.iter_mut().skip(at).zip(with) {
            *slot = byte;
        }
        let claims = [&[0, 0, 0, 3, 0, 0, 0, 9][..], &bytes].concat();
        for bytes in [bytes, mutated, claims] {
            if let Some(header) = parse_header(&bytes) {
                package(&rootfs, &header);
            }
        }
    }

    #[test]
    fn no_database_makes_the_reader_panic(
        at in 0usize..30_000, with in proptest::collection::vec(any::<u8>(), 1..16), cut in 0usize..40_000,
    ) {
        let mut bytes = fixture::database(PACKAGES);
        for (slot, byte) in bytes.iter_mut().skip(at).zip(with) {
            *slot = byte;
        }
        bytes.truncate(cut);
        let _ = sqlite::read_packages(&bytes);
        let _ = filter_database(&bytes, &|name, _| name == "app");
    }
}

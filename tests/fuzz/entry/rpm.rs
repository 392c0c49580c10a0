//! rpm's database: read whatever it holds, and filtered twice is filtered once.

use kiln::packages::rpm::{self, fixture};

use super::database::{check_read, image};

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
    let files = [("var/lib/rpm/rpmdb.sqlite", bytes)];
    check_read(&image(&[("bin", "usr/bin")], &files, &["usr/bin/a", "etc/b"]));
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

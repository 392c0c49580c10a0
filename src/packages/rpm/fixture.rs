//! Small rpm databases for tests.
//!
//! Has of rpm's tables and tags what kiln reads, and some that it must filter.

use rusqlite::{Connection, MAIN_DB, params};

use super::header::Tag;

/// A package: name, files, needs.
pub type Line<'a> = (&'a str, &'a [&'a str], &'a [&'a str]);

/// A database of these packages, as rpm writes it. A file that ends in `/` is a directory.
///
/// Panics where `SQLite` fails: it is used in tests.
pub fn database(packages: &[Line<'_>]) -> Vec<u8> {
    build(packages).unwrap_or_else(|error| unreachable!("fixture: {error}"))
}

/// A database of packages with these headers, whatever they hold; nothing finds one by name.
///
/// Panics where `SQLite` fails: it is used in tests.
pub fn database_of(headers: &[&[u8]]) -> Vec<u8> {
    let build = || -> rusqlite::Result<Vec<u8>> {
        let mut connection = empty()?;
        for header in headers {
            connection.execute("INSERT INTO Packages (blob) VALUES (?1)", [header])?;
        }
        finish(&mut connection)
    };
    build().unwrap_or_else(|error| unreachable!("fixture: {error}"))
}

fn empty() -> rusqlite::Result<Connection> {
    let connection = Connection::open_in_memory()?;
    connection.execute_batch(
        "CREATE TABLE 'Packages' (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL);
         CREATE TABLE 'Name' (key 'TEXT' NOT NULL, hnum INTEGER NOT NULL, idx INTEGER NOT NULL, FOREIGN KEY (hnum) REFERENCES Packages(hnum));
         CREATE INDEX 'Name_key_idx' ON 'Name' (key ASC);
         CREATE TABLE 'Basenames' (key 'TEXT' NOT NULL, hnum INTEGER NOT NULL, idx INTEGER NOT NULL, FOREIGN KEY (hnum) REFERENCES Packages(hnum));
         CREATE INDEX 'Basenames_key_idx' ON 'Basenames' (key ASC);",
    )?;
    Ok(connection)
}

fn build(packages: &[Line<'_>]) -> rusqlite::Result<Vec<u8>> {
    let mut connection = empty()?;
    for &(name, files, needs) in packages {
        connection.execute("INSERT INTO Packages (blob) VALUES (?1)", [header(name, files, needs)])?;
        let number = connection.last_insert_rowid();
        connection.execute("INSERT INTO Name VALUES (?1, ?2, 0)", params![name, number])?;
        for file in files {
            let base = file.trim_end_matches('/').rsplit('/').next();
            connection.execute("INSERT INTO Basenames VALUES (?1, ?2, 0)", params![base, number])?;
        }
    }
    finish(&mut connection)
}

fn finish(connection: &mut Connection) -> rusqlite::Result<Vec<u8>> {
    let mut bytes = connection.serialize(MAIN_DB)?.to_vec();
    // As rpm leaves it: with a write-ahead log that is empty.
    if let Some(versions) = bytes.get_mut(18..20) {
        versions.fill(2);
    }
    Ok(bytes)
}

/// A header of a package `name` 1.0-1 with an epoch.
pub fn header(name: &str, files: &[&str], needs: &[&str]) -> Vec<u8> {
    let mut entries: Vec<(Tag, u32, usize, Vec<u8>)> = Vec::new();
    let mut strings = |tag, kind, list: &[&str]| {
        let bytes = list.iter().flat_map(|text| text.bytes().chain([0])).collect();
        entries.push((tag, kind, list.len(), bytes));
    };
    let split = |file: &&str| {
        let file = file.trim_end_matches('/');
        file.rsplit_once('/').map_or((String::new(), file.to_owned()), |(directory, base)| {
            (format!("{directory}/"), base.to_owned())
        })
    };
    let parts: Vec<(String, String)> = files.iter().map(split).collect();
    let directories: Vec<&str> = parts.iter().map(|(directory, _)| directory.as_str()).collect();
    let bases: Vec<&str> = parts.iter().map(|(_, base)| base.as_str()).collect();
    let capability = format!("{name}(x86-64)");
    strings(Tag::Name, 6, &[name]);
    strings(Tag::Version, 6, &["1.0"]);
    strings(Tag::Release, 6, &["1"]);
    strings(Tag::Architecture, 6, &["x86_64"]);
    strings(Tag::SourceRpm, 6, &[&format!("{name}-src-1.0-1.src.rpm")]);
    strings(Tag::ProvideNames, 8, &[name, &capability]);
    strings(Tag::RequireNames, 8, needs);
    strings(Tag::BaseNames, 8, &bases);
    strings(Tag::DirectoryNames, 8, &directories);
    let modes = files.iter().flat_map(|file| if file.ends_with('/') { [0x41, 0xed] } else { [0x81, 0xa4] });
    entries.push((Tag::FileModes, 3, files.len(), modes.collect()));
    let indexes = (0u32..).take(files.len()).flat_map(u32::to_be_bytes);
    entries.push((Tag::DirectoryIndexes, 4, files.len(), indexes.collect()));
    entries.push((Tag::Epoch, 4, 1, 7u32.to_be_bytes().to_vec()));

    let (mut index, mut store) = (Vec::new(), Vec::new());
    for (tag, kind, count, bytes) in &entries {
        while store.len() % 4 != 0 {
            store.push(0);
        }
        for number in [*tag as usize, *kind as usize, store.len(), *count] {
            index.extend(u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes());
        }
        store.extend(bytes);
    }
    let lengths = [entries.len(), store.len()].map(|number| u32::try_from(number).unwrap_or(u32::MAX));
    [lengths.map(u32::to_be_bytes).concat(), index, store].concat()
}

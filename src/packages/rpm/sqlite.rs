//! `SQLite` in memory: the database of an image is bytes, and never a file of this machine.
//!
//! The only module that knows rusqlite. Knows tables with a package's number (`hnum`), not what a header holds.

use std::ops::Range;

use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, MAIN_DB};

/// First bytes of every database.
const MAGIC: &[u8] = b"SQLite format 3\0";

/// Where a database says that it is read and written with a write-ahead log (file format, 1.3.3), which one in memory
/// cannot be: `2`, and `1` without.
const VERSIONS: Range<usize> = 18..20;

/// Where a database says which `SQLite` wrote it (file format, 1.3.17); nothing depends on it.
const WRITER: Range<usize> = 96..100;

/// Why a database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SqliteError {
    /// The first bytes are another file's.
    #[error("this is no SQLite database")]
    Magic,
    /// `SQLite` does not take the bytes.
    #[error("the SQLite database cannot be opened")]
    Open(#[source] rusqlite::Error),
    /// `SQLite` found it broken.
    #[error("the SQLite database is broken: {0}")]
    Broken(String),
    /// A query failed.
    #[error("the SQLite database cannot be read")]
    Read(#[source] rusqlite::Error),
    /// Deleting or writing failed.
    #[error("packages cannot be deleted from the SQLite database")]
    Delete(#[source] rusqlite::Error),
    /// More would go than the packages.
    #[error("the SQLite database cannot be written again without losing parts of it")]
    Lossy,
}

/// The headers of all packages, by number.
pub(super) fn read_packages(bytes: &[u8]) -> Result<Vec<Vec<u8>>, SqliteError> {
    let connection = open(bytes)?;
    let rows = packages(&connection)?;
    Ok(rows.into_iter().map(|(_, blob)| blob).collect())
}

/// The database without the packages whose header `goes`; `None` where none goes.
///
/// What was deleted is not in the free space either, and equal bytes give equal bytes.
pub(super) fn without_packages(
    bytes: &[u8],
    goes: &dyn Fn(&[u8]) -> bool,
) -> Result<Option<Vec<u8>>, SqliteError> {
    let mut connection = open(bytes)?;
    let (gone, stay): (Vec<_>, Vec<_>) = packages(&connection)?.into_iter().partition(|(_, blob)| goes(blob));
    let gone: Vec<i64> = gone.into_iter().map(|(number, _)| number).collect();
    if gone.is_empty() {
        return Ok(None);
    }
    let before = schema(&connection).map_err(SqliteError::Read)?;
    for table in tables(&connection).map_err(SqliteError::Read)? {
        delete(&mut connection, &table, &gone).map_err(SqliteError::Delete)?;
    }
    connection.execute_batch("VACUUM").map_err(SqliteError::Delete)?;
    // VACUUM leaves out, in silence, a table whose text in the schema does not begin as `SQLite` itself writes it.
    if schema(&connection).map_err(SqliteError::Read)? != before || packages(&connection)? != stay {
        return Err(SqliteError::Lossy);
    }
    let mut out = connection.serialize(MAIN_DB).map_err(SqliteError::Delete)?.to_vec();
    for range in [VERSIONS, WRITER] {
        if let (Some(new), Some(old)) = (out.get_mut(range.clone()), bytes.get(range)) {
            new.copy_from_slice(old);
        }
    }
    Ok(Some(out))
}

/// Opens a copy, and looks whether it is whole.
fn open(bytes: &[u8]) -> Result<Connection, SqliteError> {
    if !bytes.starts_with(MAGIC) {
        return Err(SqliteError::Magic);
    }
    let mut copy = bytes.to_vec();
    if let Some(versions) = copy.get_mut(VERSIONS) {
        versions.fill(1);
    }
    let connect = || -> rusqlite::Result<Connection> {
        let mut connection = Connection::open_in_memory()?;
        // A stranger's schema runs nothing.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
        // Rows go table by table, and for a while point at packages that are gone.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, false)?;
        // VACUUM would use a file of this machine otherwise.
        connection.execute_batch("PRAGMA temp_store = MEMORY; PRAGMA cell_size_check = ON")?;
        connection.deserialize_read_exact(MAIN_DB, &*copy, copy.len(), false)?;
        Ok(connection)
    };
    let connection = connect().map_err(SqliteError::Open)?;
    let said: String =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(SqliteError::Open)?;
    if said == "ok" { Ok(connection) } else { Err(SqliteError::Broken(said)) }
}

fn packages(connection: &Connection) -> Result<Vec<(i64, Vec<u8>)>, SqliteError> {
    let read = || -> rusqlite::Result<Vec<(i64, Vec<u8>)>> {
        let mut statement = connection.prepare("SELECT hnum, blob FROM Packages ORDER BY hnum")?;
        let mut rows = statement.query([])?;
        let mut out = Vec::new();
        while let Some(row) = rows.next()? {
            if let (ValueRef::Integer(number), ValueRef::Blob(blob)) = (row.get_ref(0)?, row.get_ref(1)?) {
                out.push((number, blob.to_vec()));
            }
        }
        Ok(out)
    };
    read().map_err(SqliteError::Read)
}

/// Everything that is declared: kind, name, text.
fn schema(connection: &Connection) -> rusqlite::Result<Vec<(String, String, Option<String>)>> {
    let mut statement =
        connection.prepare("SELECT type, name, sql FROM sqlite_schema ORDER BY type, name")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    rows.collect()
}

/// Every real table with a package's number in its rows: the packages, and what finds them by name, file and need.
fn tables(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(
        "SELECT schema.name FROM sqlite_schema AS schema JOIN pragma_table_info(schema.name) AS field \
         WHERE schema.type = 'table' AND schema.sql NOT LIKE 'CREATE VIRTUAL%' AND field.name = 'hnum' \
         ORDER BY schema.name",
    )?;
    let names = statement.query_map([], |row| row.get(0))?;
    names.collect()
}

fn delete(connection: &mut Connection, table: &str, gone: &[i64]) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    {
        let quoted = table.replace('"', "\"\"");
        let mut statement = transaction.prepare(&format!("DELETE FROM \"{quoted}\" WHERE hnum = ?1"))?;
        for number in gone {
            statement.execute([number])?;
        }
    }
    transaction.commit()
}

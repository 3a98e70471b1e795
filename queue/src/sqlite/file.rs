//! The file on disk: opened by one server at a time, and set up for durability.

use std::{
    fs::{self, TryLockError},
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use crate::{Error, Result};

/// What makes each version of the schema out of the one before.
pub(super) const SCHEMAS: [&str; 8] = [
    include_str!("schema.sql"),
    include_str!("schema_ledger.sql"),
    include_str!("schema_manifests.sql"),
    include_str!("schema_costs.sql"),
    include_str!("schema_outbox.sql"),
    include_str!("schema_uploads.sql"),
    include_str!("schema_provider.sql"),
    include_str!("schema_bundles.sql"),
];

/// The version of the schema that this program writes and reads.
const SCHEMA_VERSION: usize = SCHEMAS.len();

/// How long a step waits for others' locks; a reader of another process holds none for long.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// How many prepared statements a connection keeps: more than there are.
const STATEMENTS_MAX: usize = 256;

/// The connection that writes, with the lock that keeps other servers out.
pub(super) struct File {
    // dropped in this order: closed, then unlocked
    pub(super) connection: Connection,
    _lock: fs::File,
}

impl File {
    /// Opens the file, and creates it and its tables where they are missing.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let lock = lock(path)?;
        let connection = Connection::open(path).map_err(|error| cannot_open(path, &error))?;
        // first: the next pragma may have to wait for another process
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "cache_size", -32_768)?;
        connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
        // what a failed step is undone by, and what is sorted: not worth a file
        connection.pragma_update(None, "temp_store", "memory")?;
        tune(&connection)?;
        let missing = SCHEMAS.iter().skip(version(&connection, path)?);
        let missing = missing.copied().collect::<String>();
        if !missing.is_empty() {
            connection.execute_batch(&format!(
                "BEGIN IMMEDIATE; {missing} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT"
            ))?;
        }
        Ok(Self { connection, _lock: lock })
    }
}

/// Opens the file to read, beside the server that writes.
pub(super) fn open_to_read(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection =
        Connection::open_with_flags(path, flags).map_err(|error| cannot_open(path, &error))?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    tune(&connection)?;
    if version(&connection, path)? < SCHEMA_VERSION {
        let path = path.display();
        return Err(Error::Setup(format!(
            "`{path}` holds no queue of this version: start the server on it first"
        )));
    }
    Ok(connection)
}

/// Keeps statements as they were prepared once: without a stable plan each is prepared again
/// whenever other values are bound, as they might fit another partial index.
pub(super) fn tune(connection: &Connection) -> Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// The schema's version; 0 if the file is new. Newer ones are refused.
fn version(connection: &Connection, path: &Path) -> Result<usize> {
    let version: u16 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(|error| cannot_open(path, &error))?;
    let version = usize::from(version);
    if version > SCHEMA_VERSION {
        let path = path.display();
        return Err(Error::Setup(format!(
            "`{path}` was written by a newer version of this program (schema {version}, known is \
             {SCHEMA_VERSION}): start that one"
        )));
    }
    Ok(version)
}

/// Keeps other servers out, for as long as this process lives or the file is open.
fn lock(path: &Path) -> Result<fs::File> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".lock");
    let beside = PathBuf::from(beside);
    let file =
        fs::File::options().create(true).truncate(false).write(true).open(&beside).map_err(
            |error| Error::Setup(format!("cannot open `{}`: {error}", beside.display())),
        )?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Setup(format!(
            "another server works on `{}`: stop it, give this one another file, or let both share \
             a Redis",
            path.display()
        ))),
        Err(TryLockError::Error(error)) => {
            Err(Error::Setup(format!("cannot lock `{}`: {error}", beside.display())))
        }
    }
}

fn cannot_open(path: &Path, error: &rusqlite::Error) -> Error {
    Error::Setup(format!("cannot open `{}`: {error}", path.display()))
}

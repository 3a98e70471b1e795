//! The embedded store: one file, no server, one machine.
//!
//! One thread writes, one looks up single executions, a few connections read beside them. Every
//! method of [`crate::Intake`] and [`crate::Work`] is a step of the writer: [`submit`], [`claim`],
//! [`finish`] and so on, each a function on a [`step::Step`]. What must always be equal is kept so
//! by `schema.sql` itself.

mod bundle;
mod cancel;
mod claim;
mod control;
mod custom_ids;
mod feed;
mod file;
mod finish;
mod intake;
mod item;
mod ledger;
mod list;
mod lookups;
mod outbox;
mod reader;
mod records;
mod rescue;
mod results;
mod retry;
mod row;
mod settle;
mod signal;
mod sql;
mod statistics;
mod steer;
mod step;
mod submit;
mod tally;
mod turns;
mod upkeep;
mod upload;
mod violations;
mod why;
mod work;
mod writer;

#[cfg(test)]
mod tests;

use std::{
    path::Path,
    sync::{Arc, atomic::AtomicI64},
};

use rusqlite::Connection;

use self::{
    feed::Feeds,
    file::File,
    lookups::Lookups,
    reader::Readers,
    signal::Signals,
    step::{Rules, Step},
    work::{Dropped, Heard},
    writer::Writer,
};
use crate::{Clock, Error, Limits, Result};

/// A queue in a SQLite file. Cheap to clone.
#[derive(Clone)]
pub struct SqliteQueue {
    inner: Arc<Inner>,
}

struct Inner {
    /// None beside a server that writes.
    writer: Option<Writer>,
    readers: Readers,
    lookups: Lookups,
    rules: Arc<Rules>,
    signals: Arc<Signals>,
    dropped: Arc<Dropped>,
    heard: Heard,
    feeds: Feeds,
}

impl SqliteQueue {
    /// Opens the file for the only server that works on it, and creates it where it is missing.
    /// [`Error::Setup`] if another server holds it, or a newer version wrote it.
    pub fn open(path: &Path, limits: Limits, clock: Clock) -> Result<Self> {
        let file = File::open(path)?;
        // what the last holder of the file handed out, nobody works on any more
        file.connection.execute(sql::sql!("worker.sql", "orphan"), [])?;
        let number =
            step::one(&file.connection, sql::sql!("settings.sql", "largest"), [], |row| {
                Ok(row.get::<_, i64>(0)?)
            })?;
        let numbers = AtomicI64::new(number.unwrap_or(0) + 1);
        let rules = Arc::new(Rules { limits, clock, numbers, deaf_until: AtomicI64::new(0) });
        let signals = Arc::new(Signals::default());
        let writer = Writer::start(file, Arc::clone(&rules), Arc::clone(&signals))?;
        Self::of(path, Some(writer), rules, signals)
    }

    /// Opens the file to look at it, beside the server that works on it. What would change it is
    /// [`Error::Unsupported`].
    pub fn open_to_read(path: &Path) -> Result<Self> {
        let rules = Rules {
            limits: Limits::default(),
            clock: Clock::Store,
            numbers: AtomicI64::new(0),
            deaf_until: AtomicI64::new(0),
        };
        Self::of(path, None, Arc::new(rules), Arc::default())
    }

    fn of(
        path: &Path,
        writer: Option<Writer>,
        rules: Arc<Rules>,
        signals: Arc<Signals>,
    ) -> Result<Self> {
        let inner = Inner {
            writer,
            readers: Readers::open(path)?,
            lookups: Lookups::start(path)?,
            rules,
            signals,
            dropped: Arc::default(),
            heard: Heard::default(),
            feeds: Feeds::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    fn writer(&self) -> Result<&Writer> {
        let only_read = || Error::Unsupported("the file was opened only to be read".to_owned());
        self.inner.writer.as_ref().ok_or_else(only_read)
    }

    /// Runs one atomic step.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Step<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.writer()?.run(work).await
    }

    /// Reads what is committed; the read is told the time.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection, i64) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let now = self.inner.rules.now();
        self.inner.readers.run(move |db| read(db, now)).await
    }
}

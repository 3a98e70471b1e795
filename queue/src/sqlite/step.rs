//! One atomic step on the store: its transaction, its time, and what it leads to.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use rusqlite::{Connection, Params, Row};

use super::{bundle::Told, sql::sql, tally::Tally};
use crate::{Clock, Error, ExecutionId, Limits, Result};

/// What is before all lanes has a rank below 0: this, plus the order in which it came back.
const AHEAD: i64 = i64::MIN;

/// What all steps share.
pub(super) struct Rules {
    pub(super) limits: Limits,
    pub(super) clock: Clock,
    /// Larger than any rank or delivery in the file.
    pub(super) numbers: AtomicI64,
    /// Until when silence proves nothing, as heartbeats had to wait for a long step.
    pub(super) deaf_until: AtomicI64,
}

impl Rules {
    /// The store's time, in ms.
    pub(super) fn now(&self) -> i64 {
        self.clock.manual().unwrap_or_else(|| chrono::Utc::now().timestamp_millis())
    }

    /// Gives workers time to be heard, after a step that none could be heard beside.
    pub(super) fn was_deaf(&self) {
        if self.clock.manual().is_none() {
            let until = self.now().saturating_add(millis(self.limits.lease));
            self.deaf_until.store(until, Ordering::Relaxed);
        }
    }

    /// Workers are silent whose lease ended before this time.
    pub(super) fn silent_before(&self, now: i64) -> i64 {
        if now < self.deaf_until.load(Ordering::Relaxed) { 0 } else { now }
    }
}

/// What a step leads to once it is committed.
#[derive(Default)]
pub(super) struct Effects {
    /// Single executions that were accepted and have yet to run.
    pub(super) accepted: Vec<ExecutionId>,
    /// Executions that ended, for those who wait for them.
    pub(super) ended: Vec<ExecutionId>,
    /// Whether something may be claimed that could not be before.
    pub(super) arrived: bool,
    /// Those of them that somebody is told of.
    pub(super) told: Vec<Told>,
    /// What is to be counted.
    pub(super) tally: Tally,
}

/// The transaction of a step.
pub(super) struct Step<'a> {
    pub(super) tx: &'a Connection,
    pub(super) rules: &'a Arc<Rules>,
    pub(super) now: i64,
    pub(super) effects: Effects,
}

impl Step<'_> {
    /// A number larger than all before: for the end of a line, or a hand-out.
    pub(super) fn next_number(&self) -> i64 {
        self.rules.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// The first of so many numbers that are larger than all before.
    pub(super) fn numbers(&self, count: u64) -> i64 {
        self.rules.numbers.fetch_add(int(count), Ordering::Relaxed)
    }

    /// A rank before all lanes, behind those that came back earlier.
    pub(super) fn rank_ahead(&self) -> i64 {
        AHEAD + self.next_number()
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.rules.limits
    }

    /// Changes rows, and says how many.
    pub(super) fn run(&self, statement: &str, params: impl Params) -> Result<usize> {
        Ok(self.tx.prepare_cached(statement)?.execute(params)?)
    }

    pub(super) fn one<T>(
        &self,
        statement: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        one(self.tx, statement, params, read)
    }

    pub(super) fn all<T>(
        &self,
        statement: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        all(self.tx, statement, params, read)
    }

    pub(super) fn setting(&self, name: &str) -> Result<i64> {
        setting(self.tx, name)
    }

    pub(super) fn set(&self, name: &str, value: i64) -> Result<()> {
        self.run(sql!("settings.sql", "set"), (name, value))?;
        Ok(())
    }

    /// Has those told of the end of an execution who want to be, once it is committed.
    pub(super) fn tell(&mut self, told: Told) {
        if !told.tells.is_empty() {
            self.effects.told.push(told);
        }
    }

    /// Tells every worker that programs or caches changed.
    pub(super) fn raise_epoch(&self) -> Result<()> {
        self.run(sql!("settings.sql", "raise"), ["epoch"])?;
        Ok(())
    }

    /// Tells a worker, with its next heartbeat, to stop an execution.
    pub(super) fn order_stop(&self, worker: &str, id: ExecutionId) -> Result<()> {
        self.run(sql!("worker.sql", "order"), (worker, id.to_string()))?;
        Ok(())
    }
}

/// A number that the whole fleet agrees on.
pub(super) fn setting(db: &Connection, name: &str) -> Result<i64> {
    let found = one(db, sql!("settings.sql", "get"), [name], |row| Ok(row.get(0)?))?;
    found.ok_or_else(|| Error::Corrupt(format!("no setting `{name}`")))
}

/// The first row, if there is one.
pub(super) fn one<T>(
    db: &Connection,
    statement: &str,
    params: impl Params,
    mut read: impl FnMut(&Row<'_>) -> Result<T>,
) -> Result<Option<T>> {
    let mut statement = db.prepare_cached(statement)?;
    let mut rows = statement.query(params)?;
    rows.next()?.map(&mut read).transpose()
}

/// All rows. The statement has a LIMIT, or reads what is few.
pub(super) fn all<T>(
    db: &Connection,
    statement: &str,
    params: impl Params,
    mut read: impl FnMut(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut statement = db.prepare_cached(statement)?;
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

/// As SQLite counts.
pub(super) fn int(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// As Rust counts what SQLite holds.
pub(super) fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// A duration as whole milliseconds.
pub(super) fn millis(duration: std::time::Duration) -> i64 {
    int(duration.as_millis())
}

pub(super) fn disk_is_full() -> Error {
    Error::NoRoom("its disk is full")
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::{Error as Sqlite, ErrorCode};
        if error.sqlite_error_code() == Some(ErrorCode::DiskFull) {
            return disk_is_full();
        }
        let corrupt = matches!(
            error,
            Sqlite::FromSqlConversionFailure(..)
                | Sqlite::IntegralValueOutOfRange(..)
                | Sqlite::InvalidColumnType(..)
                | Sqlite::InvalidColumnName(_)
                | Sqlite::QueryReturnedNoRows
        ) || error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation);
        if corrupt {
            Error::Corrupt(error.to_string())
        } else {
            Error::Unavailable(error.to_string())
        }
    }
}

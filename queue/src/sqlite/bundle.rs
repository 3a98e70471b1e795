//! Notices of executions, as their ends put them in: those of one transaction are one row for each
//! channel, as rows are what a transaction takes its time for. When someone takes notices, a bundle
//! becomes rows of the outbox, each by itself.

use std::sync::Arc;

use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};

use super::{
    sql::sql,
    step::{Step, int, one},
};
use crate::{
    Channel, ExecutionId, RawJson, Result,
    pack::{pack, unpack},
};

/// The most notices of a bundle, and how long they are at most before another is begun, in bytes.
const COUNT_MAX: usize = 256;
const BYTES_MAX: usize = 1024 * 1024;

/// That an execution has ended, for those who are to be told.
pub(super) struct Told {
    pub(super) id: ExecutionId,
    pub(super) generation: u32,
    /// The letters of their channels.
    pub(super) tells: String,
    /// Its steps, for whoever keeps a record of them.
    pub(super) trace: Option<Arc<RawJson>>,
}

/// A notice as it is written.
#[derive(Serialize)]
struct Folded<'a>(ExecutionId, u32, Option<&'a RawJson>);

/// A notice as it is read.
#[derive(Deserialize)]
struct Unfolded(ExecutionId, u32, Option<RawJson>);

/// A bundle whose notices nobody has taken.
pub(super) struct Bundle {
    pub(super) number: i64,
    pub(super) due: i64,
    pub(super) count: i64,
}

impl Bundle {
    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self { number: row.get(0)?, due: row.get(1)?, count: row.get(2)? })
    }
}

/// Puts in what the steps of a transaction have to tell.
pub(super) fn write(tx: &Connection, due: i64, told: &[Told]) -> Result<()> {
    for channel in Channel::ALL {
        let letter = channel.letter();
        let mut folded = Vec::new();
        let mut size_bytes = 0;
        for told in told.iter().filter(|it| it.tells.contains(letter)) {
            let trace = told.trace.as_deref().filter(|_| channel == Channel::Tracking);
            size_bytes += trace.map_or(0, RawJson::size_bytes);
            folded.push(Folded(told.id, told.generation, trace));
            if folded.len() == COUNT_MAX || size_bytes >= BYTES_MAX {
                put(tx, channel, due, &folded)?;
                folded.clear();
                size_bytes = 0;
            }
        }
        if !folded.is_empty() {
            put(tx, channel, due, &folded)?;
        }
    }
    Ok(())
}

fn put(tx: &Connection, channel: Channel, due: i64, folded: &[Folded<'_>]) -> Result<()> {
    tx.prepare_cached(sql!("outbox.sql", "bundle"))?.execute(params![
        channel.letter(),
        due,
        int(folded.len()),
        pack(&folded)?,
    ])?;
    Ok(())
}

/// The first bundle of a channel.
pub(super) fn first(step: &Step<'_>, channel: Channel) -> Result<Option<Bundle>> {
    one(step.tx, sql!("outbox.sql", "first_bundle"), [channel.letter()], Bundle::read)
}

/// Makes rows of the outbox of a bundle.
pub(super) fn unfold(step: &Step<'_>, channel: Channel, bundle: &Bundle) -> Result<()> {
    // the clock may have been set back since
    let due = bundle.due.min(step.now);
    let notices = sql!("outbox.sql", "notices");
    let packed = step.one(notices, [bundle.number], |row| Ok(row.get::<_, Vec<u8>>(0)?))?;
    let unfolded: Vec<Unfolded> = packed.map_or(Ok(Vec::new()), |it| unpack(&it))?;
    for Unfolded(id, generation, trace) in unfolded {
        let name = id.to_string();
        step.run(sql!("outbox.sql", "put"), (channel.letter(), &name, due))?;
        if let Some(trace) = trace {
            step.run(sql!("outbox.sql", "put_trace"), (&name, generation, trace.as_str()))?;
        }
    }
    forget(step, bundle)
}

/// Forgets a bundle.
pub(super) fn forget(step: &Step<'_>, bundle: &Bundle) -> Result<()> {
    step.run(sql!("outbox.sql", "drop_bundle"), [bundle.number])?;
    Ok(())
}

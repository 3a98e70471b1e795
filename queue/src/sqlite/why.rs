//! What an execution waits for.

use rusqlite::Connection;

use super::{
    item::{Chunk, Item, Place},
    row::{BatchRow, maybe_time, state},
    sql::sql,
    step::{count, one, setting},
};
use crate::{BatchId, CHUNK, Error, ExecutionId, Result, State, Why, WorkerId};

/// A place in a line.
struct Waits {
    class: String,
    /// How many are before it.
    ahead: i64,
}

/// Says what one waits for.
pub(super) fn why(db: &Connection, now: i64, id: ExecutionId) -> Result<Why> {
    match (single(db, id)?, id.item_of()) {
        (Some(Ok(why)), _) => Ok(why),
        (Some(Err(waits)), _) => turn(db, now, &waits),
        (None, Some((batch, position))) => match item(db, batch, position)? {
            Ok(why) => Ok(why),
            Err(waits) => turn(db, now, &waits),
        },
        (None, None) => Err(Error::NotFound("execution")),
    }
}

fn single(db: &Connection, id: ExecutionId) -> Result<Option<Result<Why, Waits>>> {
    one(db, sql!("why.sql", "single"), [id.to_string()], |row| {
        let worker: Option<String> = row.get("worker")?;
        let state = state(row)?;
        Ok(match state {
            State::Scheduled => {
                Ok(Why::NotDue { due_at: maybe_time(row.get("due")?).unwrap_or_default() })
            }
            State::Running => Ok(Why::Running {
                worker: worker.map(WorkerId::from),
                cancel_requested: row.get("cancel")?,
            }),
            State::Queued => {
                let class: String = row.get("class")?;
                let (rank, crashes): (i64, i64) = (row.get("rank")?, row.get("crashes")?);
                let lane: String = row.get("lane")?;
                let batch: Option<i64> = row.get("batch")?;
                let ahead = if crashes >= super::claim::SUSPECT_FROM {
                    number(db, sql!("why.sql", "suspects_before"), [rank])?
                } else if rank < 0 {
                    number(db, sql!("why.sql", "ahead_before"), [rank])?
                } else {
                    let chunks = sql!("why.sql", "chunks_before");
                    number(db, sql!("why.sql", "before"), (&class, lane, rank))?
                        + batch.map_or(Ok(0), |batch| number(db, chunks, (batch, rank)))?
                };
                Err(Waits { class, ahead })
            }
            State::Succeeded | State::Failed | State::Cancelled | State::Expired => {
                Ok(Why::Ended { state })
            }
        })
    })
}

/// An item in its chunk, or at its end.
fn item(db: &Connection, id: BatchId, position: u32) -> Result<Result<Why, Waits>> {
    let batch = one(db, sql!("batch.sql", "find"), [id.to_string()], BatchRow::read)?;
    let batch = batch.filter(|batch| position < batch.total);
    let batch = batch.ok_or(Error::NotFound("execution"))?;
    let at = (batch.key, position);
    let item = one(db, sql!("batch.sql", "item"), at, Item::read)?;
    let item = item.unwrap_or_else(|| Item::fresh(position));
    if let Place::Ended(state) = item.place {
        return Ok(Ok(Why::Ended { state }));
    }
    let at = (batch.key, position / CHUNK);
    let chunk = one(db, sql!("batch.sql", "chunk"), at, Chunk::read)?;
    let chunk = chunk.ok_or(Error::NotFound("execution"))?;
    if let Some((worker, _)) = chunk.held {
        let worker = Some(WorkerId::from(worker));
        return Ok(Ok(Why::Running { worker, cancel_requested: item.cancel }));
    }
    let rank = chunk.rank.unwrap_or(0);
    let ahead = if rank < 0 {
        number(db, sql!("why.sql", "ahead_before"), [rank])?
    } else {
        let lane = format!("b:{}", batch.key);
        number(db, sql!("why.sql", "before"), (&batch.class, lane, rank))?
            + number(db, sql!("why.sql", "chunks_before"), (batch.key, rank))?
    };
    Ok(Err(Waits { class: batch.class, ahead }))
}

fn turn(db: &Connection, now: i64, waits: &Waits) -> Result<Why> {
    if setting(db, "paused")? != 0 {
        return Ok(Why::Paused);
    }
    let slots = one(db, sql!("worker.sql", "slots"), [now], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (slots, workers): (i64, i64) = slots.unwrap_or_default();
    if workers == 0 {
        return Ok(Why::NoWorker);
    }
    let lanes = number(db, sql!("why.sql", "lanes"), [&waits.class])?;
    Ok(Why::Turn { ahead: count(waits.ahead), lanes: count(lanes), slots: count(slots) })
}

fn number(db: &Connection, statement: &str, params: impl rusqlite::Params) -> Result<i64> {
    Ok(one(db, statement, params, |row| Ok(row.get(0)?))?.unwrap_or(0))
}

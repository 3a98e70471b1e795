//! Calls off: at once what waits, by an order to its worker what runs.

use super::{
    item::{Chunk, Item, Place, find_chunk, find_item, leave_chunk, note_item, open_items},
    row::{BatchRow, Record, corrupt},
    settle::{Ends, Outcome, end_execution, end_item},
    sql::sql,
    step::Step,
    upload::forget_upload,
};
use crate::{BatchId, Error, ExecutionId, Result, State};

/// The most chunks, and the most items alone, that one step of calling a batch off looks at.
const PAGE: usize = 128;

/// Calls one off, and says where it stands now.
pub(super) fn cancel(step: &mut Step<'_>, id: ExecutionId) -> Result<State> {
    match step.one(sql!("execution.sql", "find"), [id.to_string()], Record::read)? {
        Some(record) => cancel_record(step, &record),
        None => cancel_item(step, id),
    }
}

fn cancel_record(step: &mut Step<'_>, record: &Record) -> Result<State> {
    match record.state {
        State::Scheduled | State::Queued => {
            end_execution(step, record, &Outcome::bare(State::Cancelled), None)?;
            Ok(State::Cancelled)
        }
        State::Running => {
            step.run(sql!("execution.sql", "request_cancel"), [record.key])?;
            let worker = record.worker.as_deref().ok_or_else(|| corrupt("runs nowhere"))?;
            step.order_stop(worker, record.id)?;
            Ok(State::Running)
        }
        State::Cancelled => Ok(State::Cancelled),
        State::Succeeded | State::Failed | State::Expired => Err(Error::AlreadyEnded(record.state)),
    }
}

/// An item that is in its chunk, or has ended.
fn cancel_item(step: &mut Step<'_>, id: ExecutionId) -> Result<State> {
    let (batch, item) = locate(step, id)?;
    match item.place {
        Place::Ended(State::Cancelled) => Ok(State::Cancelled),
        Place::Ended(state) => Err(Error::AlreadyEnded(state)),
        Place::Alone => Err(corrupt("an item alone is missing")),
        Place::Open => {
            let chunk = find_chunk(step, batch.key, item.position / crate::CHUNK)?;
            if let Some((worker, _)) = &chunk.held {
                request_cancel(step, &batch, item, worker)?;
                return Ok(State::Running);
            }
            leave_chunk(step, batch.key, chunk.number, 1)?;
            end_bare(step, &batch, &item, State::Cancelled)?;
            Ok(State::Cancelled)
        }
    }
}

/// An item by its name, as far as something is known of it.
pub(super) fn locate(step: &Step<'_>, id: ExecutionId) -> Result<(BatchRow, Item)> {
    let missing = Error::NotFound("execution");
    let Some((batch, position)) = id.item_of() else { return Err(missing) };
    let found = step.one(sql!("batch.sql", "find"), [batch.to_string()], BatchRow::read)?;
    let Some(batch) = found.filter(|batch| position < batch.total) else { return Err(missing) };
    let item = find_item(step, batch.key, position)?;
    Ok((batch, item))
}

pub(super) fn request_cancel(
    step: &Step<'_>,
    batch: &BatchRow,
    mut item: Item,
    worker: &str,
) -> Result<()> {
    item.cancel = true;
    step.order_stop(worker, batch.id.item(item.position))?;
    note_item(step, batch.key, &item, "open")
}

pub(super) fn end_bare(
    step: &mut Step<'_>,
    batch: &BatchRow,
    item: &Item,
    state: State,
) -> Result<()> {
    end_with(step, batch, item, &Outcome::bare(state))
}

/// Ends an item that did not run to its end. The caller takes it out of its chunk.
pub(super) fn end_with(
    step: &mut Step<'_>,
    batch: &BatchRow,
    item: &Item,
    outcome: &Outcome,
) -> Result<()> {
    let ends = Ends {
        id: batch.id.item(item.position),
        owner: &batch.owner,
        program: &batch.spec.program,
        generation: item.generation,
        attempts: item.attempts.as_deref(),
        cache: None,
    };
    end_item(step, batch.key, item.position, &ends, outcome)
}

/// Ends what is open of a chunk, and says how much that was. What runs is told to stop; if it is
/// to be cancelled, it ends when its worker has stopped.
pub(super) fn settle_chunk(
    step: &mut Step<'_>,
    batch: &BatchRow,
    chunk: &Chunk,
    state: State,
) -> Result<u64> {
    let items = open_items(step, batch, chunk.number)?;
    let count = items.len() as u64;
    if let (Some((worker, _)), State::Cancelled) = (&chunk.held, state) {
        for item in items {
            request_cancel(step, batch, item, worker)?;
        }
        return Ok(0);
    }
    leave_chunk(step, batch.key, chunk.number, items.len())?;
    for item in items {
        if let Some((worker, _)) = &chunk.held {
            step.order_stop(worker, batch.id.item(item.position))?;
        }
        end_bare(step, batch, &item, state)?;
    }
    Ok(count)
}

/// How far the calling off of a batch is.
#[derive(Clone, Copy, Default)]
pub(super) struct Progress {
    chunk: i64,
    position: i64,
}

/// Notes that a batch is called off, so that nothing of it is handed out any more, and settles a
/// page of it. None when that was the last.
pub(super) fn call_off(
    step: &mut Step<'_>,
    id: BatchId,
    from: Progress,
) -> Result<Option<Progress>> {
    let found = step.one(sql!("batch.sql", "find"), [id.to_string()], BatchRow::read)?;
    let batch = found.ok_or(Error::NotFound("batch"))?;
    if batch.finished.is_some() {
        return Ok(None);
    }
    step.run(sql!("batch.sql", "call_off"), (batch.key, step.now))?;
    forget_upload(step, batch.key)?;
    let chunks = step.all(
        sql!("batch.sql", "next_unsettled"),
        (batch.key, from.chunk, super::step::int(PAGE)),
        Chunk::read,
    )?;
    let alone = step.all(
        sql!("execution.sql", "alone_in"),
        (batch.key, from.position, super::step::int(PAGE)),
        Record::read,
    )?;
    let mut next = from;
    for chunk in &chunks {
        settle_chunk(step, &batch, chunk, State::Cancelled)?;
        next.chunk = i64::from(chunk.number) + 1;
    }
    for record in &alone {
        cancel_record(step, record)?;
        next.position = record.item.map_or(next.position, |(_, it)| i64::from(it) + 1);
    }
    Ok((chunks.len() == PAGE || alone.len() == PAGE).then_some(next))
}

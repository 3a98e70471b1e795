//! Runs what has ended again, as a new generation of the same id.

use super::{
    cancel::locate,
    item::{Item, Place, Wait, find_chunk, note_item, put_alone, unpack_chunk},
    row::{BatchRow, Last, Past, Record, with_attempt},
    sql::sql,
    step::{Step, int},
};
use crate::{BatchId, CHUNK, Error, ExecutionId, Report, Result, State};

/// The most items that one step runs again.
const PAGE: usize = 1024;

/// An item that ended, with how.
struct EndedItem {
    item: Item,
    past: Past,
}

/// Runs one again.
pub(super) fn retry(step: &mut Step<'_>, id: ExecutionId) -> Result<State> {
    let find = sql!("execution.sql", "find");
    let found =
        step.one(find, [id.to_string()], |row| Ok((Record::read(row)?, Past::read(row)?)))?;
    match found {
        Some((record, past)) => retry_record(step, &record, &past),
        None => retry_item(step, id),
    }
}

fn retry_record(step: &mut Step<'_>, record: &Record, past: &Past) -> Result<State> {
    match record.state {
        State::Failed | State::Cancelled | State::Expired => {}
        State::Scheduled | State::Queued | State::Running | State::Succeeded => {
            return Err(Error::AlreadyEnded(record.state));
        }
    }
    let rank = step.next_number();
    step.run(sql!("execution.sql", "again"), (record.key, rank, step.now, history(past)?))?;
    step.run(sql!("execution.sql", "unbury"), [record.id.to_string()])?;
    step.effects.arrived = true;
    Ok(State::Queued)
}

/// All attempts of all generations so far, with the one that ended the last.
fn history(past: &Past) -> Result<Option<String>> {
    let Some(report) = past.report.as_deref() else { return Ok(past.attempts.clone()) };
    let report: Report = serde_json::from_str(report)?;
    let last = Last {
        started: past.started,
        run_micros: past.run_micros,
        worker: past.worker.as_deref(),
        generation: past.generation,
    };
    match last.attempt(&report) {
        Some(attempt) => with_attempt(past.attempts.as_deref(), attempt).map(Some),
        None => Ok(past.attempts.clone()),
    }
}

fn retry_item(step: &mut Step<'_>, id: ExecutionId) -> Result<State> {
    let (batch, item) = locate(step, id)?;
    match item.place {
        Place::Ended(State::Failed | State::Cancelled | State::Expired) => {}
        Place::Ended(state) => return Err(Error::AlreadyEnded(state)),
        Place::Alone => return Err(super::row::corrupt("an item alone is missing")),
        Place::Open => {
            let chunk = find_chunk(step, batch.key, item.position / CHUNK)?;
            let state = if chunk.held.is_some() { State::Running } else { State::Queued };
            return Err(Error::AlreadyEnded(state));
        }
    }
    let past = step.one(sql!("batch.sql", "item"), (batch.key, item.position), Past::read)?;
    let past = past.ok_or(Error::NotFound("execution"))?;
    reopen(step, &batch, vec![EndedItem { item, past }])?;
    Ok(State::Queued)
}

/// Puts items of one chunk back: into it, or beside it while it runs.
fn reopen(step: &mut Step<'_>, batch: &BatchRow, ended: Vec<EndedItem>) -> Result<()> {
    let Some(first) = ended.first() else { return Ok(()) };
    let number = first.item.position / CHUNK;
    let chunk = find_chunk(step, batch.key, number)?;
    let count = int(ended.len());
    let contents =
        if chunk.held.is_some() { unpack_chunk(step, batch.key, number)? } else { Vec::new() };
    for EndedItem { item, past } in ended {
        step.run(sql!("batch.sql", "uncount_end"), (batch.key, &past.state_word))?;
        step.run(sql!("execution.sql", "unbury"), [batch.id.item(item.position).to_string()])?;
        let generation = item.generation + 1;
        let item = Item { generation, attempts: history(&past)?, place: Place::Open, ..item };
        match contents.get((item.position % CHUNK) as usize) {
            Some(content) => {
                let wait = Wait::Queued(step.next_number());
                put_alone(step, batch, &item, content, 0, &wait)?;
            }
            None => note_item(step, batch.key, &item, "open")?,
        }
    }
    if chunk.held.is_none() {
        let rank = step.next_number();
        step.run(sql!("batch.sql", "join"), (batch.key, number, count, rank, step.now))?;
    }
    step.effects.arrived = true;
    Ok(())
}

/// Runs a page of a batch's items again that did not succeed. Says how many that were, and from
/// which place to go on; none at the end.
pub(super) fn retry_page(
    step: &mut Step<'_>,
    id: BatchId,
    from: u32,
) -> Result<(u64, Option<u32>)> {
    let found = step.one(sql!("batch.sql", "find"), [id.to_string()], BatchRow::read)?;
    let batch = found.ok_or(Error::NotFound("batch"))?;
    let page = step.all(sql!("batch.sql", "to_retry"), (batch.key, from, int(PAGE)), |row| {
        Ok(EndedItem { item: Item::read(row)?, past: Past::read(row)? })
    })?;
    let count = page.len();
    let next = page.last().map(|it| it.item.position + 1).filter(|_| count == PAGE);
    let mut of_chunk: Vec<EndedItem> = Vec::new();
    for ended in page {
        let other = |first: &EndedItem| first.item.position / CHUNK != ended.item.position / CHUNK;
        if of_chunk.first().is_some_and(other) {
            reopen(step, &batch, std::mem::take(&mut of_chunk))?;
        }
        of_chunk.push(ended);
    }
    reopen(step, &batch, of_chunk)?;
    Ok((count as u64, next))
}

/// Whether a batch was called off and some of it still waits to hear so.
pub(super) fn is_being_called_off(step: &mut Step<'_>, id: BatchId) -> Result<bool> {
    let found = step.one(sql!("batch.sql", "find"), [id.to_string()], BatchRow::read)?;
    Ok(found.is_some_and(|batch| batch.calling_off && batch.finished.is_none()))
}

/// Runs a page of the dead list again, oldest first. Says how many, and from which place to go on;
/// none at the end.
pub(super) fn retry_dead_page(
    step: &mut Step<'_>,
    owner: Option<&str>,
    max: usize,
    from: i64,
) -> Result<(u64, Option<i64>)> {
    let most = max.min(PAGE);
    let page = step.all(sql!("execution.sql", "dead"), (from, owner, int(most)), |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
    })?;
    let next = page.last().map(|(key, _)| *key).filter(|_| page.len() == most);
    let mut count = 0;
    for (_, id) in page {
        match retry(step, id.parse()?) {
            Ok(_) => count += 1,
            // its record is too old: what the list says is all that is left of it
            Err(Error::NotFound(_)) => drop(step.run(sql!("execution.sql", "unbury"), [id])?),
            Err(error) => return Err(error),
        }
    }
    Ok((count, next))
}

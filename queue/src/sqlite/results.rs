//! Reads items of a batch, in order: from their chunk, from rows of their own, or at their end.

use std::sync::Arc;

use rusqlite::{Connection, Row};

use super::{
    item::{Chunk, Item, Place, packed, unpack},
    list::{SCAN_MAX, bad_cursor, find_single},
    row::{BatchRow, Past, corrupt, maybe_time, time},
    sql::sql,
    step::{all, int, one},
};
use crate::{
    BatchId, BatchItem, CHUNK, Error, Execution, ExecutionId, Filter, PAGE_MAX, Page, Result,
    State, Which, WorkerId,
};

/// What is known of an item that has a row.
struct Known {
    item: Item,
    past: Past,
}

impl Known {
    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self { item: Item::read(row)?, past: Past::read(row)? })
    }
}

/// Reads items of one batch; remembers the chunk that it read last.
struct Items<'a> {
    db: &'a Connection,
    batch: BatchRow,
    open: Option<(Chunk, Vec<BatchItem>)>,
}

impl<'a> Items<'a> {
    fn of(db: &'a Connection, id: BatchId, missing: &'static str) -> Result<Self> {
        let batch = one(db, sql!("batch.sql", "find"), [id.to_string()], BatchRow::read)?;
        Ok(Self { db, batch: batch.ok_or(Error::NotFound(missing))?, open: None })
    }

    fn chunk(&mut self, number: u32) -> Result<&(Chunk, Vec<BatchItem>)> {
        let open = self.open.take().filter(|(chunk, _)| chunk.number == number);
        let open = if let Some(open) = open {
            open
        } else {
            let at = (self.batch.key, number);
            let chunk = one(self.db, sql!("batch.sql", "chunk"), at, Chunk::read)?;
            let chunk = chunk.ok_or_else(|| corrupt(format!("no chunk {number}")))?;
            (chunk, unpack(&packed(self.db, self.batch.key, number)?)?)
        };
        Ok(self.open.insert(open))
    }

    fn read(&mut self, position: u32, known: Option<Known>) -> Result<Execution> {
        let id = self.batch.id.item(position);
        let place = known.as_ref().map_or(Place::Open, |known| known.item.place);
        if place == Place::Alone {
            return find_single(self.db, id);
        }
        let mut execution = self.blank(id, position)?;
        let cancel = known.as_ref().is_some_and(|known| known.item.cancel);
        if let Some(known) = known {
            known.past.show(&mut execution)?;
        }
        match place {
            Place::Ended(state) => execution.state = state,
            Place::Open | Place::Alone => {
                let (chunk, _) = self.chunk(position / CHUNK)?;
                if let Some((worker, _)) = &chunk.held {
                    execution.state = State::Running;
                    execution.worker = Some(WorkerId::from(worker.clone()));
                    execution.started_at = maybe_time(chunk.started);
                    execution.cancel_requested = cancel;
                }
            }
        }
        Ok(execution)
    }

    /// The item as if nothing were known of it.
    fn blank(&mut self, id: ExecutionId, position: u32) -> Result<Execution> {
        let (_, contents) = self.chunk(position / CHUNK)?;
        let content = contents.get((position % CHUNK) as usize).cloned();
        let content = content.ok_or_else(|| corrupt("a chunk with too few items"))?;
        let (spec, created) = (Arc::clone(&self.batch.spec), time(self.batch.created));
        let queued = Execution::queued(id, spec, content.inputs, created);
        Ok(Execution { custom_id: content.custom_id, ..queued })
    }

    /// All items in a range, those of which nothing is known too.
    fn range(&mut self, from: u32, to: u32) -> Result<Vec<Execution>> {
        let known =
            all(self.db, sql!("list.sql", "known"), (self.batch.key, from, to), Known::read)?;
        let mut known = known.into_iter().peekable();
        let read = |position| {
            let known = known.next_if(|known| known.item.position == position);
            self.read(position, known)
        };
        (from..to).map(read).collect()
    }
}

/// One item by its name.
pub(super) fn find_item(db: &Connection, batch: BatchId, position: u32) -> Result<Execution> {
    let mut items = Items::of(db, batch, "execution")?;
    if position >= items.batch.total {
        return Err(Error::NotFound("execution"));
    }
    items.range(position, position + 1)?.pop().ok_or(Error::NotFound("execution"))
}

/// A page of a batch's items, in order.
pub(super) fn list_items(
    db: &Connection,
    batch: BatchId,
    filter: &Filter,
    cursor: Option<&str>,
    max: usize,
) -> Result<Page<Execution>> {
    let mut items = match Items::of(db, batch, "batch") {
        Ok(items) => items,
        Err(Error::NotFound(_)) => return Ok(Page { items: Vec::new(), next: None }),
        Err(error) => return Err(error),
    };
    let from: u32 = cursor.map_or(Ok(0), str::parse).map_err(|_| bad_cursor())?;
    let total = items.batch.total;
    let most = max.clamp(1, PAGE_MAX);
    let (mut at, mut found) = (from.min(total), Vec::new());
    let end = at.saturating_add(SCAN_MAX).min(total);
    while at < end && found.len() < most {
        let next = ((at / CHUNK + 1) * CHUNK).min(end);
        for execution in items.range(at, next)? {
            if found.len() == most {
                break;
            }
            at += 1;
            if fits(filter, &execution) {
                found.push(execution);
            }
        }
    }
    Ok(Page { items: found, next: (at < total).then(|| at.to_string()) })
}

fn fits(filter: &Filter, execution: &Execution) -> bool {
    let spec = &execution.spec;
    filter.owner.as_ref().is_none_or(|owner| *owner == spec.owner)
        && filter.program.as_ref().is_none_or(|program| *program == spec.program)
        && filter.state.is_none_or(|state| state == execution.state)
        && filter.since.is_none_or(|since| execution.created_at >= since)
}

/// A page of a batch's ended items, in order.
pub(super) fn batch_results(
    db: &Connection,
    id: BatchId,
    from: u32,
    max: usize,
    which: Which,
) -> Result<Page<Execution>> {
    let mut items = Items::of(db, id, "batch")?;
    let total = items.batch.total;
    let most = max.clamp(1, PAGE_MAX);
    let end = from.saturating_add(SCAN_MAX).min(total);
    let only = if let Which::Only(state) = which { Some(state.as_str()) } else { None };
    let mut known = all(
        db,
        sql!("list.sql", "ended"),
        (items.batch.key, from, end, only, int(most)),
        Known::read,
    )?;
    let mut full = known.len() == most;
    if which == Which::InTurn {
        let in_turn = (from..).zip(&known).take_while(|(at, it)| it.item.position == *at).count();
        known.truncate(in_turn);
        full = true;
    }
    let last = known.last().map(|known| known.item.position);
    let next = if full { last.map_or(from, |last| last + 1) } else { end };
    let read = |known: Known| items.read(known.item.position, Some(known));
    let found = known.into_iter().map(read).collect::<Result<_>>()?;
    Ok(Page { items: found, next: (next < total).then(|| next.to_string()) })
}

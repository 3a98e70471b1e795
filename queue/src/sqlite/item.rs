//! Items of batches: in their chunk, alone, or ended.

use std::io::Read;

use rusqlite::{Connection, Row, params};

use super::{
    row::{BatchRow, corrupt},
    sql::sql,
    step::{Step, one},
};
use crate::{BatchItem, CHUNK, Error, Result, State};

/// The most that the items of a chunk may be when unpacked; a file that says more is damaged.
const CHUNK_BYTES_MAX: u64 = 1 << 31;

/// How hard to compress: fast, as workers wait for chunks.
const ZSTD_LEVEL: i32 = 1;

/// Where an item is, of which something is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// In its chunk, and as that is.
    Open,
    /// In a row of its own.
    Alone,
    /// At its end.
    Ended(State),
}

/// What is known of an item.
pub(super) struct Item {
    pub(super) position: u32,
    pub(super) place: Place,
    pub(super) cancel: bool,
    pub(super) generation: u32,
    pub(super) attempts: Option<String>,
}

impl Item {
    /// An item of which nothing is known.
    pub(super) fn fresh(position: u32) -> Self {
        Self { position, place: Place::Open, cancel: false, generation: 0, attempts: None }
    }

    pub(super) fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            position: row.get("position")?,
            place: place(row.get_ref("state")?.as_str().map_err(corrupt)?)?,
            cancel: row.get("cancel")?,
            generation: row.get("generation")?,
            attempts: row.get("attempts")?,
        })
    }
}

pub(super) fn place(word: &str) -> Result<Place> {
    Ok(match word {
        "open" => Place::Open,
        "alone" => Place::Alone,
        other => Place::Ended(other.parse()?),
    })
}

/// A row of `chunks`.
pub(super) struct Chunk {
    pub(super) batch: i64,
    pub(super) number: u32,
    pub(super) open: u32,
    /// Who holds it, and by which hand-out; none if nobody does.
    pub(super) held: Option<(String, i64)>,
    pub(super) rank: Option<i64>,
    pub(super) crashes: i64,
    pub(super) started: Option<i64>,
}

impl Chunk {
    pub(super) fn read(row: &Row<'_>) -> Result<Self> {
        let worker: Option<String> = row.get("worker")?;
        let delivery: Option<i64> = row.get("delivery")?;
        Ok(Self {
            batch: row.get("batch")?,
            number: row.get("chunk")?,
            open: row.get("open")?,
            held: worker.zip(delivery),
            rank: row.get("rank")?,
            crashes: row.get("crashes")?,
            started: row.get("started")?,
        })
    }

    /// Its name in leases.
    pub(super) fn entry(&self) -> String {
        format!("{}.{}", self.batch, self.number)
    }
}

pub(super) fn find_batch(step: &Step<'_>, key: i64) -> Result<BatchRow> {
    let found = step.one(sql!("batch.sql", "get"), [key], BatchRow::read)?;
    found.ok_or_else(|| Error::Corrupt(format!("no batch {key}")))
}

pub(super) fn find_chunk(step: &Step<'_>, batch: i64, chunk: u32) -> Result<Chunk> {
    let found = step.one(sql!("batch.sql", "chunk"), (batch, chunk), Chunk::read)?;
    found.ok_or_else(|| Error::Corrupt(format!("no chunk {chunk} of batch {batch}")))
}

pub(super) fn find_item(step: &Step<'_>, batch: i64, position: u32) -> Result<Item> {
    let found = step.one(sql!("batch.sql", "item"), (batch, position), Item::read)?;
    Ok(found.unwrap_or_else(|| Item::fresh(position)))
}

/// The items of a chunk that have not ended and are not alone, in order.
pub(super) fn open_items(step: &Step<'_>, batch: &BatchRow, chunk: u32) -> Result<Vec<Item>> {
    let (first, end) = (chunk * CHUNK, ((chunk + 1) * CHUNK).min(batch.total));
    let known = step.all(
        sql!("batch.sql", "items"),
        (batch.key, first, end.saturating_sub(1)),
        Item::read,
    )?;
    let mut known = known.into_iter().peekable();
    let mut open = Vec::new();
    for position in first..end {
        let item = known
            .next_if(|item| item.position == position)
            .unwrap_or_else(|| Item::fresh(position));
        if item.place == Place::Open {
            open.push(item);
        }
    }
    Ok(open)
}

/// What the items of a chunk are, in order.
pub(super) fn unpack(items: &[u8]) -> Result<Vec<BatchItem>> {
    let decoder = zstd::Decoder::new(items).map_err(corrupt)?;
    let mut text = Vec::new();
    decoder.take(CHUNK_BYTES_MAX).read_to_end(&mut text).map_err(corrupt)?;
    Ok(serde_json::from_slice(&text)?)
}

pub(super) fn pack(items: &[BatchItem]) -> Result<Vec<u8>> {
    zstd::encode_all(serde_json::to_vec(items)?.as_slice(), ZSTD_LEVEL).map_err(corrupt)
}

/// What one item is.
pub(super) fn unpack_item(step: &Step<'_>, batch: i64, position: u32) -> Result<BatchItem> {
    let items = unpack_chunk(step, batch, position / CHUNK)?;
    let item = items.into_iter().nth((position % CHUNK) as usize);
    item.ok_or_else(|| corrupt("a chunk with too few items"))
}

/// What the items of a stored chunk are, in order.
pub(super) fn unpack_chunk(step: &Step<'_>, batch: i64, chunk: u32) -> Result<Vec<BatchItem>> {
    unpack(&packed(step.tx, batch, chunk)?)
}

/// The items of a stored chunk as they are stored.
pub(super) fn packed(db: &Connection, batch: i64, chunk: u32) -> Result<Vec<u8>> {
    let found = one(db, sql!("batch.sql", "items_of"), (batch, chunk), |row| Ok(row.get(0)?))?;
    found.ok_or_else(|| corrupt("a chunk without items"))
}

/// Where one that leaves its chunk is to wait.
pub(super) enum Wait {
    /// In a line, by its rank.
    Queued(i64),
    /// Until a time.
    Scheduled(i64),
}

/// Gives an item a row of its own. The caller takes it out of its chunk.
pub(super) fn put_alone(
    step: &mut Step<'_>,
    batch: &BatchRow,
    item: &Item,
    content: &BatchItem,
    crashes: i64,
    wait: &Wait,
) -> Result<State> {
    let (state, rank, due) = match wait {
        Wait::Queued(rank) => (State::Queued, Some(*rank), None),
        Wait::Scheduled(due) => (State::Scheduled, None, Some(*due)),
    };
    step.run(
        sql!("execution.sql", "insert"),
        params![
            batch.id.item(item.position).to_string(),
            batch.key,
            item.position,
            batch.owner,
            batch.spec.program,
            batch.class,
            format!("b:{}", batch.key),
            state.as_str(),
            rank,
            due,
            step.now,
            item.generation,
            crashes,
            false,
            false,
            batch.deadline,
            item.attempts,
            None::<String>,
            batch.created,
            None::<i64>,
            "", // its batch tells
        ],
    )?;
    step.run(
        sql!("execution.sql", "insert_payload"),
        params![
            step.tx.last_insert_rowid(),
            batch.spec_text,
            serde_json::to_string(&content.inputs)?,
            content.custom_id,
            content.fingerprint,
            batch.ttl,
        ],
    )?;
    note_item(step, batch.key, item, "alone")?;
    step.effects.arrived = true;
    Ok(state)
}

/// Keeps what is known of an item that has not ended.
pub(super) fn note_item(step: &Step<'_>, batch: i64, item: &Item, state: &str) -> Result<()> {
    step.run(
        sql!("batch.sql", "open_item"),
        params![
            batch,
            item.position,
            state,
            item.cancel && state == "open",
            item.generation,
            item.attempts
        ],
    )?;
    Ok(())
}

/// Takes items that have ended or gone elsewhere out of their chunk.
pub(super) fn leave_chunk(step: &Step<'_>, batch: i64, chunk: u32, items: usize) -> Result<()> {
    step.run(sql!("batch.sql", "leave"), (batch, chunk, super::step::int(items)))?;
    Ok(())
}

//! Batches as they come in: opened, filled part by part, sealed. One that comes in one piece does
//! all that in one step.

use rusqlite::params;

use super::{
    custom_ids::note_custom_ids,
    item::{Chunk, Item, Wait, pack, put_alone, unpack_chunk},
    row::{BatchRow, Phase},
    settle::{Ends, Outcome, count_end, recall, record_item},
    sql::sql,
    step::{Step, count, int, millis},
    submit::{check_room, keep_key, known_key, letter},
};
use crate::{
    BatchId, BatchItem, CHUNK, CHUNK_ITEMS, Error, NewBatch, Part, Release, Report, Result, Seal,
    State, Submitted, Via, custom_ids as names,
};

/// The most items of a batch: positions are counted in 32 bits, with room to spare.
const ITEMS_MAX: u32 = 1 << 30;

/// A part whose chunks are packed, but for the first if it goes on with one that is begun.
pub(super) struct PackedPart {
    part: Part,
    chunks: Vec<Vec<u8>>,
    names: Vec<u8>,
}

impl PackedPart {
    /// Packs the chunks. Takes as long as compressing them does.
    pub(super) fn new(part: Part) -> Result<Self> {
        let count = u32::try_from(part.items.len()).unwrap_or(u32::MAX);
        if part.first.saturating_add(count) > ITEMS_MAX {
            return Err(Error::Unsupported(format!("a batch of more than {ITEMS_MAX} items")));
        }
        let rest = part.items.get(part.in_begun_chunk()..).unwrap_or_default();
        let chunks = rest.chunks(CHUNK_ITEMS).map(pack).collect::<Result<_>>()?;
        let names = names::records(part.first, &part.items);
        Ok(Self { part, chunks, names })
    }
}

impl Part {
    /// How many of its items go on with a chunk that is begun.
    fn in_begun_chunk(&self) -> usize {
        let missing = (CHUNK_ITEMS - self.first as usize % CHUNK_ITEMS) % CHUNK_ITEMS;
        missing.min(self.items.len())
    }
}

/// Accepts a batch with all its items, or says what is known of it.
pub(super) fn submit_batch(
    step: &mut Step<'_>,
    new: &NewBatch,
    part: &PackedPart,
) -> Result<Submitted<BatchId>> {
    let opened = begin(step, new, Release::Whole)?;
    let Opened::New(batch) = opened else { return Ok(opened.answer()) };
    let spec = &new.spec;
    let outcomes = add(step, &batch, part)?;
    let open = outcomes.iter().filter(|outcome| outcome.is_none()).count() as u64;
    check_room(step, &spec.owner, spec.class, open)?;
    close(step, batch.key)?;
    keep_key(step, &spec.owner, new.idempotency.as_ref(), "batch", &new.id.to_string())?;
    let state = if open > 0 { State::Queued } else { State::Succeeded };
    Ok(Submitted { id: new.id, state, replayed: false })
}

/// Opens a batch, or says what is known of it.
pub(super) fn open_batch(
    step: &mut Step<'_>,
    new: &NewBatch,
    release: Release,
) -> Result<Submitted<BatchId>> {
    let opened = begin(step, new, release)?;
    if let (Opened::New(_), Release::PartByPart) = (&opened, release) {
        let key = new.idempotency.as_ref();
        keep_key(step, &new.spec.owner, key, "batch", &new.id.to_string())?;
    }
    Ok(opened.answer())
}

/// What became of an attempt to open a batch.
enum Opened {
    New(Box<BatchRow>),
    Known(Submitted<BatchId>),
}

impl Opened {
    fn answer(self) -> Submitted<BatchId> {
        match self {
            Self::New(batch) => Submitted { id: batch.id, state: State::Queued, replayed: false },
            Self::Known(submitted) => submitted,
        }
    }
}

fn begin(step: &mut Step<'_>, new: &NewBatch, release: Release) -> Result<Opened> {
    let (key, spec) = (new.idempotency.as_ref(), &new.spec);
    if let Some(first) = known_key(step, &spec.owner, key, "batch")? {
        let id: BatchId = first.parse()?;
        if let Some(state) = state_of(step, id)? {
            return Ok(Opened::Known(Submitted { id, state, replayed: true }));
        }
    }
    if let Some(state) = state_of(step, new.id)? {
        return Ok(Opened::Known(Submitted { id: new.id, state, replayed: false }));
    }
    let phase = match release {
        Release::Whole => "held",
        Release::PartByPart => "open",
    };
    step.run(
        sql!("batch.sql", "open"),
        params![
            new.id.to_string(),
            spec.owner,
            letter(spec.class),
            serde_json::to_string(spec)?,
            new.cache_ttl.map(millis),
            spec.deadline.map(|it| it.timestamp_millis()),
            phase,
            new.policy.concurrency,
            new.policy.errors_max.map(int),
            step.now,
            spec.tells(),
            spec.via == Via::Provider,
        ],
    )?;
    find_upload(step, new.id).map(|batch| Opened::New(Box::new(batch)))
}

fn find_upload(step: &Step<'_>, id: BatchId) -> Result<BatchRow> {
    let found = step.one(sql!("batch.sql", "find_upload"), [id.to_string()], BatchRow::read)?;
    found.ok_or(Error::NotFound("batch"))
}

/// Where a batch stands, in the words of executions: queued until its last item has ended.
fn state_of(step: &Step<'_>, id: BatchId) -> Result<Option<State>> {
    step.one(sql!("submit.sql", "batch_known"), [id.to_string()], |row| {
        Ok(if row.get(0)? { State::Succeeded } else { State::Queued })
    })
}

/// Adds a part to an open batch, and says how many items that has then.
pub(super) fn add_part(step: &mut Step<'_>, id: BatchId, part: &PackedPart) -> Result<u64> {
    let batch = find_upload(step, id)?;
    let (received, first) = (u64::from(batch.total), part.part.first);
    let content = format!("{} {}", part.part.items.len(), part.part.digest);
    let known = step.one(sql!("batch.sql", "known_part"), (batch.key, first), |row| {
        Ok(row.get::<_, String>(0)?)
    })?;
    if known.is_some_and(|known| known == content) {
        return Ok(received);
    }
    if batch.phase == Phase::Sealed {
        return Err(Error::Sealed { received });
    }
    if first != batch.total {
        return Err(Error::OutOfStep { received });
    }
    step.run(sql!("batch.sql", "note_part"), (batch.key, first, content))?;
    if batch.phase == Phase::Open {
        note_custom_ids(step, batch.key, &part.names)?;
    }
    add(step, &batch, part)?;
    Ok(received + part.part.items.len() as u64)
}

/// Adds items: their contents, how some have ended already, and the rest to their chunks.
fn add(step: &mut Step<'_>, batch: &BatchRow, packed: &PackedPart) -> Result<Vec<Option<Outcome>>> {
    let part = &packed.part;
    let outcomes = known_outcomes(step, batch, &part.items)?;
    let asked = part.items.iter().zip(&outcomes).filter(|it| it.0.fingerprint.is_some());
    let misses = asked.filter(|it| batch.ttl.is_some() && it.1.is_none()).count();
    step.run(sql!("batch.sql", "grow"), (batch.key, int(part.items.len()), int(misses), step.now))?;
    end_known(step, batch, part, &outcomes)?;
    if batch.phase == Phase::Open {
        step.effects.tally.of(step.now, &batch.spec.program).cache_misses += misses as u64;
    }
    let begun = part.in_begun_chunk();
    if begun > 0 {
        go_on_with_chunk(step, batch, part, &outcomes, begun)?;
    }
    let after = part.first as usize + begun;
    let outcomes_after = outcomes.get(begun..).unwrap_or_default().chunks(CHUNK_ITEMS);
    for ((number, items), outcomes) in
        (after / CHUNK_ITEMS..).zip(&packed.chunks).zip(outcomes_after)
    {
        step.run(sql!("batch.sql", "insert_items"), (batch.key, int(number), items))?;
        if batch.phase == Phase::Open {
            insert_chunk(step, batch, number, outcomes.iter().filter(|it| it.is_none()).count())?;
        }
    }
    Ok(outcomes)
}

fn insert_chunk(step: &mut Step<'_>, batch: &BatchRow, number: usize, open: usize) -> Result<()> {
    let (state, rank) =
        if open > 0 { ("queued", Some(step.next_number())) } else { ("idle", None) };
    step.run(
        sql!("batch.sql", "insert_chunk"),
        params![batch.key, int(number), batch.owner, batch.class, state, int(open), rank, step.now],
    )?;
    step.effects.arrived |= open > 0;
    Ok(())
}

/// Adds items to a chunk that is begun: to those that wait in it, or beside it while it runs.
fn go_on_with_chunk(
    step: &mut Step<'_>,
    batch: &BatchRow,
    part: &Part,
    outcomes: &[Option<Outcome>],
    begun: usize,
) -> Result<()> {
    let number = part.first / CHUNK;
    let mut contents = unpack_chunk(step, batch.key, number)?;
    contents.extend(part.items.iter().take(begun).cloned());
    step.run(sql!("batch.sql", "insert_items"), (batch.key, number, pack(&contents)?))?;
    if batch.phase == Phase::Held {
        return Ok(());
    }
    let chunk = step.one(sql!("batch.sql", "chunk"), (batch.key, number), Chunk::read)?;
    let Some(chunk) = chunk else { return Err(super::row::corrupt("a chunk is missing")) };
    let open: Vec<u32> = (part.first..)
        .zip(outcomes.iter().take(begun))
        .filter(|it| it.1.is_none())
        .map(|it| it.0)
        .collect();
    if chunk.held.is_none() {
        if !open.is_empty() {
            let rank = step.next_number();
            let more = int(open.len());
            step.run(sql!("batch.sql", "join"), (batch.key, number, more, rank, step.now))?;
            step.effects.arrived = true;
        }
        return Ok(());
    }
    for position in open {
        let content = contents.get((position % CHUNK) as usize);
        let content = content.ok_or_else(|| super::row::corrupt("a chunk with too few items"))?;
        let wait = Wait::Queued(step.next_number());
        put_alone(step, batch, &Item::fresh(position), content, 0, &wait)?;
    }
    Ok(())
}

/// How each item has ended already; none for those that are to run.
fn known_outcomes(
    step: &Step<'_>,
    batch: &BatchRow,
    items: &[BatchItem],
) -> Result<Vec<Option<Outcome>>> {
    let late = batch.deadline.is_some_and(|it| it <= step.now);
    let known = |item: &BatchItem| {
        if let Some(failure) = &item.invalid {
            let report = Report { failure: Some(failure.clone()), ..Report::default() };
            // never to be run again as it is: not for the dead list
            let outcome = Outcome::reported(State::Failed, &report)?;
            return Ok(Some(Outcome { dead: false, ..outcome }));
        }
        if late {
            return Ok(Some(Outcome::bare(State::Expired)));
        }
        let cache = batch.cache_key(item.fingerprint.clone());
        let report = cache.map(|it| recall(step, &it)).transpose()?.flatten();
        Ok(report.map(|report| Outcome {
            report: Some(report),
            hit: true,
            ..Outcome::bare(State::Succeeded)
        }))
    };
    items.iter().map(known).collect()
}

/// Records the items that have ended already. Of a batch that nobody sees they are counted when it
/// is sealed.
fn end_known(
    step: &mut Step<'_>,
    batch: &BatchRow,
    part: &Part,
    outcomes: &[Option<Outcome>],
) -> Result<()> {
    for (position, outcome) in (part.first..).zip(outcomes) {
        let Some(outcome) = outcome else { continue };
        let ends = Ends {
            id: batch.id.item(position),
            owner: &batch.owner,
            program: &batch.spec.program,
            generation: 0,
            attempts: None,
            cache: None,
        };
        record_item(step, batch.key, position, &ends, outcome)?;
        if batch.phase == Phase::Open {
            count_end(step, &ends, outcome)?;
            let counts = step.effects.tally.of(step.now, &batch.spec.program);
            counts.cache_hits += u64::from(outcome.hit);
        }
    }
    Ok(())
}

/// Ends an upload, and says what is known of the batch; none if its key was used for another.
pub(super) fn seal_batch(
    step: &mut Step<'_>,
    id: BatchId,
    seal: &Seal,
) -> Result<Option<Submitted<BatchId>>> {
    let batch = find_upload(step, id)?;
    let key = seal.idempotency.as_ref();
    let known = match known_key(step, &batch.owner, key, "batch") {
        Err(Error::KeyReused) => {
            discard_batch(step, id)?; // an error would undo it
            return Ok(None);
        }
        known => known?,
    };
    if let Some(first) = known {
        let first: BatchId = first.parse()?;
        let state = state_of(step, first)?.filter(|_| first != id);
        if let Some(state) = state {
            discard_batch(step, id)?;
            return Ok(Some(Submitted { id: first, state, replayed: true }));
        }
    }
    let received = u64::from(batch.total);
    if seal.total.is_some_and(|total| total != received) {
        return Err(Error::OutOfStep { received });
    }
    if batch.phase != Phase::Sealed {
        close(step, batch.key)?;
        keep_key(step, &batch.owner, key, "batch", &id.to_string())?;
    }
    Ok(Some(Submitted { id, state: State::Queued, replayed: false }))
}

/// Seals a batch. One that was held is let into its lane, and counted.
fn close(step: &mut Step<'_>, key: i64) -> Result<()> {
    let batch = super::item::find_batch(step, key)?;
    if batch.phase == Phase::Held {
        let first = step.numbers(u64::from(batch.total.div_ceil(CHUNK)));
        step.run(
            sql!("batch.sql", "release"),
            params![key, batch.owner, batch.class, first, step.now, batch.total],
        )?;
        step.effects.arrived = true;
        count_held(step, &batch)?;
    }
    close_upload(step, key)
}

fn count_held(step: &mut Step<'_>, batch: &BatchRow) -> Result<()> {
    let read = |row: &rusqlite::Row<'_>| {
        let number = |name| Ok::<_, Error>(count(row.get(name)?));
        Ok([number("succeeded")?, number("failed")?, number("expired")?, number("misses")?])
    };
    let found = step.one(sql!("batch.sql", "get"), [batch.key], read)?;
    let [hits, failed, expired, misses] = found.unwrap_or_default();
    let counts = step.effects.tally.of(step.now, &batch.spec.program);
    counts.ended.succeeded += hits;
    counts.ended.failed += failed;
    counts.ended.expired += expired;
    counts.cache_hits += hits;
    counts.cache_misses += misses;
    Ok(())
}

/// Notes that no more items come, and forgets what only an upload needs.
pub(super) fn close_upload(step: &Step<'_>, key: i64) -> Result<()> {
    step.run(sql!("batch.sql", "seal"), (key, step.now))?;
    step.run(sql!("batch.sql", "give_up_errors"), (key, step.now))?;
    forget_upload(step, key)
}

/// Forgets what only an upload needs.
pub(super) fn forget_upload(step: &Step<'_>, key: i64) -> Result<()> {
    step.run(sql!("batch.sql", "forget_parts"), [key])?;
    step.run(sql!("batch.sql", "forget_custom_ids"), [key])?;
    Ok(())
}

/// Forgets a batch that nobody saw; the upkeep takes it away.
pub(super) fn discard_batch(step: &mut Step<'_>, id: BatchId) -> Result<()> {
    step.run(sql!("batch.sql", "drop"), [id.to_string()])?;
    Ok(())
}

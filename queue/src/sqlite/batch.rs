//! Accepts a batch with all its items, or nothing of it.

use rusqlite::params;

use super::{
    item::pack,
    settle::{Ends, Outcome, end_item, recall},
    sql::sql,
    step::{Step, int, millis},
    submit::{check_room, keep_key, known_key, letter},
};
use crate::{
    BatchId, BatchItem, CHUNK_ITEMS, CacheKey, Error, NewBatch, Report, Result, State, Submitted,
};

/// The most items of a batch: positions are counted in 32 bits, with room to spare.
const ITEMS_MAX: usize = 1 << 30;

/// A batch whose chunks are packed: what takes time was done outside of the transaction.
pub(super) struct PackedBatch {
    new: NewBatch,
    chunks: Vec<Vec<u8>>,
}

impl PackedBatch {
    /// Packs the chunks. Takes as long as compressing them does.
    pub(super) fn new(new: NewBatch) -> Result<Self> {
        if new.items.len() > ITEMS_MAX {
            return Err(Error::Unsupported(format!("a batch of more than {ITEMS_MAX} items")));
        }
        let chunks = new.items.chunks(CHUNK_ITEMS).map(pack).collect::<Result<_>>()?;
        Ok(Self { new, chunks })
    }
}

/// Accepts a batch, or says what is known of it.
pub(super) fn submit_batch(
    step: &mut Step<'_>,
    packed: &PackedBatch,
) -> Result<Submitted<BatchId>> {
    let new = &packed.new;
    let key = new.idempotency.as_ref();
    if let Some(first) = known_key(step, &new.spec.owner, key, "batch")? {
        let id: BatchId = first.parse()?;
        if let Some(state) = state_of(step, id)? {
            return Ok(Submitted { id, state, replayed: true });
        }
    }
    if let Some(state) = state_of(step, new.id)? {
        return Ok(Submitted { id: new.id, state, replayed: false });
    }
    let outcomes = known_outcomes(step, new)?;
    let open = outcomes.iter().filter(|outcome| outcome.is_none()).count();
    check_room(step, &new.spec.owner, new.spec.class, u64::try_from(open).unwrap_or(u64::MAX))?;
    let batch = insert(step, packed, &outcomes)?;
    end_known(step, batch, new, &outcomes)?;
    keep_key(step, &new.spec.owner, key, "batch", &new.id.to_string())?;
    step.effects.arrived |= open > 0;
    let state = if open > 0 { State::Queued } else { State::Succeeded };
    Ok(Submitted { id: new.id, state, replayed: false })
}

/// Where a batch stands, in the words of executions: queued until its last item has ended.
fn state_of(step: &Step<'_>, id: BatchId) -> Result<Option<State>> {
    step.one(sql!("submit.sql", "batch_known"), [id.to_string()], |row| {
        Ok(if row.get(0)? { State::Succeeded } else { State::Queued })
    })
}

/// How each item has ended already; none for those that are to run.
fn known_outcomes(step: &Step<'_>, new: &NewBatch) -> Result<Vec<Option<Outcome>>> {
    let late = new.spec.deadline.is_some_and(|it| it.timestamp_millis() <= step.now);
    new.items
        .iter()
        .map(|item| {
            if let Some(failure) = &item.invalid {
                let report = Report { failure: Some(failure.clone()), ..Report::default() };
                // never to be run again as it is: not for the dead list
                let outcome = Outcome::reported(State::Failed, &report)?;
                return Ok(Some(Outcome { dead: false, ..outcome }));
            }
            if late {
                return Ok(Some(Outcome::bare(State::Expired)));
            }
            let report = cache_key(new, item).map(|it| recall(step, &it)).transpose()?.flatten();
            Ok(report.map(|report| Outcome {
                report: Some(report),
                hit: true,
                ..Outcome::bare(State::Succeeded)
            }))
        })
        .collect()
}

fn cache_key(new: &NewBatch, item: &BatchItem) -> Option<CacheKey> {
    let fingerprint = item.fingerprint.clone()?;
    Some(CacheKey { fingerprint, ttl: new.cache_ttl? })
}

fn insert(step: &Step<'_>, packed: &PackedBatch, outcomes: &[Option<Outcome>]) -> Result<i64> {
    let new = &packed.new;
    let class = letter(new.spec.class);
    step.run(
        sql!("batch.sql", "insert"),
        params![
            new.id.to_string(),
            new.spec.owner,
            class,
            serde_json::to_string(&new.spec)?,
            new.cache_ttl.map(millis),
            int(new.items.len()),
            new.spec.deadline.map(|it| it.timestamp_millis()),
            step.now,
            new.items.is_empty().then_some(step.now),
            new.spec.tells(),
        ],
    )?;
    let batch = step.tx.last_insert_rowid();
    let outcomes = outcomes.chunks(CHUNK_ITEMS);
    for (chunk, (items, outcomes)) in packed.chunks.iter().zip(outcomes).enumerate() {
        let open = outcomes.iter().filter(|outcome| outcome.is_none()).count();
        let rank = (open > 0).then(|| step.next_number());
        let state = if open > 0 { "queued" } else { "idle" };
        step.run(
            sql!("batch.sql", "insert_chunk"),
            params![batch, int(chunk), new.spec.owner, class, state, int(open), rank, step.now],
        )?;
        step.run(sql!("batch.sql", "insert_items"), (batch, int(chunk), items))?;
    }
    Ok(batch)
}

/// Records the items that have ended already, and counts what the cache knew.
fn end_known(
    step: &mut Step<'_>,
    batch: i64,
    new: &NewBatch,
    outcomes: &[Option<Outcome>],
) -> Result<()> {
    let counts = step.effects.tally.of(step.now, &new.spec.program);
    for (item, outcome) in new.items.iter().zip(outcomes) {
        let cached = item.fingerprint.is_some() && new.cache_ttl.is_some();
        counts.cache_hits += u64::from(outcome.as_ref().is_some_and(|it| it.hit));
        counts.cache_misses += u64::from(cached && outcome.is_none());
    }
    for (position, outcome) in (0..).zip(outcomes) {
        let Some(outcome) = outcome else { continue };
        let ends = Ends {
            id: new.id.item(position),
            owner: &new.spec.owner,
            program: &new.spec.program,
            generation: 0,
            attempts: None,
            cache: None,
        };
        end_item(step, batch, position, &ends, outcome)?;
    }
    Ok(())
}

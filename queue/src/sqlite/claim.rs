//! Hands work to a worker: suspects one at a time, then what came back, then lanes in fair turn.

use std::sync::Arc;

use rusqlite::{Row, params};

use super::{
    cancel::settle_chunk,
    item::{
        Chunk, Item, Wait, find_batch, leave_chunk, open_items, packed, put_alone, unpack,
        unpack_chunk,
    },
    row::{BatchRow, Record, attempts, cache_key, corrupt, time},
    settle::{Outcome, end_execution},
    sql::sql,
    step::{Step, count},
    turns::Turns,
};
use crate::{Class, Lease, Result, Spec, State, Task, Want, WorkerId, lease::Token};

/// The most that one claim hands out, whatever was asked for.
const CLAIM_MAX: usize = 1000;

/// From how many lost workers on something is a suspect, which runs alone.
pub(super) const SUSPECT_FROM: i64 = 2;

/// The most that one claim ends instead of handing it out: what is too late or was called off.
const ENDED_MAX: usize = 100;

/// What was handed out, as text: it is read outside of the transaction.
pub(super) enum Handed {
    /// An execution with a row of its own.
    One(Box<One>),
    /// A chunk of a batch.
    Chunk(Box<HandedChunk>),
}

pub(super) struct HandedChunk {
    batch: BatchRow,
    chunk: Chunk,
    delivery: i64,
    items: Vec<Item>,
    packed: Vec<u8>,
}

pub(super) struct One {
    record: Record,
    delivery: i64,
    spec: String,
    inputs: String,
    fingerprint: Option<String>,
    ttl: Option<i64>,
}

/// A claim at work.
struct Claim<'a> {
    worker: &'a str,
    slots: usize,
    bulk: usize,
    /// Whether a chunk may come still.
    chunks: bool,
    /// How many more may be ended on the way.
    ends: usize,
    handed: Vec<Handed>,
}

/// Hands out what a worker has room for. Nothing to one that is not known, or declared dead.
pub(super) fn claim(step: &mut Step<'_>, worker: &str, want: Want) -> Result<Vec<Handed>> {
    let lives = step.one(sql!("claim.sql", "worker"), [worker], |_| Ok(()))?;
    if lives.is_none() || step.setting("paused")? != 0 {
        return Ok(Vec::new());
    }
    let slots = want.slots.min(CLAIM_MAX);
    let mut claim = Claim {
        worker,
        slots,
        bulk: want.bulk.min(slots),
        chunks: true,
        ends: ENDED_MAX,
        handed: Vec::new(),
    };
    if want.suspect && claim.slots > 0 {
        claim.take_suspect(step)?;
    }
    claim.take_ahead(step)?;
    claim.take_turns(step)?;
    if claim.ends == 0 {
        step.effects.arrived = true; // there may be more behind what was ended
    }
    Ok(claim.handed)
}

impl Claim<'_> {
    fn take_suspect(&mut self, step: &mut Step<'_>) -> Result<()> {
        while self.ends > 0 {
            let bulk = self.bulk > 0;
            let Some(one) = step.one(sql!("claim.sql", "suspect"), [bulk], read_one)? else {
                break;
            };
            if self.take_one(step, one)? > 0 {
                break;
            }
        }
        Ok(())
    }

    /// Takes what came back from others, whatever its lane.
    fn take_ahead(&mut self, step: &mut Step<'_>) -> Result<()> {
        while self.slots > 0 && self.ends > 0 {
            let bulk = self.bulk > 0;
            let chunk = if self.chunks {
                step.one(sql!("claim.sql", "ahead_chunk"), [bulk], Chunk::read)?
            } else {
                None
            };
            if let Some(chunk) = chunk {
                self.take_chunk(step, chunk)?;
                continue;
            }
            let Some(one) = step.one(sql!("claim.sql", "ahead"), [bulk], read_one)? else { break };
            self.take_one(step, one)?;
        }
        Ok(())
    }

    fn take_turns(&mut self, step: &mut Step<'_>) -> Result<()> {
        if self.slots == 0 {
            return Ok(());
        }
        let mut turns = Turns::load(step)?;
        let mut charged = false;
        while self.slots > 0 && self.ends > 0 {
            let Some(turn) = turns.next(step, self.bulk > 0, self.chunks)? else { break };
            let cost = self.take_in_lane(step, turn.letter, &turn.lane)?;
            turns.charge(step, &turn, cost)?;
            charged |= cost > 0;
        }
        if charged { turns.save(step) } else { Ok(()) }
    }

    /// Takes the first of a lane, and says how many executions that was.
    fn take_in_lane(&mut self, step: &mut Step<'_>, class: &str, lane: &str) -> Result<usize> {
        if let Some(batch) = lane.strip_prefix("b:") {
            let batch: i64 = batch.parse().map_err(corrupt)?;
            let chunk = step.one(sql!("claim.sql", "chunk_in_lane"), [batch], Chunk::read)?;
            let single = step.one(sql!("claim.sql", "rank_in_lane"), (class, lane), |row| {
                Ok(row.get::<_, i64>(0)?)
            })?;
            if let Some(chunk) = chunk
                && single.is_none_or(|rank| chunk.rank < Some(rank))
            {
                return self.take_chunk(step, chunk);
            }
        }
        match step.one(sql!("claim.sql", "in_lane"), (class, lane), read_one)? {
            Some(one) => self.take_one(step, one),
            None => Err(corrupt(format!("lane `{lane}` is empty, and counts as ready"))),
        }
    }

    fn take_one(&mut self, step: &mut Step<'_>, mut one: One) -> Result<usize> {
        if one.record.deadline.is_some_and(|deadline| deadline <= step.now) {
            self.ends -= 1;
            end_execution(step, &one.record, &Outcome::bare(State::Expired), None)?;
            return Ok(0);
        }
        one.delivery = step.next_number();
        step.run(
            sql!("claim.sql", "take"),
            params![one.record.key, self.worker, one.delivery, step.now],
        )?;
        self.spend(&one.record.class, 1);
        self.handed.push(Handed::One(Box::new(one)));
        Ok(1)
    }

    /// Takes what has not ended of a chunk; nothing if its batch was called off or is too late.
    fn take_chunk(&mut self, step: &mut Step<'_>, chunk: Chunk) -> Result<usize> {
        let batch = find_batch(step, chunk.batch)?;
        let late = batch.deadline.is_some_and(|deadline| deadline <= step.now);
        if late || batch.calling_off {
            self.ends -= 1;
            let state = if late { State::Expired } else { State::Cancelled };
            settle_chunk(step, &batch, &chunk, state)?;
            return Ok(0);
        }
        let items = open_items(step, &batch, chunk.number)?;
        if batch.concurrency.is_some() {
            let room = step.one(sql!("batch.sql", "room"), [batch.key], |row| Ok(row.get(0)?))?;
            let room = usize::try_from(count(room.unwrap_or(0))).unwrap_or(usize::MAX);
            if room < items.len() {
                return self.take_some(step, &batch, &chunk, items, room);
            }
        }
        let packed = packed(step.tx, chunk.batch, chunk.number)?;
        let delivery = step.next_number();
        step.run(
            sql!("batch.sql", "take"),
            params![chunk.batch, chunk.number, self.worker, delivery, step.now],
        )?;
        let cost = items.len();
        self.spend(&batch.class, cost);
        self.chunks = false;
        self.handed.push(Handed::Chunk(Box::new(HandedChunk {
            batch,
            chunk,
            delivery,
            items,
            packed,
        })));
        Ok(cost)
    }

    /// Takes as many items of a chunk as its batch has room for, each by itself.
    fn take_some(
        &mut self,
        step: &mut Step<'_>,
        batch: &BatchRow,
        chunk: &Chunk,
        items: Vec<Item>,
        room: usize,
    ) -> Result<usize> {
        let contents = unpack_chunk(step, batch.key, chunk.number)?;
        let bulk = batch.class == super::submit::letter(Class::Bulk);
        let most = room.min(if bulk { self.bulk } else { self.slots });
        let mut taken = 0;
        for item in items.into_iter().take(most) {
            let content = contents.get((item.position % crate::CHUNK) as usize);
            let content = content.ok_or_else(|| corrupt("a chunk with too few items"))?;
            leave_chunk(step, batch.key, chunk.number, 1)?;
            let wait = Wait::Queued(step.next_number());
            put_alone(step, batch, &item, content, chunk.crashes, &wait)?;
            let id = batch.id.item(item.position).to_string();
            let one = step.one(sql!("claim.sql", "one"), [id], read_one)?;
            taken +=
                self.take_one(step, one.ok_or_else(|| corrupt("an item alone is missing"))?)?;
        }
        Ok(taken)
    }

    fn spend(&mut self, class: &str, cost: usize) {
        self.slots = self.slots.saturating_sub(cost);
        if class == super::submit::letter(Class::Bulk) {
            self.bulk = self.bulk.saturating_sub(cost);
        }
    }
}

fn read_one(row: &Row<'_>) -> Result<One> {
    Ok(One {
        record: Record::read(row)?,
        delivery: 0,
        spec: row.get("spec")?,
        inputs: row.get("inputs")?,
        fingerprint: row.get("fingerprint")?,
        ttl: row.get("ttl")?,
    })
}

impl Handed {
    /// The entry and its hand-out.
    pub(super) fn entry(&self) -> (String, i64) {
        match self {
            Handed::One(one) => (one.record.id.to_string(), one.delivery),
            Handed::Chunk(it) => (it.chunk.entry(), it.delivery),
        }
    }

    /// What the worker gets.
    pub(super) fn leases(self, worker: &WorkerId) -> Result<Vec<Lease>> {
        let (entry, delivery) = self.entry();
        let token = |lane: &str, chunk| Token {
            worker: worker.clone(),
            lane: lane.into(),
            entry: entry.as_str().into(),
            delivery: count(delivery),
            chunk,
            whole: false,
        };
        match self {
            Handed::One(one) => {
                let token = token(&one.record.lane, None);
                Ok(vec![Lease { task: one.task()?, token }])
            }
            Handed::Chunk(it) => {
                let token = token(&format!("b:{}", it.batch.key), Some(it.chunk.number));
                let tasks = it.tasks()?;
                let leases = tasks.into_iter();
                Ok(leases.map(|task| Lease { task, token: token.clone() }).collect())
            }
        }
    }
}

impl One {
    fn task(self) -> Result<Task> {
        let record = self.record;
        let spec: Spec = serde_json::from_str(&self.spec)?;
        Ok(Task {
            id: record.id,
            spec: Arc::new(spec),
            inputs: serde_json::from_str(&self.inputs)?,
            cache: cache_key(self.fingerprint, self.ttl),
            attempts: attempts(record.attempts.as_deref())?,
            generation: record.generation,
            created_at: time(record.created),
            suspect: record.crashes >= SUSPECT_FROM,
        })
    }
}

impl HandedChunk {
    fn tasks(self) -> Result<Vec<Task>> {
        let batch = self.batch;
        let mut contents: Vec<_> = unpack(&self.packed)?.into_iter().map(Some).collect();
        let tasks = self.items.into_iter().map(|item| {
            let at = (item.position % crate::CHUNK) as usize;
            let content = contents.get_mut(at).and_then(Option::take);
            let content = content.ok_or_else(|| corrupt("a chunk with too few items"))?;
            Ok(Task {
                id: batch.id.item(item.position),
                spec: Arc::clone(&batch.spec),
                inputs: content.inputs,
                cache: batch.cache_key(content.fingerprint),
                attempts: attempts(item.attempts.as_deref())?,
                generation: item.generation,
                created_at: time(batch.created),
                suspect: self.chunk.crashes >= SUSPECT_FROM,
            })
        });
        tasks.collect()
    }
}

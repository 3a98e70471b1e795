//! Entries of lanes as a claim brings them, and the leases in them.

use std::{collections::HashMap, sync::Arc, time::Duration};

use redis::Value;

use super::{
    claim::read,
    document::{Envelope, Head, Shared, Tail, corrupt, time},
};
use crate::{
    Attempt, BatchId, BatchItem, CHUNK_ITEMS, CacheKey, ExecutionId, Lease, Result, WorkerId,
    lease::{Task, Token},
    pack::unpack,
};

/// What a claim brought.
#[derive(Default)]
pub(super) struct Brought {
    /// To be run.
    pub(super) leases: Vec<Lease>,
    /// Items whose batch was called off.
    pub(super) called_off: Vec<Lease>,
    /// Chunks with nothing left to run: their tokens, and an item of each.
    pub(super) empty: Vec<(Token, ExecutionId)>,
}

/// The parts of an entry as the script gives them.
struct Entry {
    lane: Arc<str>,
    name: Arc<str>,
    fields: HashMap<String, Vec<u8>>,
}

impl Brought {
    /// Takes one entry apart.
    pub(super) fn take_in(&mut self, worker: &WorkerId, entry: Value) -> Result<()> {
        let Value::Array(parts) = entry else { return Err(corrupt("a claimed entry")) };
        let mut parts = parts.into_iter();
        let (lane, name): (String, String) = (read(parts.next())?, read(parts.next())?);
        let entry = Entry { lane: lane.into(), name: name.into(), fields: read(parts.next())? };
        let token = Token {
            worker: worker.clone(),
            lane: Arc::clone(&entry.lane),
            entry: Arc::clone(&entry.name),
            delivery: 1,
            chunk: None,
        };
        if entry.fields.contains_key("b") {
            return self.take_chunk(&entry, token, &mut parts);
        }
        self.leases.push(single(&entry, token)?);
        Ok(())
    }

    fn take_chunk(
        &mut self,
        entry: &Entry,
        token: Token,
        parts: &mut impl Iterator<Item = Value>,
    ) -> Result<()> {
        let batch: BatchId = entry.text("b")?.parse()?;
        let number = entry.number("k")?;
        let token = Token { chunk: Some(number), ..token };
        let first = u32::try_from(CHUNK_ITEMS).unwrap_or(u32::MAX).saturating_mul(number);
        let chunk = Chunk {
            batch,
            first,
            shared: unpack(&read::<Vec<u8>>(parts.next())?)?,
            items: unpack(&read::<Vec<u8>>(parts.next())?)?,
            open: read::<String>(parts.next())?.split(',').filter_map(open_item).collect(),
            suspect: entry.is_suspect()?,
        };
        let called_off: bool = read(parts.next())?;
        let leases = chunk.leases(&token, &read(parts.next())?)?;
        if leases.is_empty() {
            self.empty.push((token, batch.item(first)));
        } else if called_off {
            self.called_off.extend(leases);
        } else {
            self.leases.extend(leases);
        }
        Ok(())
    }
}

/// A chunk of a batch, and which of its items are to be run in which generation.
struct Chunk {
    batch: BatchId,
    first: u32,
    shared: Shared,
    items: Vec<BatchItem>,
    open: HashMap<u32, u32>,
    suspect: bool,
}

impl Chunk {
    /// A lease for each open item; `earlier` has the documents of those that ran before.
    fn leases(self, token: &Token, earlier: &HashMap<u32, Vec<u8>>) -> Result<Vec<Lease>> {
        let spec = Arc::new(self.shared.spec);
        let ttl = self.shared.cache_ttl_ms.map(Duration::from_millis);
        let mut leases = Vec::with_capacity(self.open.len());
        for (index, item) in (self.first..).zip(self.items) {
            let Some(generation) = self.open.get(&index) else { continue };
            let cache = item.fingerprint.zip(ttl);
            let task = Task {
                id: self.batch.item(index),
                spec: Arc::clone(&spec),
                inputs: item.inputs,
                cache: cache.map(|(fingerprint, ttl)| CacheKey { fingerprint, ttl }),
                attempts: earlier.get(&index).map_or(Ok(Vec::new()), |it| attempts_of(it))?,
                generation: *generation,
                created_at: time(self.shared.created_ms),
                suspect: self.suspect,
            };
            leases.push(Lease { task, token: token.clone() });
        }
        Ok(leases)
    }
}

impl Entry {
    fn text(&self, name: &str) -> Result<&str> {
        let bytes = self.fields.get(name).ok_or_else(|| corrupt("an entry without a field"))?;
        std::str::from_utf8(bytes).map_err(|_| corrupt("an entry's text"))
    }

    fn number(&self, name: &str) -> Result<u32> {
        if !self.fields.contains_key(name) {
            return Ok(0);
        }
        self.text(name)?.parse().map_err(|_| corrupt("an entry's number"))
    }

    /// Whether it ran when workers were lost; the policy is `lane_after` in tick.lua.
    fn is_suspect(&self) -> Result<bool> {
        Ok(self.number("cr")? >= 2)
    }
}

fn single(entry: &Entry, token: Token) -> Result<Lease> {
    let payload = entry.fields.get("p").ok_or_else(|| corrupt("an entry without payload"))?;
    let envelope = Envelope::read(payload)?;
    let attempts: Vec<Attempt> = match entry.fields.get("h") {
        Some(history) => serde_json::from_slice(history)?,
        None => Vec::new(),
    };
    let task = Task {
        id: entry.text("j")?.parse()?,
        spec: envelope.spec,
        inputs: envelope.inputs,
        cache: envelope.cache,
        attempts,
        generation: entry.number("g")?,
        created_at: envelope.created_at,
        suspect: entry.is_suspect()?,
    };
    Ok(Lease { task, token })
}

/// What was tried before, by the document of the generation before.
fn attempts_of(document: &[u8]) -> Result<Vec<Attempt>> {
    let (_, _, tail) = Head::split(document)?;
    Ok(Tail::read(tail)?.attempts)
}

/// An item as `index:generation`.
fn open_item(text: &str) -> Option<(u32, u32)> {
    let (index, generation) = text.split_once(':')?;
    Some((index.parse().ok()?, generation.parse().ok()?))
}

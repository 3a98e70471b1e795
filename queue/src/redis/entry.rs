//! Entries of lanes as a claim brings them, and the leases in them.

use std::{collections::HashMap, sync::Arc, time::Duration};

use redis::Value;

use super::{
    claim::read,
    document::{Envelope, Head, Shared, Tail, corrupt, time},
    payloads,
};
use crate::{
    Attempt, BatchId, BatchItem, CHUNK, CHUNK_ITEMS, CacheKey, ExecutionId, Lease, Result,
    WorkerId,
    lease::{Task, Token},
    pack::unpack,
};

/// What the script says instead of the items of a full chunk, none of which ran before.
const WHOLE: &str = "*";

/// What a claim brought.
#[derive(Default)]
pub(super) struct Brought {
    /// To be run.
    pub(super) leases: Vec<Lease>,
    /// Items whose batch was called off.
    pub(super) called_off: Vec<Lease>,
    /// Items whose inputs are gone.
    pub(super) lost: Vec<Lease>,
    /// Chunks with nothing left to run: their tokens, and an item of each.
    pub(super) empty: Vec<(Token, ExecutionId)>,
    /// Chunks whose items lie in an object store.
    pub(super) away: Vec<Chunk>,
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
            whole: false,
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
        let number = entry.number("k")?;
        let first = CHUNK.saturating_mul(number);
        let (shared, payload) = (unpack(&read::<Vec<u8>>(parts.next())?)?, read(parts.next())?);
        let open: String = read(parts.next())?;
        let whole = open == WHOLE;
        let chunk = Chunk {
            token: Token { chunk: Some(number), whole, ..token },
            batch: entry.text("b")?.parse()?,
            first,
            shared,
            payload,
            open: if whole {
                (first..first.saturating_add(CHUNK)).map(|index| (index, 0)).collect()
            } else {
                open.split(',').filter_map(open_item).collect()
            },
            suspect: entry.is_suspect()?,
            called_off: read(parts.next())?,
            earlier: read(parts.next())?,
        };
        if payloads::is_away(&chunk.payload) {
            self.away.push(chunk);
            return Ok(());
        }
        let items = unpack(&chunk.payload)?;
        self.take_items(chunk, items)
    }

    fn take_items(&mut self, chunk: Chunk, items: Vec<BatchItem>) -> Result<()> {
        let (token, first, called_off) = (chunk.token.clone(), chunk.first, chunk.called_off);
        let batch = chunk.batch;
        let leases = chunk.leases(items)?;
        if leases.is_empty() {
            self.empty.push((token, batch.item(first)));
        } else if called_off {
            self.called_off.extend(leases);
        } else {
            self.leases.extend(leases);
        }
        Ok(())
    }

    /// Takes a chunk whose items were read from elsewhere; none if they are gone.
    pub(super) fn take_read(&mut self, chunk: Chunk, items: Option<Vec<BatchItem>>) -> Result<()> {
        if let Some(items) = items {
            return self.take_items(chunk, items);
        }
        let nothing = BatchItem::default();
        self.lost.extend(chunk.leases(vec![nothing; CHUNK_ITEMS])?);
        Ok(())
    }
}

/// A chunk of a batch, and which of its items are to be run in which generation.
pub(super) struct Chunk {
    token: Token,
    pub(super) batch: BatchId,
    first: u32,
    shared: Shared,
    pub(super) payload: Vec<u8>,
    open: HashMap<u32, u32>,
    suspect: bool,
    called_off: bool,
    /// The documents of items that ran before.
    earlier: HashMap<u32, Vec<u8>>,
}

impl Chunk {
    /// A lease for each open item.
    fn leases(self, items: Vec<BatchItem>) -> Result<Vec<Lease>> {
        let spec = Arc::new(self.shared.spec);
        let ttl = self.shared.cache_ttl_ms.map(Duration::from_millis);
        let mut leases = Vec::with_capacity(self.open.len());
        for (index, item) in (self.first..).zip(items) {
            let Some(generation) = self.open.get(&index) else { continue };
            let cache = item.fingerprint.zip(ttl);
            let task = Task {
                id: self.batch.item(index),
                spec: Arc::clone(&spec),
                inputs: item.inputs,
                cache: cache.map(|(fingerprint, ttl)| CacheKey { fingerprint, ttl }),
                attempts: self.earlier.get(&index).map_or(Ok(Vec::new()), |it| attempts_of(it))?,
                generation: *generation,
                created_at: time(self.shared.created_ms),
                suspect: self.suspect,
            };
            leases.push(Lease { task, token: self.token.clone() });
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

/// An item as `index:generation`; the first generation goes without saying.
fn open_item(text: &str) -> Option<(u32, u32)> {
    let (index, generation) = text.split_once(':').unwrap_or((text, "0"));
    Some((index.parse().ok()?, generation.parse().ok()?))
}

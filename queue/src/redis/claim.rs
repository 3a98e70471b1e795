//! Handing work out.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError},
    time::Duration,
};

use redis::Value;
use tokio::time::{Instant, timeout};

use super::{
    RedisQueue, Store,
    document::{Envelope, Shared, corrupt, unpack},
    home::Line,
};
use crate::{
    Attempt, BatchId, BatchItem, CHUNK_ITEMS, CacheKey, Error, ExecutionId, Lease, Result, Want,
    WorkerId,
    lease::{Task, Token},
};

/// The most that one claim asks for; Lua can return no more than a few thousand values.
const CLAIM_MAX: usize = 1024;
/// How much longer than asked the server may take to end a wait.
const GRACE: Duration = Duration::from_secs(2);

/// The lines on which workers of this process claim.
#[derive(Default)]
pub(super) struct Claims {
    lines: std::sync::Mutex<HashMap<WorkerId, Arc<tokio::sync::Mutex<Claimer>>>>,
}

/// One worker's line, and the number of its next claim.
struct Claimer {
    line: Line,
    number: u64,
}

impl Claims {
    fn of(&self, worker: &WorkerId, store: &Store) -> Arc<tokio::sync::Mutex<Claimer>> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || {
            let line = Line::patient(Arc::clone(&store.home));
            Arc::new(tokio::sync::Mutex::new(Claimer { line, number: 1 }))
        };
        Arc::clone(lines.entry(worker.clone()).or_insert_with(fresh))
    }

    /// Forgets a worker that claims no more.
    pub(super) fn forget(&self, worker: &WorkerId) {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).remove(worker);
    }
}

/// What a claim brought.
enum Claimed {
    Leases(Vec<Lease>),
    Paused,
}

impl RedisQueue {
    pub(super) async fn claim_work(
        &self,
        worker: &WorkerId,
        want: Want,
        wait: Duration,
    ) -> Result<Vec<Lease>> {
        let claimer = self.claims.of(worker, &self.store);
        let end = Instant::now() + wait;
        loop {
            let mut claimer = claimer.lock().await;
            match self.claim_once(&mut claimer, worker, want).await? {
                Claimed::Leases(leases) if !leases.is_empty() => return Ok(leases),
                Claimed::Leases(_) | Claimed::Paused => {}
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || !self.sleep(&mut claimer, want, left).await? {
                return Ok(Vec::new());
            }
        }
    }

    /// Claims without waiting. Its number stays the same until it was answered, and the same number
    /// gets the same entries, so that a lost answer or a dropped future loses nothing.
    async fn claim_once(
        &self,
        claimer: &mut Claimer,
        worker: &WorkerId,
        want: Want,
    ) -> Result<Claimed> {
        let store = &self.store;
        let mut call = store.scripts.claim.key(store.prefix());
        call.arg(worker.as_str()).arg(claimer.number).arg(want.slots.min(CLAIM_MAX));
        call.arg(want.bulk).arg(u8::from(want.suspect));
        let reply: Vec<Value> = claimer.line.call(&call).await?;
        let mut reply = reply.into_iter();
        let word: String = read(reply.next())?;
        if word != "ok" {
            return Ok(Claimed::Paused);
        }
        let mut leases = Vec::with_capacity(reply.len());
        let mut empty = Vec::new();
        for entry in reply {
            let before = leases.len();
            let unfit = take_apart(worker, entry, &mut leases)?;
            if leases.len() == before {
                empty.extend(unfit);
            }
        }
        claimer.number += 1;
        for chunk in empty {
            self.drop_empty_chunk(chunk).await?;
        }
        Ok(Claimed::Leases(leases))
    }

    /// Sleeps until something is put in; false when the time has passed.
    async fn sleep(&self, claimer: &mut Claimer, want: Want, left: Duration) -> Result<bool> {
        let mut bells = vec![self.store.keys.named("bell")];
        if want.bulk > 0 {
            bells.push(self.store.keys.named("bell:b"));
        }
        let mut wait = redis::pipe();
        wait.cmd("BLPOP").arg(&bells).arg(left.as_secs_f64().max(0.001));
        match timeout(left + GRACE, claimer.line.once::<(Option<Value>,)>(&wait)).await {
            Ok(Ok((rung,))) => Ok(rung.is_some()),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => {
                claimer.line = Line::patient(Arc::clone(&self.store.home));
                Err(Error::Unavailable("it does not answer".to_owned()))
            }
        }
    }
}

/// The parts of an entry as the script gives them.
struct Entry {
    lane: Arc<str>,
    name: Arc<str>,
    fields: HashMap<String, Vec<u8>>,
}

/// Adds the leases of one entry; gives the token and a first item of a chunk, in case it had none.
fn take_apart(
    worker: &WorkerId,
    entry: Value,
    leases: &mut Vec<Lease>,
) -> Result<Option<(Token, ExecutionId)>> {
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
        return chunk(&entry, token, &mut parts, leases).map(Some);
    }
    leases.push(single(&entry, token)?);
    Ok(None)
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

fn chunk(
    entry: &Entry,
    token: Token,
    parts: &mut impl Iterator<Item = Value>,
    leases: &mut Vec<Lease>,
) -> Result<(Token, ExecutionId)> {
    let batch: BatchId = entry.text("b")?.parse()?;
    let number = entry.number("k")?;
    let token = Token { chunk: Some(number), ..token };
    let first = u32::try_from(CHUNK_ITEMS).unwrap_or(u32::MAX).saturating_mul(number);
    let shared: Shared = unpack(&read::<Vec<u8>>(parts.next())?)?;
    let items: Vec<BatchItem> = unpack(&read::<Vec<u8>>(parts.next())?)?;
    let (done, out): (Vec<u8>, Vec<u8>) = (read(parts.next())?, read(parts.next())?);
    let listed = entry.fields.contains_key("i").then(|| entry.text("i")).transpose()?;
    let only: Option<Vec<u32>> =
        listed.map(|list| list.split(',').filter_map(|it| it.parse().ok()).collect());
    let spec = Arc::new(shared.spec);
    for (index, item) in (first..).zip(items) {
        let at = (index - first) as usize;
        let wanted = only.as_ref().is_none_or(|only| only.contains(&index));
        if !wanted || bit(&done, at) || bit(&out, at) {
            continue;
        }
        let ttl = shared.cache_ttl_ms.map(Duration::from_millis);
        let cache = item.fingerprint.zip(ttl);
        let task = Task {
            id: batch.item(index),
            spec: Arc::clone(&spec),
            inputs: item.inputs,
            cache: cache.map(|(fingerprint, ttl)| CacheKey { fingerprint, ttl }),
            attempts: Vec::new(),
            generation: entry.number("g")?,
            created_at: super::document::time(shared.created_ms),
            suspect: entry.is_suspect()?,
        };
        leases.push(Lease { task, token: token.clone() });
    }
    Ok((token, batch.item(first)))
}

/// A bit as Redis numbers them: the first is the highest of the first byte.
fn bit(bytes: &[u8], at: usize) -> bool {
    bytes.get(at / 8).is_some_and(|byte| byte & (0x80 >> (at % 8)) != 0)
}

/// A part of a script's answer.
pub(super) fn read<T: redis::FromRedisValue>(value: Option<Value>) -> Result<T> {
    let value = value.ok_or_else(|| corrupt("a short answer"))?;
    redis::from_redis_value(value).map_err(|error| Error::Corrupt(error.to_string()))
}

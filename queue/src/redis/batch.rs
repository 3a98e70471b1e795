//! Batches: chunks of inputs, and documents of their ended items.

use std::{collections::HashMap, time::Duration};

use redis::Value;

use super::{
    RedisQueue,
    claim::read,
    document::{Shared, Tail, corrupt, time},
    millis,
};
use crate::{
    Batch, BatchId, BatchItem, BatchState, CHUNK_ITEMS, Ended, Error, NewBatch, Page, Report,
    Result, State, Submitted, Used,
    pack::{pack, unpack},
};

/// How long chunks are kept whose batch was not accepted, in seconds.
const UNACCEPTED_TTL: u64 = 3600;
/// How many chunks are written with one round trip.
const WRITE_CHUNKS: usize = 64;

impl RedisQueue {
    /// Stores the chunks, then accepts the batch in one step. What a crash leaves in between is
    /// forgotten after a while.
    pub(super) async fn accept_batch(&self, new: NewBatch) -> Result<Submitted<BatchId>> {
        let store = &self.store;
        self.write_chunks(&new).await?;
        let shared = Shared {
            cache_ttl_ms: new.cache_ttl.map(millis),
            created_ms: store.clock_ms(),
            spec: new.spec,
        };
        let (now, ttl, limits) = (store.now(), store.ttl(), &store.limits);
        let (id, spec) = (new.id.to_string(), pack(&shared)?);
        let age = shared.cache_ttl_ms.map(|ms| ms.to_string()).unwrap_or_default();
        let (key, digest) = new.idempotency.map(|it| (it.key, it.digest)).unwrap_or_default();
        let invalid = invalid_items(&new.items)?;
        let mut call = store.scripts.submit_batch.key(store.prefix());
        call.arg(&now).arg(ttl).arg(limits.waiting_max).arg(millis(limits.idempotency_ttl));
        call.arg(&id).arg(shared.spec.class.letter().to_string()).arg(&shared.spec.owner);
        call.arg(&shared.spec.program).arg(spec.as_slice()).arg(&age);
        call.arg(new.items.len()).arg(&key).arg(&digest);
        let deadline = shared.spec.deadline.map(|at| at.timestamp_millis().to_string());
        call.arg(deadline.unwrap_or_default()).arg(shared.spec.tells()).arg(invalid.len());
        for (index, tail) in &invalid {
            call.arg(index).arg(tail.as_slice());
        }
        for (index, item) in new.items.iter().enumerate() {
            if let (Some(_), Some(fingerprint)) = (shared.cache_ttl_ms, &item.fingerprint) {
                call.arg(index).arg(fingerprint);
            }
        }
        let (word, id): (String, String) = store.home.call(&call).await?;
        match word.as_str() {
            "conflict" => Err(Error::KeyReused),
            "full" => Err(Error::Full {
                limit: "the queue is full",
                most: limits.waiting_max,
                retry_after: Duration::from_secs(2),
            }),
            _ => Ok(Submitted {
                id: id.parse()?,
                state: State::Queued,
                replayed: word == "replayed",
            }),
        }
    }

    async fn write_chunks(&self, new: &NewBatch) -> Result<()> {
        let chunks: Vec<&[BatchItem]> = new.items.chunks(CHUNK_ITEMS).collect();
        for (group, chunks) in chunks.chunks(WRITE_CHUNKS).enumerate() {
            let mut pipe = redis::pipe();
            for (at, chunk) in chunks.iter().enumerate() {
                let key = self.store.keys.chunk(new.id, group * WRITE_CHUNKS + at);
                pipe.set_ex(key, pack(chunk)?, UNACCEPTED_TTL).ignore();
            }
            self.store.home.query::<()>(&pipe).await?;
        }
        Ok(())
    }

    pub(super) async fn cancel_chunks(&self, id: BatchId) -> Result<()> {
        let store = &self.store;
        let (now, ttl, batch) = (store.now(), store.ttl(), id.to_string());
        let mut chunk = 0_usize;
        loop {
            let mut call = store.scripts.cancel_batch.key(store.prefix());
            call.arg(&now).arg(ttl).arg(&batch).arg(chunk);
            match store.home.call::<i64>(&call).await? {
                1 => chunk += 1,
                0 => return Ok(()),
                _ => return Err(Error::NotFound("batch")),
            }
        }
    }

    pub(super) async fn retry_chunks(&self, id: BatchId) -> Result<u64> {
        let batch = self.read_batch(id).await?;
        let chunks = usize::try_from(batch.total).unwrap_or(usize::MAX).div_ceil(CHUNK_ITEMS);
        let mut retried = 0;
        for chunk in 0..chunks {
            retried += self.retry_of_chunk(id, chunk, &[]).await?;
        }
        Ok(retried)
    }

    /// Runs the given items of a chunk again, or all that did not succeed.
    pub(super) async fn retry_of_chunk(
        &self,
        id: BatchId,
        chunk: usize,
        items: &[u32],
    ) -> Result<u64> {
        let store = &self.store;
        let (now, ttl, batch) = (store.now(), store.ttl(), id.to_string());
        let mut call = store.scripts.retry_items.key(store.prefix());
        call.arg(&now).arg(ttl).arg(&batch).arg(chunk);
        for item in items {
            call.arg(*item);
        }
        store.home.call(&call).await
    }

    pub(super) async fn read_batch(&self, id: BatchId) -> Result<Batch> {
        let mut pipe = redis::pipe();
        pipe.hgetall(self.store.keys.batch(id));
        let (fields,): (HashMap<String, Vec<u8>>,) = self.store.home.query(&pipe).await?;
        if !fields.contains_key("spec") {
            return Err(Error::NotFound("batch"));
        }
        compose(id, &fields)
    }

    pub(super) async fn list_batches(
        &self,
        owner: Option<&str>,
        cursor: Option<&str>,
        max: usize,
    ) -> Result<Page<Batch>> {
        let (ids, next) = self
            .scan_index("bx", cursor, max, |entry| owner.is_none_or(|owner| entry.owner == owner))
            .await?;
        let mut items = Vec::with_capacity(ids.len());
        for id in ids {
            match self.read_batch(id.parse()?).await {
                Ok(batch) => items.push(batch),
                Err(Error::NotFound(_)) => {} // forgotten already
                Err(error) => return Err(error),
            }
        }
        Ok(Page { items, next })
    }

    /// The inputs of a chunk, and the documents of its items by index.
    pub(super) async fn read_chunk(
        &self,
        id: BatchId,
        chunk: u32,
    ) -> Result<(Vec<BatchItem>, HashMap<String, Vec<u8>>)> {
        let inputs = self.store.keys.chunk(id, chunk as usize);
        let results = self.store.keys.results(id, chunk);
        let mut pipe = redis::pipe();
        pipe.get(inputs).hgetall(results);
        let mut parts = self.store.home.query::<Vec<Value>>(&pipe).await?.into_iter();
        let inputs: Option<Vec<u8>> = read(parts.next())?;
        let inputs = inputs.ok_or_else(|| corrupt("a batch without inputs"))?;
        Ok((unpack(&inputs)?, read(parts.next())?))
    }
}

/// Items that cannot run, as they are kept: index and tail.
fn invalid_items(items: &[BatchItem]) -> Result<Vec<(usize, Vec<u8>)>> {
    let invalid = items.iter().enumerate().filter_map(|(index, item)| {
        let report = Report { failure: Some(item.invalid.clone()?), ..Report::default() };
        let tail = Tail { report, micros: Some(0), ..Tail::default() };
        Some(tail.write().map(|tail| (index, tail)))
    });
    invalid.collect()
}

fn compose(id: BatchId, fields: &HashMap<String, Vec<u8>>) -> Result<Batch> {
    let text = |name: &str| fields.get(name).and_then(|it| std::str::from_utf8(it).ok());
    let number = |name: &str| text(name).and_then(|it| it.parse::<i64>().ok());
    let count = |name: &str| number(name).and_then(|it| u64::try_from(it).ok()).unwrap_or(0);
    let shared: Shared = unpack(fields.get("spec").ok_or_else(|| corrupt("a batch"))?)?;
    let ended = Ended {
        succeeded: count("succeeded"),
        failed: count("failed"),
        cancelled: count("cancelled"),
        expired: count("expired"),
    };
    let (total, stopped) = (count("total"), number("stop").is_some());
    let state = match (ended.total() >= total, stopped) {
        (true, false) => BatchState::Completed,
        (true, true) => BatchState::Cancelled,
        (false, true) => BatchState::Cancelling,
        (false, false) => BatchState::InProgress,
    };
    Ok(Batch {
        id,
        state,
        spec: shared.spec,
        total,
        ended,
        created_at: time(number("created").unwrap_or_default()),
        finished_at: number("finished").map(time),
        used: Used {
            prompt_tokens: count("prompt_tokens"),
            completion_tokens: count("completion_tokens"),
            cost_micros: count("cost"),
        },
    })
}

//! Batches: chunks of inputs, and documents of their ended items.

use std::{collections::HashMap, sync::Arc};

use redis::Value;

use super::{
    RedisQueue,
    claim::read,
    document::{Shared, corrupt, time},
    packs,
    read::some,
};
use crate::{
    Batch, BatchId, BatchItem, BatchState, CHUNK_ITEMS, Ended, Error, Page, Policy, Result, Used,
    Via,
    pack::{pack, unpack},
};

/// How often results are unpacked anew that another process packs again in between.
const UNPACK_TRIES: usize = 5;

impl RedisQueue {
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
        for _ in 0..UNPACK_TRIES {
            if let Ok(retried) = u64::try_from(store.home.call::<i64>(&call).await?) {
                return Ok(retried);
            }
            packs::unpack_chunk(store, id, chunk).await?;
        }
        Err(Error::Unavailable("its results are being packed".to_owned()))
    }

    /// Pauses a batch, resumes it, or gives it another spec.
    pub(super) async fn steer_batch(&self, id: BatchId, what: &str, spec: &[u8]) -> Result<()> {
        let store = &self.store;
        let batch = id.to_string();
        let mut call = store.scripts.steer_batch.key(store.prefix());
        call.arg(&batch).arg(what).arg(spec);
        let there: bool = store.home.call(&call).await?;
        there.then_some(()).ok_or(Error::NotFound("batch"))
    }

    pub(super) async fn put_budget(&self, id: BatchId, micros: Option<u64>) -> Result<()> {
        let mut pipe = redis::pipe();
        pipe.hget(self.store.keys.batch(id), "spec");
        let (spec,): (Option<Vec<u8>>,) = self.store.home.query(&pipe).await?;
        let mut shared: Shared = unpack(&spec.ok_or(Error::NotFound("batch"))?)?;
        shared.spec.allowance.batch_micros = micros;
        self.steer_batch(id, "spec", &pack(&shared)?).await
    }

    pub(super) async fn read_batch(&self, id: BatchId) -> Result<Batch> {
        let mut pipe = redis::pipe();
        pipe.hgetall(self.store.keys.batch(id));
        let (fields,): (HashMap<String, Vec<u8>>,) = self.store.home.query(&pipe).await?;
        let phase = fields.get("phase").map(Vec::as_slice);
        if matches!(phase, Some(b"held" | b"dropped")) || !fields.contains_key("spec") {
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
        // At one moment: what is packed leaves the one and enters the other.
        pipe.atomic().get(inputs).hgetall(results);
        pipe.get(self.store.keys.packed(id, chunk as usize));
        let mut parts = self.store.home.query::<Vec<Value>>(&pipe).await?.into_iter();
        let inputs: Option<Vec<u8>> = read(parts.next())?;
        let inputs = inputs.ok_or_else(|| corrupt("a batch without inputs"))?;
        let documents: HashMap<String, Vec<u8>> = read(parts.next())?;
        let packed: Option<Vec<u8>> = some(parts.next())?;
        let documents = match packed {
            Some(packed) => packs::read_documents(&self.store, id, packed).await?,
            None => documents,
        };
        Ok((unpack(&self.store.bring(id, inputs).await?)?, documents))
    }
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
    let (total, open) = (count("total"), fields.contains_key("phase"));
    let stopped = number("stop").is_some();
    let finished_at = number("finished").map(time);
    let is_uploaded = open && shared.spec.via == Via::Provider;
    let paused = number("paused").is_some() && !is_uploaded;
    let state = BatchState::of(finished_at, stopped, open, paused);
    Ok(Batch {
        id,
        state,
        spec: Arc::new(shared.spec),
        cache_ttl: shared.cache_ttl_ms.map(std::time::Duration::from_millis),
        policy: Policy {
            concurrency: number("limit").and_then(|it| u32::try_from(it).ok()),
            errors_max: number("errors_max").and_then(|it| u64::try_from(it).ok()),
        },
        total,
        open,
        ended,
        created_at: time(number("created").unwrap_or_default()),
        finished_at,
        used: Used {
            prompt_tokens: count("prompt_tokens"),
            completion_tokens: count("completion_tokens"),
            cost_micros: count("cost"),
        },
    })
}

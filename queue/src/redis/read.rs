//! Reading executions and items.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::{StreamExt as _, stream};
use redis::Value;
use tokio::time::{Instant, timeout_at};

use super::{
    RedisQueue, Store,
    claim::read,
    document::{Envelope, Head, Shared, Tail, corrupt, time},
    packs,
};
use crate::{
    Batch, BatchId, BatchItem, CHUNK, CHUNK_ITEMS, Error, Execution, ExecutionId, Filter, PAGE_MAX,
    Page, Records, Result, State, Stats, StatsFilter, Which, Why, WorkerId, pack::unpack,
};

/// How many executions one script reads.
const READ_MAX: usize = 100;
/// How many chunks are read ahead from an object store, which answers late.
const CHUNKS_AHEAD: usize = 8;
/// How many chunks are looked through for one page.
const SCAN_MAX: u32 = 64;
/// How often a waiter looks by itself, in case an event was lost.
const LOOK: Duration = Duration::from_secs(5);

#[async_trait]
impl Records for RedisQueue {
    async fn execution(&self, id: ExecutionId) -> Result<Execution> {
        self.read_many(&[id]).await?.pop().flatten().ok_or(Error::NotFound("execution"))
    }

    async fn wait(&self, id: ExecutionId, wait: Duration) -> Result<Execution> {
        let end = Instant::now() + wait;
        let place = self.events.wait_for(id.to_string(), &self.store);
        loop {
            let rung = place.rung.notified();
            tokio::pin!(rung);
            rung.as_mut().enable(); // before looking, so that no event falls in between
            let execution = self.execution(id).await?;
            if execution.state.is_terminal() || Instant::now() >= end {
                return Ok(execution);
            }
            let _: Result<(), _> = timeout_at(end.min(Instant::now() + LOOK), rung).await;
        }
    }

    async fn executions(
        &self,
        filter: &Filter,
        cursor: Option<&str>,
        max: usize,
    ) -> Result<Page<Execution>> {
        self.list(filter, cursor, max.clamp(1, PAGE_MAX)).await
    }

    async fn dead(
        &self,
        owner: Option<&str>,
        cursor: Option<&str>,
        max: usize,
    ) -> Result<Page<Execution>> {
        self.list_dead(owner, cursor, max.clamp(1, PAGE_MAX)).await
    }

    async fn why(&self, id: ExecutionId) -> Result<Why> {
        self.explain(id).await
    }

    async fn batch(&self, id: BatchId) -> Result<Batch> {
        self.read_batch(id).await
    }

    async fn batches(
        &self,
        owner: Option<&str>,
        cursor: Option<&str>,
        max: usize,
    ) -> Result<Page<Batch>> {
        self.list_batches(owner, cursor, max.clamp(1, PAGE_MAX)).await
    }

    async fn batch_results(
        &self,
        id: BatchId,
        from: u32,
        max: usize,
        which: Which,
    ) -> Result<Page<Execution>> {
        let batch = self.read_batch(id).await?;
        let total = u32::try_from(batch.total).unwrap_or(u32::MAX);
        let (mut at, mut items) = (from, Vec::new());
        let max = max.clamp(1, PAGE_MAX);
        let ahead = if self.store.objects.is_some() { CHUNKS_AHEAD } else { 1 };
        let end = total.div_ceil(CHUNK).min(at / CHUNK + SCAN_MAX);
        let chunks = stream::iter(at / CHUNK..end);
        let mut chunks = chunks.map(|chunk| self.read_chunk(id, chunk)).buffered(ahead);
        'page: while at < total && items.len() < max {
            let chunk = at / CHUNK;
            let Some(read) = chunks.next().await else { break };
            let (mut inputs, documents) = read?;
            let end = total.min((chunk + 1) * CHUNK);
            while at < end && items.len() < max {
                let place = (at % CHUNK) as usize;
                if let Some(document) = documents.get(&at.to_string()) {
                    let item = inputs.get_mut(place).ok_or_else(|| corrupt("a short chunk"))?;
                    let earlier = documents.get(&format!("h{at}")).map(Vec::as_slice);
                    let mut execution = batch_item(&batch, id.item(at), std::mem::take(item));
                    execution.end(document, earlier)?;
                    match which {
                        Which::Only(state) if state != execution.state => {}
                        Which::Only(_) | Which::All | Which::InTurn => items.push(execution),
                    }
                } else if which == Which::InTurn {
                    break 'page;
                }
                at += 1;
            }
        }
        Ok(Page { items, next: (at < total).then(|| at.to_string()) })
    }

    async fn stats(&self, filter: &StatsFilter) -> Result<Stats> {
        self.read_stats(filter).await
    }
}

impl RedisQueue {
    /// Looks executions up, in order; none where there is none.
    pub(super) async fn read_many(&self, ids: &[ExecutionId]) -> Result<Vec<Option<Execution>>> {
        let store = &self.store;
        let now = store.now();
        let mut found = Vec::with_capacity(ids.len());
        for page in ids.chunks(READ_MAX) {
            let mut call = store.scripts.read.key(store.prefix());
            call.arg(&now);
            for id in page {
                call.arg(id.to_string());
            }
            let (now, rows): (i64, Vec<Vec<Value>>) = store.home.call(&call).await?;
            for (id, row) in page.iter().zip(rows) {
                found.push(self.compose(*id, row, now).await?);
            }
        }
        Ok(found)
    }

    async fn compose(
        &self,
        id: ExecutionId,
        row: Vec<Value>,
        now: i64,
    ) -> Result<Option<Execution>> {
        let mut row = row.into_iter();
        let Some(kind) = row.next() else { return Ok(None) };
        match read::<String>(Some(kind))?.as_str() {
            "r" => ended(id, &read::<Vec<u8>>(row.next())?).map(Some),
            "e" => open(id, &mut row, now, None).map(Some),
            _ => item(&self.store, id, row, now).await.map(Some),
        }
    }
}

fn ended(id: ExecutionId, document: &[u8]) -> Result<Execution> {
    let (_, envelope, _) = Head::split(document)?;
    let mut execution = waiting(id, Envelope::read(envelope)?);
    execution.end(document, None)?;
    Ok(execution)
}

/// An execution with a record of its own: record, entry, holder, idle, due, called off.
fn open(
    id: ExecutionId,
    row: &mut impl Iterator<Item = Value>,
    now: i64,
    custom_id: Option<String>,
) -> Result<Execution> {
    let record: HashMap<String, Vec<u8>> = read(row.next())?;
    let entry: Option<HashMap<String, Vec<u8>>> = some(row.next())?;
    let (holder, idle): (Option<String>, i64) = (some(row.next())?, read(row.next())?);
    let (due, cancel): (Option<f64>, bool) = (some(row.next())?, read(row.next())?);
    let from = entry.as_ref().unwrap_or(&record);
    let payload = from.get("p").ok_or_else(|| corrupt("an execution without payload"))?;
    let mut execution = waiting(id, Envelope::read(payload)?);
    if let Some(history) = from.get("h") {
        execution.attempts = serde_json::from_slice(history)?;
    }
    let generation = from.get("g").and_then(|it| std::str::from_utf8(it).ok()?.parse().ok());
    execution.generation = generation.unwrap_or_default();
    execution.custom_id = custom_id;
    execution.cancel_requested = cancel;
    #[expect(clippy::cast_possible_truncation, reason = "a time in ms")]
    let due_ms = due.map(|due| due as i64);
    execution.due_at = due_ms.map(time);
    if due.is_some() {
        execution.state = State::Scheduled;
    }
    execution.hold(holder, idle, now);
    Ok(execution)
}

/// An item of a batch: spec, created, inputs, document, earlier document, holder, idle, record,
/// called off, packed documents.
async fn item(
    store: &Store,
    id: ExecutionId,
    mut row: impl Iterator<Item = Value>,
    now: i64,
) -> Result<Execution> {
    let (batch, _) = id.item_of().ok_or_else(|| corrupt("an item of no batch"))?;
    let shared: Shared = unpack(&read::<Vec<u8>>(row.next())?)?;
    let created: i64 = read(row.next())?;
    let inputs = store.bring(batch, read(row.next())?).await?;
    let inputs: Vec<BatchItem> = unpack(&inputs)?;
    let (document, earlier): (Option<Vec<u8>>, Option<Vec<u8>>) =
        (some(row.next())?, some(row.next())?);
    let (holder, idle): (Option<String>, i64) = (some(row.next())?, read(row.next())?);
    let record: Option<Vec<Value>> = some(row.next())?;
    let called_off: bool = read(row.next())?;
    let packed: Option<Vec<u8>> = some(row.next())?;
    let (document, earlier) = match packed {
        Some(packed) => {
            let mut all = packs::read_documents(store, batch, packed).await?;
            let place = index_of(id);
            (all.remove(&place.to_string()), all.remove(&format!("h{place}")))
        }
        None => (document, earlier),
    };
    let item = inputs.into_iter().nth(index_of(id) % CHUNK_ITEMS);
    let item = item.ok_or_else(|| corrupt("a short chunk"))?;
    if let Some(record) = record {
        return open(id, &mut record.into_iter().skip(1), now, item.custom_id);
    }
    let mut execution = Execution::queued(id, shared.spec.into(), item.inputs, time(created));
    execution.custom_id = item.custom_id;
    if let Some(document) = document {
        execution.end(&document, earlier.as_deref())?;
    } else {
        execution.hold(holder, idle, now);
        execution.cancel_requested = called_off;
        execution.follow(earlier.as_deref())?;
    }
    Ok(execution)
}

/// An item's place in its batch.
fn index_of(id: ExecutionId) -> usize {
    id.item_of().map_or(0, |(_, index)| index as usize)
}

fn batch_item(batch: &Batch, id: ExecutionId, item: BatchItem) -> Execution {
    let queued = Execution::queued(id, Arc::clone(&batch.spec), item.inputs, batch.created_at);
    Execution { custom_id: item.custom_id, ..queued }
}

fn waiting(id: ExecutionId, it: Envelope) -> Execution {
    Execution::queued(id, it.spec, it.inputs, it.created_at)
}

impl Execution {
    /// Notes who runs it, and since when by the store's clock.
    fn hold(&mut self, holder: Option<String>, idle_ms: i64, now_ms: i64) {
        if let Some(holder) = holder {
            self.state = State::Running;
            self.worker = Some(WorkerId::from(holder));
            self.started_at = Some(time(now_ms - idle_ms));
        }
    }

    /// Notes that it is a new generation of what ended earlier.
    fn follow(&mut self, earlier: Option<&[u8]>) -> Result<()> {
        let Some(earlier) = earlier else { return Ok(()) };
        let (head, _, tail) = Head::split(earlier)?;
        self.generation = head.generation + 1;
        self.attempts = Tail::read(tail)?.attempts;
        Ok(())
    }

    /// Notes how it ended. The attempts of an earlier generation come before its own.
    fn end(&mut self, document: &[u8], earlier: Option<&[u8]>) -> Result<()> {
        let (head, _, tail) = Head::split(document)?;
        let mut tail = Tail::read(tail)?;
        // Those of one that ended in its lane were not carried over.
        let bare = tail.attempts.iter().all(|it| it.generation == head.generation);
        if let Some(earlier) = earlier.filter(|_| bare) {
            let (_, _, before) = Head::split(earlier)?;
            let mut attempts = Tail::read(before)?.attempts;
            attempts.append(&mut tail.attempts);
            tail.attempts = attempts;
        }
        self.state = head.state;
        self.generation = head.generation;
        self.cache_hit = head.cache_hit;
        self.finished_at = Some(time(head.finished_ms));
        self.run_time = tail.run_time();
        if head.cache_hit {
            tail.attempts.clear();
            tail.report.usage.clear();
            self.run_time = Some(Duration::ZERO);
        }
        if let Some(last) = tail.attempts.last().filter(|it| it.generation == head.generation) {
            self.started_at = Some(last.started_at);
            self.worker = Some(last.worker.clone());
        }
        self.attempts = tail.attempts;
        self.report = Some(tail.report);
        Ok(())
    }
}

/// A part of a script's answer that may be false for "none".
pub(super) fn some<T: redis::FromRedisValue>(value: Option<Value>) -> Result<Option<T>> {
    match value {
        None | Some(Value::Nil | Value::Boolean(false)) => Ok(None),
        value => read(value).map(Some),
    }
}

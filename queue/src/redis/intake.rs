//! The side where work is put in.

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    RedisQueue,
    lend::Rounds,
    submit::{Accepted, Submission, lane_of},
};
use crate::{
    BatchId, Error, ExecutionId, Intake, NewBatch, NewExecution, Part, Records, Release, Result,
    Seal, State, Submitted,
};

/// How many executions one call cancels or retries.
const PAGE: usize = 100;

#[async_trait]
impl Intake for RedisQueue {
    async fn submit(&self, new: NewExecution) -> Result<Submitted> {
        let submission = Arc::new(Submission::new(new, self.store.clock_ms())?);
        let mut rounds = Rounds::default();
        loop {
            match self.submitter.call(Arc::clone(&submission)).await? {
                Accepted::Submitted(submitted) => return Ok(submitted),
                Accepted::Packed(item) => rounds.lend(&self.store, &[item]).await?,
            }
        }
    }

    async fn submit_batch(&self, new: NewBatch) -> Result<Submitted<BatchId>> {
        self.accept_batch(new).await
    }

    async fn open_batch(&self, new: NewBatch, release: Release) -> Result<Submitted<BatchId>> {
        self.begin_batch(new, release, 0).await
    }

    async fn add_part(&self, id: BatchId, part: Part) -> Result<u64> {
        self.put_part(id, part).await
    }

    async fn seal_batch(&self, id: BatchId, seal: Seal) -> Result<Submitted<BatchId>> {
        self.close_batch(id, seal).await
    }

    async fn discard_batch(&self, id: BatchId) -> Result<()> {
        self.drop_batch(id).await
    }

    async fn custom_ids(&self, id: BatchId, from: u64) -> Result<Vec<(u64, u32)>> {
        self.read_custom_ids(id, from).await
    }

    async fn pause_batch(&self, id: BatchId) -> Result<()> {
        self.steer_batch(id, "pause", &[]).await
    }

    async fn resume_batch(&self, id: BatchId) -> Result<()> {
        self.steer_batch(id, "resume", &[]).await
    }

    async fn set_batch_budget(&self, id: BatchId, micros: Option<u64>) -> Result<()> {
        self.put_budget(id, micros).await
    }

    async fn cancel(&self, id: ExecutionId) -> Result<State> {
        let store = &self.store;
        let (now, ttl, id) = (store.now(), store.ttl(), id.to_string());
        let mut call = store.scripts.cancel.key(store.prefix());
        call.arg(&now).arg(ttl).arg(&id);
        let words: Vec<String> = store.home.call(&call).await?;
        let word = words.first().map(String::as_str).unwrap_or_default();
        match word.strip_prefix('!') {
            Some(state) => Err(Error::AlreadyEnded(state.parse()?)),
            None if word.is_empty() => Err(Error::NotFound("execution")),
            None => word.parse(),
        }
    }

    async fn retry(&self, id: ExecutionId) -> Result<State> {
        if let Some((batch, index)) = id.item_of() {
            return self.retry_item(batch, index).await;
        }
        let execution = self.execution(id).await?;
        if execution.state.after(crate::Event::Requeued).is_none() {
            return Err(Error::AlreadyEnded(execution.state));
        }
        let store = &self.store;
        let (now, ttl) = (store.now(), store.ttl());
        let lane = lane_of(&execution.spec, id);
        let history = serde_json::to_string(&execution.attempts)?;
        let (name, generation) = (id.to_string(), execution.generation);
        let mut call = store.scripts.retry.key(store.prefix());
        call.arg(&now).arg(ttl).arg(&name).arg(&lane).arg(generation).arg(&history);
        let deadline = execution.spec.deadline.map(|at| at.timestamp_millis().to_string());
        call.arg(deadline.unwrap_or_default());
        let done: bool = store.home.call(&call).await?;
        if done {
            return Ok(State::Queued);
        }
        // Somebody else was faster, or our own first try was.
        let execution = self.execution(id).await?;
        if execution.generation > generation {
            return Ok(execution.state);
        }
        Err(Error::AlreadyEnded(execution.state))
    }

    async fn cancel_batch(&self, id: BatchId) -> Result<()> {
        self.cancel_chunks(id).await
    }

    async fn retry_batch(&self, id: BatchId) -> Result<u64> {
        self.retry_chunks(id).await
    }

    async fn retry_dead(&self, owner: Option<&str>, max: usize) -> Result<u64> {
        let (mut cursor, mut retried, max) = (None, 0, max as u64);
        loop {
            let page = self.dead(owner, cursor.as_deref(), PAGE).await?;
            for execution in page.items {
                if retried >= max {
                    return Ok(retried);
                }
                match self.retry(execution.id).await {
                    Ok(_) => retried += 1,
                    Err(Error::AlreadyEnded(_) | Error::NotFound(_)) => {}
                    Err(error) => return Err(error),
                }
            }
            let Some(next) = page.next else { return Ok(retried) };
            cursor = Some(next);
        }
    }
}

impl RedisQueue {
    async fn retry_item(&self, batch: BatchId, index: u32) -> Result<State> {
        let execution = self.execution(batch.item(index)).await?;
        if execution.state.after(crate::Event::Requeued).is_none() {
            return Err(Error::AlreadyEnded(execution.state));
        }
        let chunk = index as usize / crate::CHUNK_ITEMS;
        let retried = self.retry_of_chunk(batch, chunk, &[index]).await?;
        if retried == 1 { Ok(State::Queued) } else { Err(Error::AlreadyEnded(execution.state)) }
    }
}

//! The side where it is read, as reads of one snapshot each.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, timeout_at};

use super::{SqliteQueue, list, results, statistics, why};
use crate::{
    Batch, BatchId, Execution, ExecutionId, Filter, Page, Records, Result, Stats, StatsFilter,
    Which, Why,
};

/// The longest that one waits for an execution to end.
const WAIT_MAX: Duration = Duration::from_hours(1);

/// How often one looks again that nobody wakes: too many wait, or another process writes.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

#[async_trait]
impl Records for SqliteQueue {
    async fn execution(&self, id: ExecutionId) -> Result<Execution> {
        match id.item_of() {
            Some(_) => self.read(move |db, _| list::find(db, id)).await,
            None => self.inner.lookups.find(id).await,
        }
    }

    async fn wait(&self, id: ExecutionId, wait: Duration) -> Result<Execution> {
        let until = Instant::now() + wait.min(WAIT_MAX);
        let watch = self.inner.signals.watch(id);
        let watch = watch.filter(|_| self.inner.writer.is_some());
        loop {
            // before the look, so that it cannot end between the two
            let mut ended = std::pin::pin!(watch.as_ref().map(|it| it.notify().notified()));
            if let Some(ended) = ended.as_mut().as_pin_mut() {
                ended.enable();
            }
            let now = Instant::now();
            if now >= until || !self.inner.signals.is_open(id) {
                let execution = self.execution(id).await?;
                if execution.state.is_terminal() || now >= until {
                    return Ok(execution);
                }
            }
            match ended.as_mut().as_pin_mut() {
                Some(ended) => drop(timeout_at(until, ended).await),
                None => tokio::time::sleep_until(until.min(now + LOOK_AGAIN)).await,
            }
        }
    }

    async fn executions(
        &self,
        filter: &Filter,
        cursor: Option<&str>,
        max: usize,
    ) -> Result<Page<Execution>> {
        let (filter, cursor) = (filter.clone(), cursor.map(str::to_owned));
        self.read(move |db, _| match filter.batch {
            Some(batch) => results::list_items(db, batch, &filter, cursor.as_deref(), max),
            None => list::list(db, &filter, cursor.as_deref(), max),
        })
        .await
    }

    async fn dead(
        &self,
        owner: Option<&str>,
        cursor: Option<&str>,
        max: usize,
    ) -> Result<Page<Execution>> {
        let (owner, cursor) = (owner.map(str::to_owned), cursor.map(str::to_owned));
        self.read(move |db, _| list::dead(db, owner.as_deref(), cursor.as_deref(), max)).await
    }

    async fn why(&self, id: ExecutionId) -> Result<Why> {
        self.read(move |db, now| why::why(db, now, id)).await
    }

    async fn batch(&self, id: BatchId) -> Result<Batch> {
        self.read(move |db, _| list::find_batch(db, id)).await
    }

    async fn batches(
        &self,
        owner: Option<&str>,
        cursor: Option<&str>,
        max: usize,
    ) -> Result<Page<Batch>> {
        let (owner, cursor) = (owner.map(str::to_owned), cursor.map(str::to_owned));
        self.read(move |db, _| list::batches(db, owner.as_deref(), cursor.as_deref(), max)).await
    }

    async fn batch_results(
        &self,
        id: BatchId,
        from: u32,
        max: usize,
        which: Which,
    ) -> Result<Page<Execution>> {
        self.read(move |db, _| results::batch_results(db, id, from, max, which)).await
    }

    async fn stats(&self, filter: &StatsFilter) -> Result<Stats> {
        let filter = filter.clone();
        self.read(move |db, now| statistics::stats(db, now, &filter)).await
    }
}

//! The side of the queue where it is read.

use std::time::Duration;

use async_trait::async_trait;

use crate::{
    Batch, BatchId, Execution, ExecutionId, Filter, Page, Result, State, Stats, StatsFilter, Why,
};

/// The most that one page of a list holds.
pub const PAGE_MAX: usize = 1000;

/// Which of a batch's ended items are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Which {
    /// All that have ended.
    All,
    /// Those that ended so.
    Only(State),
    /// Those before the first that has not ended.
    InTurn,
}

/// Reads what is kept. Reads change nothing.
#[async_trait]
pub trait Records: Send + Sync {
    /// Looks one execution up: a single one or an item of a batch.
    async fn execution(&self, id: ExecutionId) -> Result<Execution>;

    /// The execution when it has ended, or as it stands after `wait`.
    async fn wait(&self, id: ExecutionId, wait: Duration) -> Result<Execution>;

    /// A page of single executions, or of one batch's items, newest first (items in order).
    async fn executions(
        &self,
        filter: &Filter,
        cursor: Option<&str>,
        max: usize,
    ) -> Result<Page<Execution>>;

    /// A page of failed executions that nobody has retried, oldest first.
    async fn dead(
        &self,
        owner: Option<&str>,
        cursor: Option<&str>,
        max: usize,
    ) -> Result<Page<Execution>>;

    /// What an execution waits for.
    async fn why(&self, id: ExecutionId) -> Result<Why>;

    /// A batch with its counts.
    async fn batch(&self, id: BatchId) -> Result<Batch>;

    /// A page of batches, newest first.
    async fn batches(
        &self,
        owner: Option<&str>,
        cursor: Option<&str>,
        max: usize,
    ) -> Result<Page<Batch>>;

    /// A batch's ended items from index `from` on, in order, at most `max`: fewer if it has to look
    /// far. `next` is the index to go on from, as text; none past the last item.
    async fn batch_results(
        &self,
        id: BatchId,
        from: u32,
        max: usize,
        which: Which,
    ) -> Result<Page<Execution>>;

    /// Totals, durations, depth and workers of the whole fleet.
    async fn stats(&self, filter: &StatsFilter) -> Result<Stats>;
}

//! The side of the queue where work is put in.

use async_trait::async_trait;

use crate::{BatchId, ExecutionId, NewBatch, NewExecution, Result, State, Submitted};

/// Puts work in, and calls it off. Every method is safe to repeat, and one atomic step, but for
/// [`Intake::cancel_batch`] and [`Intake::retry_batch`], which take a batch page by page.
#[async_trait]
pub trait Intake: Send + Sync {
    /// Accepts an execution. It comes back `succeeded` if the cache knew an equal one, and in the
    /// state of the first request if the idempotency key or the id is known already.
    async fn submit(&self, new: NewExecution) -> Result<Submitted>;

    /// Accepts a batch with all its items, or nothing of it.
    async fn submit_batch(&self, new: NewBatch) -> Result<Submitted<BatchId>>;

    /// Calls an execution off: at once if it waits, when its worker hears of it if it runs (then
    /// the answer is `running`). [`crate::Error::AlreadyEnded`] if it has ended otherwise;
    /// repeating it is no error.
    async fn cancel(&self, id: ExecutionId) -> Result<State>;

    /// Runs an ended execution again, as a new generation of the same id with all its attempts
    /// anew; history kept. [`crate::Error::AlreadyEnded`] if it succeeded or has not ended.
    async fn retry(&self, id: ExecutionId) -> Result<State>;

    /// Calls off every item of a batch that has not ended. Marks the batch first: if it stops
    /// halfway, workers call off what they claim of it.
    async fn cancel_batch(&self, id: BatchId) -> Result<()>;

    /// Runs the failed, cancelled and expired items of a batch again, and says how many. If it
    /// stops halfway, a repeated call does the rest.
    async fn retry_batch(&self, id: BatchId) -> Result<u64>;

    /// Runs executions of the dead list again, oldest first, at most `max` of the owner's (or of
    /// everybody's); says how many.
    async fn retry_dead(&self, owner: Option<&str>, max: usize) -> Result<u64>;
}

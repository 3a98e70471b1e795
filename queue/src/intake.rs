//! The side of the queue where work is put in.

use async_trait::async_trait;

use crate::{
    BatchId, ExecutionId, NewBatch, NewExecution, Part, Release, Result, Seal, State, Submitted,
};

/// Puts work in, and calls it off. Every method is safe to repeat, and one atomic step, but for
/// [`Intake::submit_batch`], [`Intake::cancel_batch`] and [`Intake::retry_batch`], which take a
/// batch page by page.
#[async_trait]
pub trait Intake: Send + Sync {
    /// Accepts an execution. It comes back `succeeded` if the cache knew an equal one, and in the
    /// state of the first request if the idempotency key or the id is known already.
    async fn submit(&self, new: NewExecution) -> Result<Submitted>;

    /// Accepts a batch with all its items, or nothing of it.
    async fn submit_batch(&self, new: NewBatch) -> Result<Submitted<BatchId>>;

    /// Opens a batch whose items come in parts: those of `new` are not looked at. One that nobody
    /// adds to for [`crate::Limits::upload_ttl`] is called off, or forgotten if nobody saw it.
    async fn open_batch(&self, new: NewBatch, release: Release) -> Result<Submitted<BatchId>>;

    /// Adds a part to an open batch, and says how many items it has now. A part that comes again
    /// changes nothing. [`crate::Error::OutOfStep`] if others are missing before it, or were added
    /// in its place; [`crate::Error::Sealed`] if no more may come.
    async fn add_part(&self, id: BatchId, part: Part) -> Result<u64>;

    /// Ends a batch's upload: no more items come, and a whole one is accepted now. Its id is that
    /// of an earlier batch if the idempotency key is known; then this one is forgotten.
    /// [`crate::Error::OutOfStep`] if it has another number of items.
    async fn seal_batch(&self, id: BatchId, seal: Seal) -> Result<Submitted<BatchId>>;

    /// Forgets a batch that was opened to be accepted whole, and is not sealed.
    async fn discard_batch(&self, id: BatchId) -> Result<()>;

    /// The hashes of an open batch's custom ids with the indexes of their items, at most
    /// [`crate::CUSTOM_IDS_PAGE`], without the first `from` of them: see [`crate::CustomIds`].
    async fn custom_ids(&self, id: BatchId, from: u64) -> Result<Vec<(u64, u32)>>;

    /// Hands nothing more of a batch out until it is resumed. What runs goes on.
    async fn pause_batch(&self, id: BatchId) -> Result<()>;

    /// Hands a batch out again.
    async fn resume_batch(&self, id: BatchId) -> Result<()>;

    /// Sets what a batch may spend on models, in millionths of a dollar; no bound if none. Items
    /// that run keep the bound they began with.
    async fn set_batch_budget(&self, id: BatchId, micros: Option<u64>) -> Result<()>;

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

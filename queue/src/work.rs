//! The side of the queue that workers use.

use std::time::Duration;

use async_trait::async_trait;

use crate::{Ending, Lease, Orders, Result, Tick, Verdict, Want, WorkerId, WorkerInfo};

/// Hands work out, and takes back what came of it.
#[async_trait]
pub trait Work: Send + Sync {
    /// Hands executions to a worker: as many as it has slots for, the oldest of each lane first,
    /// lanes in fair turn, classes 16:4:1. Waits up to `wait` when there are none. A chunk of a
    /// batch comes whole, and may hold more items than slots were asked for; at most one comes.
    ///
    /// Dropping the future is safe: what it had claimed is rescued when the worker dies, or is
    /// handed out again by the worker's next claim.
    async fn claim(&self, worker: &WorkerId, want: Want, wait: Duration) -> Result<Vec<Lease>>;

    /// Records how an attempt ended: result, counters, histogram, cache entry, batch progress and
    /// the end of the lease in one step. Calls that come together share one. While the store
    /// cannot be reached it tries again until the future is dropped; an end that was recorded and
    /// not answered is [`Verdict::Refused`] then, and harmless.
    async fn finish(&self, ending: Ending) -> Result<Verdict>;

    /// Shows that a worker lives, for the length of the lease, and brings its orders. The first
    /// beat of an incarnation registers it; it must be made before it claims.
    async fn beat(&self, info: &WorkerInfo) -> Result<Orders>;

    /// Strikes a worker off that holds nothing more. What it still holds is rescued at once.
    async fn retire(&self, worker: &WorkerId) -> Result<()>;

    /// A bounded round of upkeep: promotes what is due, rescues what dead workers held, expires
    /// what is too late, trims what is too old. Any worker may call it at any time.
    async fn tick(&self) -> Result<Tick>;
}

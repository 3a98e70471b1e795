//! How much a store takes, and how long it keeps it.

use std::time::Duration;

/// The longest that a batch is kept which nobody sees, and nobody adds to.
const HELD_TTL: Duration = Duration::from_hours(1);

/// The bounds of a queue. Every process of a fleet must be given the same.
#[derive(Clone, PartialEq, Debug)]
pub struct Limits {
    /// How long a worker may be silent before its work is given to others.
    pub lease: Duration,
    /// How long ended executions and batches are kept.
    pub result_ttl: Duration,
    /// How long an idempotency key is known.
    pub idempotency_ttl: Duration,
    /// How long a batch stays open that nobody adds items to.
    pub upload_ttl: Duration,
    /// How many executions may wait in all; items of batches do not count, but for those of one
    /// that is accepted in one piece.
    pub waiting_max: u64,
    /// How many executions of one owner and class may wait; items of batches do not count.
    pub waiting_per_owner_max: u64,
    /// How many failed executions the dead list keeps.
    pub dead_max: u64,
    /// How many replies to paid calls are kept for equal calls.
    pub shared_replies_max: u64,
    /// How many notices of a channel wait to be delivered; beyond it the oldest are dropped.
    pub outbox_max: u64,
    /// How often a suspect may take its worker with it before it is failed as `worker_lost`.
    pub crashes_max: u32,
    /// Whether a result counts whose worker lost its lease, while there is no other.
    pub late_results: bool,
}

impl Limits {
    /// How long a batch is kept that nobody sees, and nobody adds items to.
    pub(crate) fn held_ttl(&self) -> Duration {
        HELD_TTL.min(self.upload_ttl)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(3),
            result_ttl: Duration::from_secs(7 * 24 * 3600),
            idempotency_ttl: Duration::from_secs(24 * 3600),
            upload_ttl: Duration::from_secs(24 * 3600),
            waiting_max: 1_000_000,
            waiting_per_owner_max: 200_000,
            dead_max: 10_000,
            shared_replies_max: 100_000,
            outbox_max: 100_000,
            crashes_max: 3,
            late_results: true,
        }
    }
}

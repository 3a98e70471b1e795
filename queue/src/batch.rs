//! Many executions that share how they run: a durable object over chunks, not a million jobs.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{BatchId, Failure, Fields, Idempotency, Spec, State, Used};

/// How many items one chunk holds; a worker takes a chunk at a time.
pub const CHUNK_ITEMS: usize = CHUNK as usize;
/// The same, for indexes of items.
pub(crate) const CHUNK: u32 = 64;

/// A batch as it is put in.
#[derive(Clone, PartialEq, Debug)]
pub struct NewBatch {
    /// Its name, made by the caller, so that a repeated call is known.
    pub id: BatchId,
    /// How every item runs.
    pub spec: Spec,
    /// How long an equal execution's result stands for an item's; none for "do not cache".
    pub cache_ttl: Option<Duration>,
    /// How much of it may run at once, and when it is given up.
    pub policy: Policy,
    /// The items, in order.
    pub items: Vec<BatchItem>,
    /// The client's name for the request.
    pub idempotency: Option<Idempotency>,
}

/// How much of a batch may run at once, and when it is given up; no bound where none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Policy {
    /// How many of its items may be with workers at once, in the whole fleet; 1 or more. Items
    /// that ran when workers were lost run besides.
    pub concurrency: Option<u32>,
    /// How many of its items may fail: one more, and the rest is called off.
    pub errors_max: Option<u64>,
}

/// When the items of a batch may run that comes in parts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Release {
    /// Each part as soon as it is there.
    PartByPart,
    /// All when it is sealed. Until then nobody sees it.
    Whole,
}

/// Items that are added to a batch together, or not at all.
#[derive(Clone, PartialEq, Debug)]
pub struct Part {
    /// The index of the first.
    pub first: u32,
    /// The items, in order.
    pub items: Vec<BatchItem>,
    /// A hash of what was sent, by which a part is known that comes again.
    pub digest: String,
}

/// What must be so for a batch to be sealed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Seal {
    /// How many items it has, if the client says.
    pub total: Option<u64>,
    /// The client's name for the request that brought it whole.
    pub idempotency: Option<Idempotency>,
}

/// An item of a batch, as it is put in.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct BatchItem {
    /// What to run on.
    #[serde(rename = "i")]
    pub inputs: Fields,
    /// The client's name for it.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub custom_id: Option<String>,
    /// What makes it equal to another execution; none for "do not cache".
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Why it cannot run: it fails at once, and the others run.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub invalid: Option<Failure>,
}

/// Where a batch stands, in the words of OpenAI's batches.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchState {
    /// More items are to come.
    Uploading,
    /// Nothing more of it is handed out until it is resumed: by whoever paused it, or by its
    /// provider's replies.
    Paused,
    /// Some items have not ended.
    InProgress,
    /// It was called off, and some items still run.
    Cancelling,
    /// It was called off, and no item runs.
    Cancelled,
    /// Every item has ended.
    Completed,
}

impl BatchState {
    /// Where one stands, by what is so of it.
    pub(crate) fn of(
        finished_at: Option<DateTime<Utc>>,
        called_off: bool,
        open: bool,
        paused: bool,
    ) -> Self {
        match (finished_at.is_some(), called_off) {
            (true, false) => Self::Completed,
            (true, true) => Self::Cancelled,
            (false, true) => Self::Cancelling,
            (false, false) if paused => Self::Paused,
            (false, false) if open => Self::Uploading,
            (false, false) => Self::InProgress,
        }
    }
}

/// A batch as it is read.
#[derive(Clone, PartialEq, Debug)]
pub struct Batch {
    /// Its name.
    pub id: BatchId,
    /// Where it stands.
    pub state: BatchState,
    /// How its items run.
    pub spec: Arc<Spec>,
    /// How long an equal execution's result stands for an item's; none for "do not cache".
    pub cache_ttl: Option<Duration>,
    /// How much of it may run at once, and when it is given up.
    pub policy: Policy,
    /// How many items it has, so far.
    pub total: u64,
    /// Whether more items may come.
    pub open: bool,
    /// How many have ended, by how.
    pub ended: Ended,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When its last item ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// What its items used so far.
    pub used: Used,
}

/// How many executions ended, by how.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Ended {
    /// With outputs.
    pub succeeded: u64,
    /// Without.
    pub failed: u64,
    /// Called off.
    pub cancelled: u64,
    /// Too late.
    pub expired: u64,
}

impl Ended {
    /// All of them.
    pub fn total(self) -> u64 {
        self.succeeded + self.failed + self.cancelled + self.expired
    }

    /// Counts `n` more that ended in `state`; a state that is no end counts nowhere.
    pub fn add(&mut self, state: State, n: u64) {
        match state {
            State::Succeeded => self.succeeded += n,
            State::Failed => self.failed += n,
            State::Cancelled => self.cancelled += n,
            State::Expired => self.expired += n,
            State::Scheduled | State::Queued | State::Running => {}
        }
    }
}

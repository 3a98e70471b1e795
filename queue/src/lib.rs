//! What is to be done, and what came of it.
//!
//! An [`Execution`] is one run of one program on one set of inputs. A [`Queue`] keeps executions
//! from the moment they are accepted until their results are too old. It knows nothing of DSPy or
//! of HTTP.
//!
//! ```text
//!               due              claim                   finish(Succeeded)
//!  scheduled ────────▶ queued ─────────────▶ running ─────────────────────▶ succeeded
//!      ▲                  ▲  ◀── returned, lost ─┘ │ │  finish(Failed), lost too often
//!      │                  │                        │ └─────────────────────▶ failed ──▶ dead list
//!      └── finish(Retry) ─┼────────────────────────┘
//!                         └─ retry: a new generation ── failed, cancelled, expired
//!  scheduled | queued | running ── cancel ──▶ cancelled,  ── deadline ──▶ expired
//! ```
//!
//! [`State::after`] is this picture as code. Both stores are held to it by `tests/conformance`.
//! Inside both, an execution that has not ended is in exactly one place: the set of what is due
//! later, a lane, or with a worker. A lane is the line in which one owner's executions, or one
//! batch's chunks, wait within a class.

mod batch;
mod clock;
mod control;
mod custom_ids;
mod end;
mod error;
mod execution;
mod feed;
mod id;
mod intake;
mod lease;
mod ledger;
mod limits;
mod object_options;
mod objects;
mod outbox;
mod pack;
mod raw_json;
mod record;
mod records;
mod redis;
mod spec;
mod sqlite;
mod stats;
mod text_id;
mod trace_parent;
mod used;
mod work;
mod worker;

pub use self::redis::{RedisConfig, RedisQueue};
pub(crate) use batch::CHUNK;
pub use batch::{
    Batch, BatchItem, BatchState, CHUNK_ITEMS, Ended, NewBatch, Part, Policy, Release, Seal,
};
pub use clock::Clock;
pub use control::{Catalogue, Control};
pub use custom_ids::{CUSTOM_IDS_PAGE, CustomIds};
pub use end::{Attempt, End, Failure, FailureKind, Report};
pub use error::{Error, Result};
pub use execution::{Event, State};
pub use feed::{Feed, Mark, NEWS_KEPT, NEWS_PAGE, NEWS_TIME, News, NoMark};
pub use id::{BatchId, ExecutionId, WorkerId};
pub use intake::Intake;
pub use lease::{ATTEMPTS_KEPT, Ending, Lease, Task, Verdict, Want};
pub use ledger::{Budget, Ledger, Paid, Place, Rate, Recalled, Turn, Wanted};
pub use limits::Limits;
pub use object_options::ObjectOptions;
pub use objects::{Object, ObjectCounts, Objects, Reading};
pub use outbox::{Channel, ChannelStats, Delivery, Notice, Outbox, Subject};
pub use raw_json::RawJson;
pub use record::{Execution, Filter, Page, Why};
pub use records::{PAGE_MAX, Records, Which};
pub use spec::{
    Allowance, CacheKey, Class, Durability, Fields, Idempotency, Mode, NewExecution, Spec,
    Submitted, Via,
};
pub use sqlite::SqliteQueue;
pub use stats::{Depth, Histogram, Stats, StatsFilter, WINDOW_MAX};
pub use text_id::TextId;
pub use trace_parent::TraceParent;
pub use used::{Used, micros};
pub use work::Work;
pub use worker::{Orders, Tick, WorkerInfo};

/// All sides of a queue: what a store is.
pub trait Queue: Intake + Work + Records + Control + Ledger + Feed + Outbox {}

impl<T: Intake + Work + Records + Control + Ledger + Feed + Outbox> Queue for T {}

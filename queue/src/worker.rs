//! A worker as the store knows it, and what the store tells it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{ExecutionId, WorkerId};

/// What a worker tells of itself with every heartbeat.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct WorkerInfo {
    /// Its present incarnation.
    pub id: WorkerId,
    /// The machine.
    pub host: String,
    /// The process.
    pub pid: u32,
    /// dspyx's version.
    pub version: String,
    /// How many executions it runs at once.
    pub slots: usize,
    /// How many it runs now.
    pub running: usize,
    /// When it started.
    #[serde(with = "chrono::serde::ts_milliseconds")]
    pub started_at: DateTime<Utc>,
    /// The programs it can run, as `id@version`.
    pub programs: Vec<String>,
}

/// What the store answers to a heartbeat.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Orders {
    /// Executions to stop: someone called them off, or a late result of them was accepted.
    pub cancel: Vec<ExecutionId>,
    /// Whether the queue is paused: claim nothing.
    pub paused: bool,
    /// Whether others were told that this incarnation is dead, and its work was given to them.
    /// It must drop what it runs (a result may still be offered) and take a new [`WorkerId`].
    pub declared_dead: bool,
    /// Goes up when the registered programs change or caches are cleared: load again.
    pub epoch: u64,
}

/// What one round of upkeep did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tick {
    /// Scheduled executions whose time came.
    pub promoted: u64,
    /// Executions taken back from dead workers.
    pub rescued: u64,
    /// Executions whose deadline passed.
    pub expired: u64,
    /// How long until the next scheduled one is due; none if nothing is scheduled.
    pub next_due: Option<Duration>,
    /// Whether there is more to do at once: each kind is bounded a call.
    pub more: bool,
}

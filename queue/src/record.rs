//! An execution as it is read.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{Attempt, BatchId, ExecutionId, Fields, Report, Spec, State, WorkerId};

/// An execution as kept.
#[derive(Clone, PartialEq, Debug)]
pub struct Execution {
    /// Its name.
    pub id: ExecutionId,
    /// Where it stands.
    pub state: State,
    /// How it was asked to run.
    pub spec: Arc<Spec>,
    /// What it was asked to run on.
    pub inputs: Fields,
    /// The client's name for an item of a batch.
    pub custom_id: Option<String>,
    /// What was tried so far, oldest first.
    pub attempts: Vec<Attempt>,
    /// How often it was requeued by hand.
    pub generation: u32,
    /// Whether someone called it off, and its worker has not stopped yet.
    pub cancel_requested: bool,
    /// Whether its result is that of an equal execution.
    pub cache_hit: bool,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When it may start, while scheduled.
    pub due_at: Option<DateTime<Utc>>,
    /// When its last attempt began, where known.
    pub started_at: Option<DateTime<Utc>>,
    /// When it reached a terminal state, by the store's clock.
    pub finished_at: Option<DateTime<Utc>>,
    /// How long its last attempt ran.
    pub run_time: Option<Duration>,
    /// Who runs it, or ran it last.
    pub worker: Option<WorkerId>,
    /// What it left; none until terminal.
    pub report: Option<Report>,
}

impl Execution {
    /// One that was accepted and that nothing has happened to since.
    #[must_use]
    pub fn queued(
        id: ExecutionId,
        spec: Arc<Spec>,
        inputs: Fields,
        created_at: DateTime<Utc>,
    ) -> Self {
        Self {
            id,
            state: State::Queued,
            spec,
            inputs,
            custom_id: None,
            attempts: Vec::new(),
            generation: 0,
            cancel_requested: false,
            cache_hit: false,
            created_at,
            due_at: None,
            started_at: None,
            finished_at: None,
            run_time: None,
            worker: None,
            report: None,
        }
    }
}

/// Which executions to list, newest first.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Filter {
    /// Only of this owner.
    pub owner: Option<String>,
    /// Only of this program.
    pub program: Option<String>,
    /// Only in this state.
    pub state: Option<State>,
    /// Only items of this batch.
    pub batch: Option<BatchId>,
    /// Only accepted at or after this time.
    pub since: Option<DateTime<Utc>>,
}

/// A page of a list, and where the next one begins.
#[derive(Clone, PartialEq, Debug)]
pub struct Page<T> {
    /// What was found. May be fewer than asked for, even none, with more to come.
    pub items: Vec<T>,
    /// What to ask for next; none at the end.
    pub next: Option<String>,
}

/// What an execution waits for.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Why {
    /// Nothing: it has ended.
    Ended {
        /// How.
        state: State,
    },
    /// Nothing: it runs.
    Running {
        /// On which worker, where known.
        worker: Option<WorkerId>,
        /// Whether it was told to stop.
        cancel_requested: bool,
    },
    /// A time.
    NotDue {
        /// Which.
        due_at: DateTime<Utc>,
    },
    /// The queue is paused.
    Paused,
    /// No live worker.
    NoWorker,
    /// Its turn.
    Turn {
        /// How many of its own lane are before it.
        ahead: u64,
        /// How many lanes of its class take turns with it.
        lanes: u64,
        /// Slots of all live workers.
        slots: u64,
    },
}

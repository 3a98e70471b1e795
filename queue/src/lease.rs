//! The right to run an execution, for as long as the worker lives and shows it.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};

use crate::{Attempt, CacheKey, End, ExecutionId, Fields, Spec, State, WorkerId};

/// What is to be run.
#[derive(Clone, PartialEq, Debug)]
pub struct Task {
    /// Its name.
    pub id: ExecutionId,
    /// How to run it.
    pub spec: Arc<Spec>,
    /// What to run it on.
    pub inputs: Fields,
    /// What makes it equal to another.
    pub cache: Option<CacheKey>,
    /// What was tried before, in all generations; the newest [`ATTEMPTS_KEPT`].
    pub attempts: Vec<Attempt>,
    /// How often it was requeued by hand.
    pub generation: u32,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// Whether it ran when workers were lost: a worker runs only one such at a time.
    pub suspect: bool,
}

/// How many past attempts are kept with an execution.
pub const ATTEMPTS_KEPT: usize = 64;

impl Task {
    /// How many attempts of this generation were used before this one.
    pub fn attempts_used(&self) -> u32 {
        let used = self.attempts.iter().filter(|it| it.generation == self.generation).count();
        u32::try_from(used).unwrap_or(u32::MAX)
    }
}

/// A task handed to one worker. [`Work::finish`](crate::Work::finish) takes it back.
#[derive(Debug)]
#[must_use = "finish it, or its execution waits until the worker is declared dead"]
pub struct Lease {
    /// What to run.
    pub task: Task,
    /// What proves the right to it.
    pub(crate) token: Token,
}

impl Lease {
    /// Whether it came in one piece with others that share one entry of the store: the items of a
    /// batch's chunk, which may be more than the slots asked for.
    pub fn is_item_of_chunk(&self) -> bool {
        self.token.chunk.is_some()
    }
}

/// What the store compares before it believes a worker: entry, holder and delivery count.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Token {
    /// Who holds it.
    pub(crate) worker: WorkerId,
    /// The lane that the entry lies in.
    pub(crate) lane: Arc<str>,
    /// The entry's name in the store.
    pub(crate) entry: Arc<str>,
    /// How often the entry was handed out.
    pub(crate) delivery: u64,
    /// The chunk of a batch that the entry stands for; none for a single execution.
    pub(crate) chunk: Option<u32>,
    /// Whether the entry was handed out with every item of a full chunk, none of which ran before.
    pub(crate) whole: bool,
}

/// How many tasks a worker has room for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Want {
    /// Free slots.
    pub slots: usize,
    /// How many of them bulk work may take.
    pub bulk: usize,
    /// Whether one may be taken that ran when workers were lost.
    pub suspect: bool,
}

/// An attempt's end, on its way to the store.
#[derive(Debug)]
pub struct Ending {
    /// What proves the right to it, with the task.
    pub lease: Lease,
    /// How it ended.
    pub end: End,
    /// When the program began, by the worker's clock.
    pub started_at: DateTime<Utc>,
    /// How long it ran.
    pub run_time: Duration,
}

/// What became of an attempt's end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It counts; the execution's state now.
    Recorded(State),
    /// The lease was lost, but no other result was there: it counts, and newer runs stop.
    RecordedLate(State),
    /// The lease was lost: it does not count.
    Refused,
}

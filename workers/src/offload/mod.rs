//! Has batches run by their model's provider: all requests of a batch are sent to the provider's
//! own batch endpoint, and its replies are put where the items look for them when they run.
//!
//! ```text
//!  sealed, held back ─▶ files ─▶ provider's batches ─▶ all over ─▶ journals ─▶ resumed
//! ```
//!
//! One worker at a time does this for a batch. It is a step of seconds, again and again, for as
//! long as the provider takes: no thread waits. What was sent is noted in the store before
//! anything else is done, and looked for at the provider where a worker may have died before it
//! could note it. The items themselves run as all do, and ask in the ordinary way for what the
//! provider did not answer.

mod facts;
mod file;
mod job;
mod name;
mod questions;
mod replies;

use std::{sync::Arc, time::Duration};

use dspy::LmError;
use futures::{StreamExt, stream::FuturesUnordered};
use queue::{BatchId, Channel, Delivery, ExecutionId, Ledger, Notice, Place, Recalled, Subject};
use tokio::time::{self, sleep};
use tracing::{info, warn};
use uuid::Uuid;

use self::job::Job;
use crate::{gateway::Refusal, shift::Shift};

/// How many batches one worker is at work for at once: each may hold a file in memory.
const AT_ONCE: usize = 2;

/// How often it is looked for batches that became due.
const LOOK: Duration = Duration::from_secs(2);

/// How long to leave a store alone that does not answer.
const OUTAGE_PAUSE: Duration = Duration::from_secs(5);

/// How long a notice is with a worker. A step may take longer: then others see that it is held.
const LEASE: Duration = Duration::from_secs(10);

/// How long the right to work for a batch lasts, unless it is renewed.
const HOLD: Duration = Duration::from_secs(8);
const RENEW_EVERY: Duration = Duration::from_secs(2);

/// By how much the pause before a look at a provider is longer than the one before, and the
/// longest.
const POLL_STEP: Duration = Duration::from_secs(1);
const POLL_LAST: Duration = Duration::from_secs(60);

/// The longest pause that a provider may ask for.
const WAIT_MAX: Duration = Duration::from_secs(15 * 60);

/// Why a step could not be made.
#[derive(Debug)]
enum Problem {
    /// The store does not answer.
    Store(queue::Error),
    /// The provider does not answer, or refuses.
    Provider(Refusal),
}

impl From<queue::Error> for Problem {
    fn from(error: queue::Error) -> Self {
        Self::Store(error)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::Provider(refusal)
    }
}

impl From<LmError> for Problem {
    fn from(error: LmError) -> Self {
        Self::Provider(error.into())
    }
}

/// Where a batch stands after a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Standing {
    /// Its provider is at work.
    Waiting,
    /// Nothing more is to be done.
    Done,
}

/// Works for as long as it is let.
pub(crate) async fn work(shift: Arc<Shift>) {
    let desk = Desk { shift };
    let mut steps = FuturesUnordered::new();
    let mut silent = false;
    loop {
        let mut pause = LOOK;
        let room = AT_ONCE - steps.len();
        match desk.take(room).await {
            Ok(notices) => {
                silent = false;
                steps.extend(notices.into_iter().map(|it| desk.step(it)));
            }
            Err(error) => {
                pause = OUTAGE_PAUSE;
                if !std::mem::replace(&mut silent, true) {
                    warn!(%error, "cannot look for batches of providers: {error}; trying again");
                }
            }
        }
        tokio::select! {
            Some(()) = steps.next(), if !steps.is_empty() => {}
            () = sleep(pause) => {}
        }
    }
}

/// Where the steps are made.
struct Desk {
    shift: Arc<Shift>,
}

impl Desk {
    async fn take(&self, room: usize) -> queue::Result<Vec<Notice>> {
        if room == 0 {
            return Ok(Vec::new());
        }
        self.shift.queue.take_notices(Channel::Provider, room, LEASE).await
    }

    /// Makes a step for a batch, and says when the next is due. What cannot be said is due again
    /// when the lease is over.
    async fn step(&self, notice: Notice) {
        let delivery = match notice.subject {
            Subject::Execution(_) => Delivery::Dropped,
            Subject::Batch(id) => self.hold(id, &notice).await,
        };
        if let Err(error) = self.shift.queue.delivered(&[(notice, delivery)]).await {
            warn!(%error, "cannot note how the batch of a provider stands: it is looked at again");
        }
    }

    /// Makes a step, if nobody else is at work for the batch.
    async fn hold(&self, id: BatchId, notice: &Notice) -> Delivery {
        let right = Right::of(self.shift.queue.as_ref(), id);
        match right.take().await {
            Ok(true) => {}
            Ok(false) => return Delivery::Later(LEASE),
            Err(_) => return Delivery::Later(OUTAGE_PAUSE),
        }
        let job = Job { shift: &self.shift, id, may_be_there: notice.taken > 0 };
        let done = tokio::select! {
            done = job.step() => Some(done),
            () = right.keep() => None,
        };
        right.give_up().await;
        match done {
            Some(Ok(Standing::Done)) => Delivery::Sent,
            Some(Ok(Standing::Waiting)) => Delivery::Later(pause(notice.taken)),
            Some(Err(problem)) => later(id, &problem, notice.taken),
            None => Delivery::Later(LEASE),
        }
    }
}

/// When to try again what could not be done.
fn later(id: BatchId, problem: &Problem, taken: u32) -> Delivery {
    match problem {
        Problem::Store(queue::Error::NotFound(_)) => {
            info!(%id, "a batch at its provider is gone");
            Delivery::Dropped
        }
        Problem::Store(error) => {
            warn!(%id, %error, "the batch at its provider waits for the store: {error}");
            Delivery::Later(OUTAGE_PAUSE)
        }
        Problem::Provider(Refusal { error, wait }) => {
            warn!(%id, "the batch's provider does not do as asked: {error}; trying again");
            let wait = wait.unwrap_or_default().min(WAIT_MAX);
            Delivery::Later(pause(taken).max(wait))
        }
    }
}

/// How long to wait before a batch is looked at again.
fn pause(taken: u32) -> Duration {
    POLL_STEP.saturating_mul(taken.saturating_add(1)).min(POLL_LAST)
}

/// The right to work for a batch, of one worker at a time.
struct Right<'a> {
    ledger: &'a dyn Ledger,
    place: Place,
    holder: String,
}

impl<'a> Right<'a> {
    fn of(ledger: &'a dyn Ledger, id: BatchId) -> Self {
        let execution: ExecutionId = id.whole();
        // Nothing is ever kept there: only the right is of use.
        let request = format!("at its provider {execution}");
        let place = Place { execution, generation: 0, request, occurrence: 0 };
        Self { ledger, place, holder: Uuid::new_v4().simple().to_string() }
    }

    /// Takes it, or takes it for longer; whether nobody else has it.
    async fn take(&self) -> queue::Result<bool> {
        let wanted = queue::Wanted {
            place: self.place.clone(),
            shared: true,
            holder: self.holder.clone(),
            hold: HOLD,
            budgets: Vec::new(),
        };
        match self.ledger.recall(&wanted).await? {
            Recalled::Yours => Ok(true),
            Recalled::Elsewhere | Recalled::Own(_) | Recalled::Shared(_) | Recalled::Spent(_) => {
                Ok(false)
            }
        }
    }

    /// Keeps it for as long as that is possible.
    async fn keep(&self) {
        let mut kept = time::Instant::now();
        loop {
            sleep(RENEW_EVERY).await;
            match self.take().await {
                Ok(true) => kept = time::Instant::now(),
                Ok(false) => return,
                Err(_) if kept.elapsed() > HOLD => return,
                Err(_) => {}
            }
        }
    }

    async fn give_up(&self) {
        // If it cannot be told, the right runs out by itself.
        drop(self.ledger.give_up(&self.place.request, &self.holder).await);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_become_rarer() {
        let pauses = [0, 1, 5, 60, u32::MAX].map(|taken| pause(taken).as_secs());
        assert_eq!(pauses, [1, 2, 6, 60, 60]);
    }
}

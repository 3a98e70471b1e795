//! A model and a store in step: executions and the clock.

use std::time::Duration;

use chrono::TimeDelta;
use proptest::test_runner::TestCaseError;
use queue::{BatchId, Error, Limits, NewExecution, State};

use super::{
    job::{Job, LeaseNumber},
    step::{Step, WORKERS},
    worker::{Life, Worker},
};
use crate::rig::{Rig, Store, ask, batch_of};

const JOBS_MAX: usize = 4;
const ITEMS: usize = 3;
const LATER_MILLIS: i64 = 2_070;
const DEADLINE_MILLIS: i64 = 5_030;

pub(crate) type Outcome<T = ()> = Result<T, TestCaseError>;

pub(crate) struct Drive {
    pub(crate) rig: Rig,
    pub(crate) limits: Limits,
    pub(crate) jobs: Vec<Job>,
    pub(crate) batch: Option<BatchId>,
    pub(crate) workers: [Worker; WORKERS],
    pub(crate) lives: Vec<Life>,
    pub(crate) paused: bool,
    pub(crate) leases: LeaseNumber,
}

/// Does the steps, then lets everything end.
pub(crate) async fn run(store: Store, late_results: bool, steps: &[Step]) -> Outcome {
    // One crash is enough, so that short runs see it.
    let limits = Limits { crashes_max: 1, late_results, ..Limits::default() };
    let mut drive = Drive {
        rig: store.open_with(limits.clone()).await,
        limits,
        jobs: Vec::new(),
        batch: None,
        workers: std::array::from_fn(|_| Worker::new()),
        lives: Vec::new(),
        paused: false,
        leases: 0,
    };
    for (number, step) in steps.iter().enumerate() {
        let context = |error| TestCaseError::fail(format!("step {number} {step:?}: {error}"));
        drive.step(*step).await.map_err(context)?;
        drive.compare().await.map_err(context)?;
    }
    drive.settle().await
}

pub(crate) fn check(holds: bool, what: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(TestCaseError::fail(what())) }
}

/// What the store says to a step that must not fail.
pub(crate) fn said<T>(answer: queue::Result<T>) -> Outcome<T> {
    answer.map_err(|error| TestCaseError::fail(error.to_string()))
}

impl Drive {
    pub(crate) fn now(&self) -> i64 {
        self.rig.now().timestamp_millis()
    }

    pub(crate) async fn step(&mut self, step: Step) -> Outcome {
        match step {
            Step::Submit { later, deadline } => self.submit(later, deadline).await,
            Step::SubmitBatch => self.submit_batch().await,
            Step::Claim { worker, slots } => self.claim(worker, slots).await,
            Step::Finish { worker, lease, how } => self.finish(worker, lease, how).await,
            Step::Beat { worker } => self.beat(worker).await,
            Step::Tick => self.tick().await,
            Step::Pass { millis } => {
                self.rig.pass(Duration::from_millis(millis.unsigned_abs()));
                Ok(())
            }
            Step::Cancel { job } => self.cancel(job).await,
            Step::CancelBatch => self.cancel_batch().await,
            Step::Retry { job } => self.retry(job).await,
            Step::RetryBatch => self.retry_batch().await,
            Step::Crash { worker } => {
                self.workers[worker] = Worker::new();
                Ok(())
            }
            Step::Pause => {
                self.paused = true;
                said(self.rig.queue.pause().await)
            }
            Step::Resume => {
                self.paused = false;
                said(self.rig.queue.resume().await)
            }
        }
    }

    async fn submit(&mut self, later: bool, deadline: bool) -> Outcome {
        if self.jobs.iter().filter(|job| job.id.item_of().is_none()).count() >= JOBS_MAX {
            return Ok(());
        }
        let now = self.rig.now();
        let at = |millis: i64| now + TimeDelta::milliseconds(millis);
        let mut new = NewExecution { not_before: later.then(|| at(LATER_MILLIS)), ..ask("?") };
        new.spec.deadline = deadline.then(|| at(DEADLINE_MILLIS));
        let state = if later { State::Scheduled } else { State::Queued };
        let deadline = deadline.then(|| self.now() + DEADLINE_MILLIS);
        self.jobs.push(Job::new(new.id, state, self.now() + LATER_MILLIS, deadline));
        let answer = said(self.rig.queue.submit(new).await)?;
        check(answer.state == state, || format!("{answer:?}"))
    }

    async fn submit_batch(&mut self) -> Outcome {
        if self.batch.is_some() {
            return Ok(());
        }
        let new = batch_of(ITEMS);
        let id = new.id;
        self.batch = Some(id);
        let items = (0..).take(ITEMS).map(|index| id.item(index));
        self.jobs.extend(items.map(|id| Job::new(id, State::Queued, 0, None)));
        let answer = said(self.rig.queue.submit_batch(new).await)?;
        check(answer.id == id && !answer.replayed, || format!("{answer:?}"))
    }

    async fn cancel(&mut self, pick: usize) -> Outcome {
        let Some(job) = pick.checked_rem(self.jobs.len()) else { return Ok(()) };
        let before = self.jobs[job].state;
        let answer = self.rig.queue.cancel(self.jobs[job].id).await;
        if self.expired_instead(job).await? {
            return Ok(());
        }
        let right = match before {
            State::Scheduled | State::Queued | State::Cancelled => {
                matches!(answer, Ok(State::Cancelled))
            }
            State::Running => matches!(answer, Ok(State::Running)),
            State::Succeeded | State::Failed | State::Expired => {
                matches!(answer, Err(Error::AlreadyEnded(state)) if state == before)
            }
        };
        self.call_off(job);
        check(right, || format!("{before} job: {answer:?}"))
    }

    async fn cancel_batch(&mut self) -> Outcome {
        let Some(id) = self.batch else { return Ok(()) };
        for job in 0..self.jobs.len() {
            if self.jobs[job].id.item_of().is_some() {
                self.call_off(job);
            }
        }
        said(self.rig.queue.cancel_batch(id).await)
    }

    fn call_off(&mut self, job: usize) {
        match self.jobs[job].state {
            State::Scheduled | State::Queued => self.jobs[job].end(State::Cancelled),
            State::Running if self.jobs[job].cancel_requested => {}
            State::Running => {
                self.jobs[job].cancel_requested = true;
                self.order_stop(job);
            }
            State::Succeeded | State::Failed | State::Cancelled | State::Expired => {}
        }
    }

    async fn retry(&mut self, pick: usize) -> Outcome {
        let Some(job) = pick.checked_rem(self.jobs.len()) else { return Ok(()) };
        let before = self.jobs[job].state;
        let may = before.is_terminal() && before != State::Succeeded;
        let answer = self.rig.queue.retry(self.jobs[job].id).await;
        if may {
            self.jobs[job].retried();
        }
        if self.expired_instead(job).await? {
            return Ok(());
        }
        let right = match &answer {
            Ok(state) => may && *state == State::Queued,
            Err(Error::AlreadyEnded(state)) => !may && *state == before,
            Err(_) => false,
        };
        check(right, || format!("{before} job: {answer:?}"))
    }

    async fn retry_batch(&mut self) -> Outcome {
        let Some(id) = self.batch else { return Ok(()) };
        let mut expected = 0;
        for job in self.jobs.iter_mut().filter(|job| job.id.item_of().is_some()) {
            if job.state.is_terminal() && job.state != State::Succeeded {
                job.retried();
                expected += 1;
            }
        }
        let count = said(self.rig.queue.retry_batch(id).await)?;
        check(count == expected, || format!("{count} items, not {expected}"))
    }

    pub(crate) async fn tick(&mut self) -> Outcome {
        self.rig.tick().await;
        let now = self.now();
        for job in 0..self.jobs.len() {
            let late = self.jobs[job].is_too_late(now);
            match self.jobs[job].state {
                State::Scheduled | State::Queued if late => self.jobs[job].end(State::Expired),
                // Its worker may end it first.
                State::Running if late => drop(self.expired_instead(job).await?),
                State::Scheduled
                | State::Queued
                | State::Running
                | State::Succeeded
                | State::Failed
                | State::Cancelled
                | State::Expired => {}
            }
        }
        self.rescue();
        self.jobs.iter_mut().for_each(|job| job.comes_due(now));
        Ok(())
    }

    /// Whether the store found that a deadline had passed, which it may at any time after it.
    pub(crate) async fn expired_instead(&mut self, job: usize) -> Outcome<bool> {
        let now = self.now();
        let job = &mut self.jobs[job];
        if job.deadline.is_none_or(|deadline| now < deadline) {
            return Ok(false);
        }
        let kept = said(self.rig.queue.execution(job.id).await)?;
        if kept.state == State::Expired {
            job.end(State::Expired);
            job.attempts = kept.attempts.len();
        }
        Ok(kept.state == State::Expired)
    }
}

//! Whether the store stands where the model stands, and gets to an end.

use std::time::Duration;

use queue::{BatchState, Ended, State, StatsFilter};

use super::{
    drive::{Drive, Outcome, check, said},
    step::How,
    worker::Worker,
};

/// Rounds in which everything must end when nothing more goes wrong.
const ROUNDS_MAX: usize = 40;
const MORE_THAN_A_LEASE: Duration = Duration::from_millis(4_700);

impl Drive {
    pub(crate) async fn compare(&mut self) -> Outcome {
        for job in 0..self.jobs.len() {
            self.compare_job(job).await?;
        }
        self.compare_depth().await?;
        self.compare_batch().await?;
        let violations = said(self.rig.queue.violations().await)?;
        check(violations.is_empty(), || format!("{violations:#?}"))
    }

    async fn compare_job(&mut self, index: usize) -> Outcome {
        self.expired_instead(index).await?;
        let job = &mut self.jobs[index];
        let kept = said(self.rig.queue.execution(job.id).await)?;
        if kept.state == State::Failed
            && job.state == State::Queued
            && job.may_be_spent(&self.limits)
        {
            job.end(State::Failed);
            job.attempts = kept.attempts.len();
        }
        let holder = job.holder.as_ref().map(|holder| &holder.1);
        let right = kept.state == job.state
            && kept.generation == job.generation
            && kept.attempts.len() == job.attempts
            && kept.cancel_requested == job.cancel_requested
            && (kept.report.is_none() || job.state.is_terminal())
            && (kept.report.is_some() || !matches!(job.state, State::Succeeded | State::Failed))
            && kept.finished_at.is_some() == job.state.is_terminal()
            && (holder.is_none() || kept.worker.as_ref() == holder);
        check(right, || format!("the model has {job:?}\nthe store has {kept:?}"))
    }

    async fn compare_depth(&self) -> Outcome {
        let depth = said(self.rig.queue.stats(&StatsFilter::default()).await)?.depth;
        let count = |state| self.jobs.iter().filter(|job| job.state == state).count() as u64;
        let expected = (count(State::Queued), count(State::Running), count(State::Scheduled));
        let found = (depth.queued, depth.running, depth.scheduled);
        check(found == expected, || format!("{depth:?}, not {expected:?}"))
    }

    async fn compare_batch(&self) -> Outcome {
        let Some(id) = self.batch else { return Ok(()) };
        let batch = said(self.rig.queue.batch(id).await)?;
        let mut ended = Ended::default();
        let items = self.jobs.iter().filter(|job| job.id.item_of().is_some());
        items.clone().for_each(|job| ended.add(job.state, 1));
        check(batch.ended == ended, || format!("{batch:?}, not {ended:?}"))?;
        let done = items.clone().all(|job| job.state.is_terminal());
        let is_done = matches!(batch.state, BatchState::Completed | BatchState::Cancelled);
        check(is_done == done, || format!("{batch:?}"))
    }

    /// Nothing more goes wrong: everything must end.
    pub(crate) async fn settle(&mut self) -> Outcome {
        self.paused = false;
        said(self.rig.queue.resume().await)?;
        self.workers = std::array::from_fn(|_| Worker::new());
        for _ in 0..ROUNDS_MAX {
            self.rig.pass(MORE_THAN_A_LEASE);
            self.tick().await?;
            self.compare().await?;
            if self.jobs.iter().all(|job| job.state.is_terminal()) {
                return Ok(());
            }
            self.claim(0, self.jobs.len()).await?;
            while !self.workers[0].held.is_empty() {
                self.finish(0, 0, How::Succeeded).await?;
            }
            self.compare().await?;
        }
        check(false, || format!("never ends: {:#?}", self.jobs))
    }
}

//! A model and a store in step: workers, their leases, and what becomes of them.

use std::time::Duration;

use queue::{End, State, Verdict, Want, WorkerId};

use super::{
    drive::{Drive, Outcome, check, said},
    job::{DELAY_MILLIS, Held, LeaseNumber},
    step::How,
};
use crate::rig::{failed, failure, info, succeeded};

/// A worker through all its incarnations. It keeps its leases when it is declared dead, and so
/// offers results late.
pub(crate) struct Worker {
    pub(crate) id: WorkerId,
    pub(crate) held: Vec<Held>,
    /// Leases that it must be told to stop.
    orders: Vec<LeaseNumber>,
}

/// An incarnation that the store knows.
pub(crate) struct Life {
    id: WorkerId,
    expires: i64,
    /// Whether its work was given to others, so that it must be told that it is dead.
    robbed: bool,
}

impl Worker {
    pub(crate) fn new() -> Self {
        Self { id: WorkerId::new("host", 1), held: Vec::new(), orders: Vec::new() }
    }
}

impl Drive {
    pub(crate) async fn claim(&mut self, worker: usize, slots: usize) -> Outcome {
        let id = self.workers[worker].id.clone();
        self.beat(worker).await?;
        if self.workers[worker].id != id {
            self.beat(worker).await?;
        }
        let id = self.workers[worker].id.clone();
        let suspect = !self.workers[worker].held.iter().any(|held| held.lease.task.suspect);
        let want = Want { slots, bulk: slots, suspect };
        let leases = said(self.rig.queue.claim(&id, want, Duration::ZERO).await)?;
        for job in 0..self.jobs.len() {
            self.expired_instead(job).await?;
        }
        let waits =
            self.jobs.iter().any(|it| it.state == State::Queued && it.suspect() == Some(false));
        check(!self.paused || leases.is_empty(), || "a paused queue gave work".to_owned())?;
        check(self.paused || !waits || !leases.is_empty(), || "nothing came".to_owned())?;
        for lease in leases {
            self.take(worker, lease)?;
        }
        Ok(())
    }

    fn take(&mut self, worker: usize, lease: queue::Lease) -> Outcome {
        let index = self.jobs.iter().position(|job| job.id == lease.task.id).unwrap();
        let (job, task) = (&mut self.jobs[index], &lease.task);
        let right = job.state == State::Queued
            && job.suspect().is_none_or(|it| it == task.suspect)
            && (job.generation, job.attempts) == (task.generation, task.attempts.len());
        check(right, || format!("{job:?} was given as {task:?}"))?;
        self.leases += 1;
        let (number, generation) = (self.leases, job.generation);
        job.claimed(number, self.workers[worker].id.clone());
        self.workers[worker].held.push(Held { lease, number, job: index, generation });
        Ok(())
    }

    pub(crate) async fn finish(&mut self, worker: usize, lease: usize, how: How) -> Outcome {
        let held = &mut self.workers[worker].held;
        let Some(lease) = lease.checked_rem(held.len()) else { return Ok(()) };
        let held = held.remove(lease);
        let (index, now) = (held.job, self.now());
        let late_counts = self.limits.late_results;
        let allowed = self.jobs[index].finish(&held, how, now, late_counts);
        let verdict = self.rig.finish(held.lease, end(how)).await;
        if self.expired_instead(index).await? {
            return Ok(());
        }
        check(allowed.contains(&verdict), || format!("{verdict:?}, not one of {allowed:?}"))?;
        match verdict {
            Verdict::RecordedLate(state) => {
                self.order_stop(index);
                self.jobs[index].finished_late(state);
            }
            Verdict::Recorded(_) | Verdict::Refused => {}
        }
        Ok(())
    }

    /// Whoever runs it now must be told to stop.
    pub(crate) fn order_stop(&mut self, job: usize) {
        let Some((lease, holder)) = &self.jobs[job].holder else { return };
        for worker in self.workers.iter_mut().filter(|worker| worker.id == *holder) {
            worker.orders.push(*lease);
        }
    }

    pub(crate) async fn beat(&mut self, index: usize) -> Outcome {
        let orders = said(self.rig.queue.beat(&info(&self.workers[index].id)).await)?;
        let now = self.now();
        let expires = now + i64::try_from(self.limits.lease.as_millis()).unwrap();
        let worker = &mut self.workers[index];
        let life = self.lives.iter_mut().find(|life| life.id == worker.id);
        if orders.declared_dead {
            let lapsed = life.is_some_and(|life| life.robbed || life.expires < now);
            check(lapsed, || "declared dead while it lived".to_owned())?;
            worker.id = WorkerId::new("host", 1);
            worker.orders.clear();
            return Ok(());
        }
        check(life.as_ref().is_none_or(|it| !it.robbed), || "not told that it is dead".to_owned())?;
        match life {
            Some(life) => life.expires = expires,
            None => self.lives.push(Life { id: worker.id.clone(), expires, robbed: false }),
        }
        check(orders.paused == self.paused, || format!("{orders:?}"))?;
        for held in &worker.held {
            let job = &self.jobs[held.job];
            let told = orders.cancel.contains(&job.id);
            let must = worker.orders.contains(&held.number);
            let runs = job.holder.as_ref().is_some_and(|it| it.0 == held.number);
            check(told || !must, || format!("not told to stop {job:?}"))?;
            check(!told || !runs || job.cancel_requested, || format!("told to stop {job:?}"))?;
        }
        worker.orders.clear();
        Ok(())
    }

    /// Takes back what every incarnation holds whose lease has lapsed.
    pub(crate) fn rescue(&mut self) {
        let now = self.now();
        for life in self.lives.iter_mut().filter(|life| life.expires < now) {
            for job in &mut self.jobs {
                if job.holder.as_ref().is_some_and(|(_, worker)| *worker == life.id) {
                    job.lost(&self.limits);
                    life.robbed = true;
                }
            }
        }
    }
}

fn end(how: How) -> End {
    let delay = Duration::from_millis(DELAY_MILLIS.unsigned_abs());
    match how {
        How::Succeeded => succeeded("yes"),
        How::Failed => failed("no"),
        How::Retry => End::Retry(failure("503"), delay),
        How::Throttled => End::Throttled(failure("429"), delay),
        How::Returned => End::Returned,
        How::Cancelled => End::Cancelled,
        How::Expired => End::Expired,
    }
}

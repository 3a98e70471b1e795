//! An execution as the model sees it.

use queue::{ExecutionId, Lease, Limits, State, Verdict, WorkerId};

use super::step::How;

/// The delay that a worker asks for before another attempt.
pub(crate) const DELAY_MILLIS: i64 = 2_050;

/// Names a lease: every claim of an execution makes another.
pub(crate) type LeaseNumber = usize;

/// A lease as the model sees it.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) lease: Lease,
    pub(crate) number: LeaseNumber,
    pub(crate) job: usize,
    pub(crate) generation: u32,
}

#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) id: ExecutionId,
    pub(crate) state: State,
    /// When it is due, while scheduled.
    pub(crate) due: i64,
    pub(crate) deadline: Option<i64>,
    /// Which lease runs it, and whose that is, while running.
    pub(crate) holder: Option<(LeaseNumber, WorkerId)>,
    pub(crate) generation: u32,
    pub(crate) attempts: usize,
    pub(crate) cancel_requested: bool,
    /// How often its worker was lost.
    losses: u32,
    /// Whether the losses alone say if it is a suspect. Not for items, where it hangs on how the
    /// chunk fared, and not after a worker that lived, which may clear the suspicion.
    losses_tell: bool,
}

impl Job {
    pub(crate) fn new(id: ExecutionId, state: State, due: i64, deadline: Option<i64>) -> Self {
        Self {
            id,
            state,
            due,
            deadline,
            holder: None,
            generation: 0,
            attempts: 0,
            cancel_requested: false,
            losses: 0,
            losses_tell: id.item_of().is_none(),
        }
    }

    /// Whether a worker must be told that it is a suspect; none if that is open.
    pub(crate) fn suspect(&self) -> Option<bool> {
        self.losses_tell.then_some(self.losses >= 2)
    }

    pub(crate) fn claimed(&mut self, lease: LeaseNumber, worker: WorkerId) {
        self.state = State::Running;
        self.holder = Some((lease, worker));
    }

    pub(crate) fn comes_due(&mut self, now: i64) {
        if self.state == State::Scheduled && self.due <= now {
            self.state = State::Queued;
        }
    }

    pub(crate) fn is_too_late(&self, now: i64) -> bool {
        !self.state.is_terminal() && self.deadline.is_some_and(|deadline| deadline <= now)
    }

    pub(crate) fn end(&mut self, state: State) {
        self.state = state;
        self.holder = None;
        self.cancel_requested = false;
    }

    /// What may become of a lease's end.
    pub(crate) fn finish(
        &mut self,
        lease: &Held,
        how: How,
        now: i64,
        late_counts: bool,
    ) -> Vec<Verdict> {
        if self.holder.as_ref().is_some_and(|holder| holder.0 == lease.number) {
            return vec![self.finish_in_time(how, now)];
        }
        let open = !self.state.is_terminal() && self.generation == lease.generation;
        if how != How::Succeeded || !open || !late_counts {
            return vec![Verdict::Refused];
        }
        if self.cancel_requested {
            // A result that was paid for, or the wish to have none: both are answers.
            let late = [State::Succeeded, State::Cancelled].map(Verdict::RecordedLate);
            return [&late[..], &[Verdict::Refused]].concat();
        }
        vec![Verdict::RecordedLate(State::Succeeded)]
    }

    fn finish_in_time(&mut self, how: How, now: i64) -> Verdict {
        let state = match how {
            How::Succeeded => State::Succeeded,
            How::Failed => State::Failed,
            How::Retry | How::Throttled => State::Scheduled,
            How::Returned => State::Queued,
            How::Cancelled => State::Cancelled,
            How::Expired => State::Expired,
        };
        let state = if self.cancel_requested { State::Cancelled } else { state };
        let counts = matches!(how, How::Succeeded | How::Failed | How::Retry);
        self.attempts += usize::from(counts && !self.cancel_requested);
        self.due = now + DELAY_MILLIS;
        self.end(state);
        self.losses_tell &= self.losses == 0;
        Verdict::Recorded(state)
    }

    /// A result of a worker that had lost it was taken after all.
    pub(crate) fn finished_late(&mut self, state: State) {
        self.attempts += usize::from(state == State::Succeeded);
        self.end(state);
    }

    /// Its worker was declared dead.
    pub(crate) fn lost(&mut self, limits: &Limits) {
        self.losses += 1;
        let spent = self.losses_tell && self.losses >= 2 + limits.crashes_max;
        let state = match (self.cancel_requested, spent) {
            (true, _) => State::Cancelled,
            (false, true) => State::Failed,
            (false, false) => State::Queued,
        };
        self.end(state);
    }

    /// Whether the store may have failed it as lost too often, where the model does not know.
    pub(crate) fn may_be_spent(&self, limits: &Limits) -> bool {
        !self.losses_tell && self.losses >= limits.crashes_max
    }

    pub(crate) fn retried(&mut self) {
        self.end(State::Queued);
        self.generation += 1;
        self.losses_tell &= self.losses == 0;
    }
}

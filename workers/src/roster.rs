//! Who runs now, and how to tell them to stop.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use queue::ExecutionId;
use tokio::sync::oneshot;

/// Why a running execution has to stop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stop {
    /// Someone called it off, or another's result of it counts.
    Cancelled,
    /// The worker stops.
    Returned,
}

/// The executions that run now. One may be in it twice: begun under a lease that was lost since,
/// and once more under a new one.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    seats: Mutex<HashMap<u64, (ExecutionId, oneshot::Sender<Stop>)>>,
    next: AtomicU64,
}

/// An entry of the roster; struck off when dropped.
pub(crate) struct Seat<'a> {
    roster: &'a Roster,
    number: u64,
}

impl Roster {
    /// Enters an execution; the other end hears when it has to stop.
    pub(crate) fn enter(&self, id: ExecutionId) -> (Seat<'_>, oneshot::Receiver<Stop>) {
        let (stop, stopped) = oneshot::channel();
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.seats().insert(number, (id, stop));
        (Seat { roster: self, number }, stopped)
    }

    /// Stops some executions.
    pub(crate) fn stop(&self, ids: &[ExecutionId], why: Stop) {
        if !ids.is_empty() {
            self.stop_if(|id| ids.contains(id), why);
        }
    }

    /// Stops all executions.
    pub(crate) fn stop_all(&self, why: Stop) {
        self.stop_if(|_| true, why);
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.seats().len()
    }

    fn stop_if(&self, meant: impl Fn(&ExecutionId) -> bool, why: Stop) {
        for (_, (_, stop)) in self.seats().extract_if(|_, (id, _)| meant(id)) {
            // One that ended this moment does not listen any more.
            let _ended = stop.send(why);
        }
    }

    fn seats(&self) -> MutexGuard<'_, HashMap<u64, (ExecutionId, oneshot::Sender<Stop>)>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.roster.seats().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_is_meant_is_told_to_stop() {
        let roster = Roster::default();
        let (one, other) = (ExecutionId::new(), ExecutionId::new());
        let ((_a, mut first), (_b, mut second)) = (roster.enter(one), roster.enter(one));
        let (_c, mut third) = roster.enter(other);

        roster.stop(&[one], Stop::Cancelled);

        assert_eq!([first.try_recv(), second.try_recv()], [Ok(Stop::Cancelled); 2]);
        assert!(third.try_recv().is_err());
        roster.stop_all(Stop::Returned);
        assert_eq!(third.try_recv(), Ok(Stop::Returned));
    }

    #[test]
    fn who_leaves_is_struck_off() {
        let roster = Roster::default();
        let (seat, _stopped) = roster.enter(ExecutionId::new());
        assert_eq!(roster.count(), 1);

        drop(seat);

        assert_eq!(roster.count(), 0);
    }
}

//! Who runs now, and how to tell them to stop.

use std::{
    collections::{HashMap, HashSet},
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
    seats: Mutex<Seats>,
    next: AtomicU64,
}

#[derive(Debug, Default)]
struct Seats {
    taken: HashMap<u64, (ExecutionId, oneshot::Sender<Stop>)>,
    /// Who was called off before it came, as one of a chunk that waits for a slot.
    called_off: HashSet<ExecutionId>,
}

/// How many are remembered that were called off before they came: some chunks' worth.
const CALLED_OFF_MAX: usize = 4096;

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
        let mut seats = self.seats();
        if seats.called_off.remove(&id) {
            let _heard = stop.send(Stop::Cancelled);
        } else {
            seats.taken.insert(number, (id, stop));
        }
        drop(seats);
        (Seat { roster: self, number }, stopped)
    }

    /// Calls executions off: those that run, and those that are still to come.
    pub(crate) fn call_off(&self, ids: &[ExecutionId]) {
        if ids.is_empty() {
            return;
        }
        let mut to_come: HashSet<ExecutionId> = ids.iter().copied().collect();
        for id in self.stop_if(|id| ids.contains(id), Stop::Cancelled) {
            to_come.remove(&id);
        }
        let called_off = &mut self.seats().called_off;
        if called_off.len() + to_come.len() > CALLED_OFF_MAX {
            called_off.clear();
        }
        called_off.extend(to_come);
    }

    /// Forgets who was called off before it came: nobody is to come any more, and a later claim may
    /// bring a new generation of the same.
    pub(crate) fn forget_called_off(&self) {
        self.seats().called_off.clear();
    }

    /// Stops all executions.
    pub(crate) fn stop_all(&self, why: Stop) {
        drop(self.stop_if(|_| true, why));
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.seats().taken.len()
    }

    fn stop_if(&self, meant: impl Fn(&ExecutionId) -> bool, why: Stop) -> Vec<ExecutionId> {
        let mut seats = self.seats();
        let stopped = seats.taken.extract_if(|_, (id, _)| meant(id)).map(|(_, (id, stop))| {
            // One that ended this moment does not listen any more.
            let _ended = stop.send(why);
            id
        });
        stopped.collect()
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.roster.seats().taken.remove(&self.number);
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

        roster.call_off(&[one]);

        assert_eq!(first.try_recv(), Ok(Stop::Cancelled));
        assert_eq!(second.try_recv(), Ok(Stop::Cancelled));
        assert!(third.try_recv().is_err());
        roster.stop_all(Stop::Returned);
        assert_eq!(third.try_recv(), Ok(Stop::Returned));
    }

    #[test]
    fn who_was_called_off_before_it_came_hears_it_at_once() {
        let roster = Roster::default();
        let (late, other) = (ExecutionId::new(), ExecutionId::new());

        roster.call_off(&[late]);

        let (_a, mut first) = roster.enter(late);
        let ((_b, mut again), (_c, mut third)) = (roster.enter(late), roster.enter(other));
        assert_eq!(first.try_recv(), Ok(Stop::Cancelled));
        assert!(again.try_recv().is_err() && third.try_recv().is_err());
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

//! What is told in the process once a step is committed: work arrived, an execution ended.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use crate::ExecutionId;

/// The most executions that are waited for by name; more are asked for again and again.
const WATCHED_MAX: usize = 65_536;

/// The most executions that are known to be under way; of more, it is looked at each.
const OPEN_MAX: usize = 65_536;

#[derive(Default)]
pub(super) struct Signals {
    work: Notify,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    watched: HashMap<ExecutionId, Arc<Notify>>,
    /// Accepted by this process, and not ended.
    open: HashSet<ExecutionId>,
}

/// Someone waits for an execution to end. Dropping it forgets so.
pub(super) struct Watch {
    id: ExecutionId,
    notify: Arc<Notify>,
    signals: Arc<Signals>,
}

impl Signals {
    /// Wakes all that wait for work.
    pub(super) fn arrived(&self) {
        self.work.notify_waiters();
    }

    pub(super) fn work(&self) -> &Notify {
        &self.work
    }

    /// Notes what was accepted and has yet to run.
    pub(super) fn accepted(&self, ids: Vec<ExecutionId>) {
        if ids.is_empty() {
            return;
        }
        let mut known = self.known();
        let room = OPEN_MAX.saturating_sub(known.open.len());
        known.open.extend(ids.into_iter().take(room));
    }

    /// Wakes all that wait for one of these.
    pub(super) fn ended(&self, ids: &[ExecutionId]) {
        let mut known = self.known();
        if known.watched.is_empty() && known.open.is_empty() {
            return;
        }
        for id in ids {
            known.open.remove(id);
            if let Some(notify) = known.watched.get(id) {
                notify.notify_waiters();
            }
        }
    }

    /// Whether an execution is known not to have ended: there is nothing to look at.
    pub(super) fn is_open(&self, id: ExecutionId) -> bool {
        self.known().open.contains(&id)
    }

    /// How many executions are waited for.
    pub(super) fn waiting(&self) -> usize {
        self.known().watched.len()
    }

    /// Begins to wait for an execution; none if too many are waited for.
    pub(super) fn watch(self: &Arc<Self>, id: ExecutionId) -> Option<Watch> {
        let watched = &mut self.known().watched;
        if watched.len() >= WATCHED_MAX && !watched.contains_key(&id) {
            return None;
        }
        let notify = Arc::clone(watched.entry(id).or_default());
        Some(Watch { id, notify, signals: Arc::clone(self) })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch {
    pub(super) fn notify(&self) -> &Notify {
        &self.notify
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let watched = &mut self.signals.known().watched;
        // two: the map's and this one
        if Arc::strong_count(&self.notify) <= 2 {
            watched.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_accepted_is_open_until_it_ends() {
        let signals = Arc::new(Signals::default());
        let (one, other) = (ExecutionId::new(), ExecutionId::new());

        signals.accepted(vec![one]);

        assert!(signals.is_open(one) && !signals.is_open(other));
        signals.ended(&[one, other]);
        assert!(!signals.is_open(one));
    }

    #[test]
    fn more_than_can_be_known_are_looked_at() {
        let signals = Signals::default();
        let ids: Vec<ExecutionId> = (0..=OPEN_MAX).map(|_| ExecutionId::new()).collect();

        signals.accepted(ids.clone());

        assert_eq!(ids.iter().filter(|it| signals.is_open(**it)).count(), OPEN_MAX);
        signals.ended(&ids[..1]);
        signals.accepted(vec![ids[OPEN_MAX]]);
        assert!(signals.is_open(ids[OPEN_MAX]));
    }

    #[test]
    fn who_waits_is_counted_until_it_goes() {
        let signals = Arc::new(Signals::default());
        let id = ExecutionId::new();

        let (first, second) = (signals.watch(id), signals.watch(ExecutionId::new()));

        assert_eq!(signals.waiting(), 2);
        drop((first, second));
        assert_eq!(signals.waiting(), 0);
    }
}

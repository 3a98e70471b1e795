//! What is told in the process once a step is committed: work arrived, an execution ended.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::Notify;

use crate::ExecutionId;

/// The most executions that are waited for by name; more are asked for again and again.
const WATCHED_MAX: usize = 65_536;

#[derive(Default)]
pub(super) struct Signals {
    work: Notify,
    watched: Mutex<HashMap<ExecutionId, Arc<Notify>>>,
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

    /// Wakes all that wait for one of these.
    pub(super) fn ended(&self, ids: &[ExecutionId]) {
        let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if watched.is_empty() {
            return;
        }
        for id in ids {
            if let Some(notify) = watched.get(id) {
                notify.notify_waiters();
            }
        }
    }

    /// Begins to wait for an execution; none if too many are waited for.
    pub(super) fn watch(self: &Arc<Self>, id: ExecutionId) -> Option<Watch> {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if watched.len() >= WATCHED_MAX && !watched.contains_key(&id) {
            return None;
        }
        let notify = Arc::clone(watched.entry(id).or_default());
        Some(Watch { id, notify, signals: Arc::clone(self) })
    }
}

impl Watch {
    pub(super) fn notify(&self) -> &Notify {
        &self.notify
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut watched = self.signals.watched.lock().unwrap_or_else(PoisonError::into_inner);
        // two: the map's and this one
        if Arc::strong_count(&self.notify) <= 2 {
            watched.remove(&self.id);
        }
    }
}

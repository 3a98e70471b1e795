//! What time it is for a store.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

/// The clock that decides leases and due times.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The store's own: of the Redis server, or of the machine that the SQLite file is on.
    #[default]
    Store,
    /// One that a test turns by hand: milliseconds since the epoch.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The time that a test has set; none if the store is to ask its own clock.
    pub(crate) fn manual(&self) -> Option<i64> {
        match self {
            Clock::Store => None,
            Clock::Manual(millis) => Some(millis.load(Ordering::SeqCst)),
        }
    }
}

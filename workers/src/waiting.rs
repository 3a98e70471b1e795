//! Leases that came in one piece with others, and wait for a slot: at most one chunk.

use std::collections::VecDeque;

use queue::{Class, Lease};

/// Leases that wait for a slot.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    urgent: VecDeque<Lease>,
    bulk: VecDeque<Lease>,
}

impl Waiting {
    /// Takes leases in.
    pub(crate) fn extend(&mut self, leases: Vec<Lease>) {
        for lease in leases {
            let line = if is_bulk(&lease) { &mut self.bulk } else { &mut self.urgent };
            line.push_back(lease);
        }
    }

    /// The next to start; one of bulk work only if it may take a slot.
    pub(crate) fn next(&mut self, bulk: bool) -> Option<Lease> {
        self.urgent.pop_front().or_else(|| self.bulk.pop_front_if(|_| bulk))
    }

    /// Gives up all that wait.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = Lease> + use<> {
        std::mem::take(&mut self.urgent).into_iter().chain(std::mem::take(&mut self.bulk))
    }

    pub(crate) fn len(&self) -> usize {
        self.urgent.len() + self.bulk.len()
    }
}

/// Whether it may not take a worker's last slots.
pub(crate) fn is_bulk(lease: &Lease) -> bool {
    match lease.task.spec.class {
        Class::Bulk => true,
        Class::Interactive | Class::Normal => false,
    }
}

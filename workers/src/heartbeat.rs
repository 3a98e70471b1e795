//! Shows once a second that the worker lives, and carries out the orders that come back.

use std::sync::Arc;

use queue::Orders;
use tokio::{
    sync::watch,
    time::{self, Instant},
};
use tracing::{info, warn};

use crate::shift::Shift;

/// Beats are made so many times per lease.
const BEATS_PER_LEASE: u32 = 3;

/// Beats for as long as it is let. `epochs` hears of each new epoch.
pub(crate) async fn beat(shift: Arc<Shift>, epochs: watch::Sender<u64>) {
    let lease = shift.config.lease;
    let mut heard = Heard { at: Instant::now(), silent: false };
    loop {
        let began = Instant::now();
        let renewed = match time::timeout(lease, shift.queue.beat(&shift.info())).await {
            Ok(Ok(orders)) => {
                heard.well(began);
                shift.heed(&orders, &epochs)
            }
            Ok(Err(error)) => {
                heard.nothing(&shift, &error.to_string());
                false
            }
            Err(_) => {
                heard.nothing(&shift, "it does not answer");
                false
            }
        };
        // A new name is made known at once: until then the worker may claim nothing.
        let pause = if renewed { lease / 30 } else { lease / BEATS_PER_LEASE };
        time::sleep_until(began + pause).await;
    }
}

/// When the store last heard of the worker.
struct Heard {
    at: Instant,
    silent: bool,
}

impl Heard {
    fn well(&mut self, at: Instant) {
        if std::mem::take(&mut self.silent) {
            info!("the store can be reached again");
        }
        self.at = at;
    }

    /// Stops claiming once others may think the worker dead. Says so once an outage.
    fn nothing(&mut self, shift: &Shift, why: &str) {
        shift.metrics.beat_errors.add(1);
        if !std::mem::replace(&mut self.silent, true) {
            warn!("the store does not hear of this worker: {why}");
        }
        if self.at.elapsed() > shift.config.lease {
            shift.standing.send_if_modified(|it| std::mem::take(&mut it.open));
        }
    }
}

impl Shift {
    /// Carries out what the store ordered; whether the worker took a new name.
    fn heed(&self, orders: &Orders, epochs: &watch::Sender<u64>) -> bool {
        let Orders { cancel, paused, declared_dead, epoch } = orders;
        self.roster.call_off(cancel);
        epochs.send_if_modified(|known| std::mem::replace(known, *epoch) != *epoch);
        if *declared_dead {
            // What runs goes on: it is paid for, and its result may still count.
            warn!("others were told that this worker is dead; it goes on under a new name");
            self.metrics.declared_dead.add(1);
            self.take_new_name();
            return true;
        }
        let open = !paused;
        let changed =
            self.standing.send_if_modified(|it| std::mem::replace(&mut it.open, open) != open);
        if changed && *paused {
            info!("the queue is paused: claiming nothing");
        }
        false
    }
}

//! This worker's share of the fleet's housekeeping: what is due, what the dead held, what is late.

use std::{sync::Arc, time::Duration};

use queue::Tick;
use rand::Rng;
use tokio::time::{self, Instant};
use tracing::{debug, info, warn};

use crate::shift::Shift;

/// The longest time between two rounds. A dead worker's executions wait for its lease and for one
/// round of somebody's.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// The shortest: what is due in less is due now.
const PAUSE_MIN: Duration = Duration::from_millis(1);

/// How long one round may take before it counts as failed.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Keeps house for as long as it is let.
pub(crate) async fn keep(shift: Arc<Shift>) {
    let mut silent = false;
    loop {
        let began = Instant::now();
        let round = time::timeout(TIMEOUT, shift.queue.tick()).await;
        let problem = match &round {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("the store does not answer".to_owned()),
        };
        let tick = round.ok().and_then(Result::ok);
        tell(tick.as_ref(), problem.as_deref(), &mut silent);
        let regular = PAUSE_MAX.mul_f64(rand::rng().random_range(0.9..1.0));
        let pause = pause(tick.as_ref(), regular);
        tokio::select! {
            () = time::sleep_until(began + pause) => {}
            () = shift.alarm.ring() => {}
        }
    }
}

/// How long to wait before the next round.
fn pause(tick: Option<&Tick>, regular: Duration) -> Duration {
    match tick {
        Some(Tick { more: true, .. }) => Duration::ZERO,
        Some(Tick { next_due: Some(due), .. }) => (*due).clamp(PAUSE_MIN, regular),
        Some(_) | None => regular,
    }
}

/// Says what was done; of an outage, once.
fn tell(tick: Option<&Tick>, problem: Option<&str>, silent: &mut bool) {
    match (tick, problem) {
        (Some(tick), _) => {
            *silent = false;
            if tick.rescued > 0 {
                info!(rescued = tick.rescued, "took executions back from workers that are gone");
            }
            debug!(promoted = tick.promoted, expired = tick.expired, "kept house");
        }
        (None, problem) => {
            if !std::mem::replace(silent, true) {
                warn!("cannot keep house: {}", problem.unwrap_or("unknown"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_ends_when_something_is_due_or_more_is_to_do() {
        let second = Duration::from_secs(1);
        let due =
            |millis| Tick { next_due: Some(Duration::from_millis(millis)), ..Tick::default() };
        assert_eq!(pause(Some(&Tick { more: true, ..due(500) }), second), Duration::ZERO);
        assert_eq!(pause(Some(&due(300)), second).as_millis(), 300);
        assert_eq!(pause(Some(&due(0)), second), PAUSE_MIN);
        assert_eq!(pause(Some(&due(5000)), second), second);
        assert_eq!(pause(Some(&Tick::default()), second), second);
        assert_eq!(pause(None, second), second);
    }
}

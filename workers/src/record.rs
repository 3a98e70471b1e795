//! Records how an execution ended, and counts it.

use std::{sync::Arc, time::Duration};

use chrono::Utc;
use queue::{End, Ending, Lease, Verdict};
use tracing::{debug, error};

use crate::{Counter, Metrics, shift::Shift};

/// Hands an end to the store, which goes on trying while it cannot be reached: the result is paid
/// for. The execution's slot is held until the store has it, so no more results than slots wait.
pub(crate) async fn record(shift: &Shift, ending: Ending, incarnation: u64) {
    let metrics = &shift.metrics;
    let succeeded = matches!(ending.end, End::Succeeded(_));
    if !succeeded && !shift.is_current(incarnation) {
        // Others have it by now. Only a result is of use to them.
        metrics.refused.add(1);
        return;
    }
    let delay = match &ending.end {
        End::Retry(_, delay) | End::Throttled(_, delay) => Some(*delay),
        End::Succeeded(_) | End::Failed(_) | End::Returned | End::Cancelled | End::Expired => None,
    };
    let counter = counter(metrics, &ending.end);
    let (id, spec) = (ending.lease.task.id, Arc::clone(&ending.lease.task.spec));
    match shift.queue.finish(ending).await {
        Ok(Verdict::Recorded(state)) => {
            debug!(%id, %state, "recorded");
            counter.add(1);
            if state.is_terminal() {
                shift.bells.ring(id, &spec);
            }
            if let Some(delay) = delay {
                shift.alarm.set(delay);
            }
        }
        Ok(Verdict::RecordedLate(state)) => {
            debug!(%id, %state, "recorded late");
            counter.add(1);
            metrics.late.add(1);
        }
        Ok(Verdict::Refused) => {
            debug!(%id, "refused: another worker has it by now");
            metrics.refused.add(1);
        }
        Err(error) => {
            error!(%id, %error, "cannot record a result");
            metrics.abandoned.add(1);
        }
    }
}

fn counter<'a>(metrics: &'a Metrics, end: &End) -> &'a Counter {
    match end {
        End::Succeeded(_) => &metrics.succeeded,
        End::Failed(_) => &metrics.failed,
        End::Retry(..) => &metrics.retried,
        End::Throttled(..) => &metrics.throttled,
        End::Returned => &metrics.returned,
        End::Cancelled => &metrics.cancelled,
        End::Expired => &metrics.expired,
    }
}

/// Gives an execution back that has not begun.
pub(crate) async fn give_back(shift: Arc<Shift>, lease: Lease, incarnation: u64) {
    let ending =
        Ending { lease, end: End::Returned, started_at: Utc::now(), run_time: Duration::ZERO };
    record(&shift, ending, incarnation).await;
}

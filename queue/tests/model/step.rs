//! What can be done to a queue.

use proptest::{collection, prelude::*};

/// How many workers there are.
pub(crate) const WORKERS: usize = 2;

/// A thing done. Numbers pick among what there is when it is done.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Submit { later: bool, deadline: bool },
    SubmitBatch,
    Claim { worker: usize, slots: usize },
    Finish { worker: usize, lease: usize, how: How },
    Beat { worker: usize },
    Tick,
    Pass { millis: i64 },
    Cancel { job: usize },
    CancelBatch,
    Retry { job: usize },
    RetryBatch,
    Crash { worker: usize },
    Pause,
    Resume,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum How {
    Succeeded,
    Failed,
    Retry,
    Throttled,
    Returned,
    Cancelled,
    Expired,
}

/// Less than a lease, and more. No sums of these, and of delays and deadlines, are equal, so that
/// nothing hangs on whether a bound counts as before or after.
const PASSES: [i64; 2] = [1_100, 4_700];

pub(crate) fn steps(max: usize) -> impl Strategy<Value = Vec<Step>> {
    collection::vec(step(), 1..max)
}

fn step() -> impl Strategy<Value = Step> {
    let worker = 0..WORKERS;
    let pick = 0..8_usize;
    let how = prop_oneof![
        4 => Just(How::Succeeded),
        2 => Just(How::Failed),
        2 => Just(How::Retry),
        1 => Just(How::Throttled),
        1 => Just(How::Returned),
        1 => Just(How::Cancelled),
        1 => Just(How::Expired),
    ];
    prop_oneof![
        4 => (prop::bool::weighted(0.2), prop::bool::weighted(0.2))
            .prop_map(|(later, deadline)| Step::Submit { later, deadline }),
        1 => Just(Step::SubmitBatch),
        8 => (worker.clone(), 1..4_usize)
            .prop_map(|(worker, slots)| Step::Claim { worker, slots }),
        8 => (worker.clone(), pick.clone(), how)
            .prop_map(|(worker, lease, how)| Step::Finish { worker, lease, how }),
        3 => worker.clone().prop_map(|worker| Step::Beat { worker }),
        5 => Just(Step::Tick),
        5 => prop::sample::select(&PASSES[..]).prop_map(|millis| Step::Pass { millis }),
        2 => pick.clone().prop_map(|job| Step::Cancel { job }),
        1 => Just(Step::CancelBatch),
        2 => pick.prop_map(|job| Step::Retry { job }),
        1 => Just(Step::RetryBatch),
        1 => worker.prop_map(|worker| Step::Crash { worker }),
        1 => Just(Step::Pause),
        1 => Just(Step::Resume),
    ]
}

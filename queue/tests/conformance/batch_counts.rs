//! What a batch counts of items that end at the same time.

use std::time::Duration;

use futures::future::join_all;
use queue::{BatchState, Ended, Lease, State, Verdict, Which};

use crate::{
    batch::{batch, submit, take},
    rig::{Rig, Store, batch_of, failed, succeeded},
};

/// How much longer each item ran than the last. All are quick, so that chunks end in one piece.
const LONGER: Duration = Duration::from_micros(500);

/// Ends items all at the same time: every fifth fails.
async fn end_together(rig: &Rig, leases: Vec<Lease>) -> Vec<Verdict> {
    let end = |n: u32| if n.is_multiple_of(5) { failed("no") } else { succeeded("yes") };
    let finish = |(n, lease)| rig.finish_after(lease, end(n), LONGER * (n + 1));
    join_all((0..).zip(leases).map(finish)).await
}

pub(crate) async fn items_that_end_together_count_each(store: Store) -> Rig {
    let rig = store.open().await;
    let id = submit(&rig, batch_of(100)).await;
    let worker = rig.worker().await;
    let leases = take(&rig, &worker, 100).await;

    let verdicts = end_together(&rig, leases).await;

    let state = |n: u32| if n.is_multiple_of(5) { State::Failed } else { State::Succeeded };
    let expected: Vec<_> = (0..100).map(|n| Verdict::Recorded(state(n))).collect();
    assert_eq!(verdicts, expected);
    let ended = Ended { succeeded: 80, failed: 20, ..Ended::default() };
    let done = batch(&rig, id).await;
    assert_eq!((done.state, done.ended), (BatchState::Completed, ended));
    let stats = rig.queue.stats(&queue::StatsFilter::default()).await.unwrap();
    assert_eq!((stats.ended, stats.depth.dead), (ended, 20));
    let times = stats.durations;
    assert_eq!((times.count(), times.sum), (100, LONGER * (100 * 101 / 2)));
    let (low, high) = (LONGER, LONGER * 100);
    assert_eq!((times.min, times.max), (Some(low), Some(high)));
    let page = rig.queue.batch_results(id, 0, 100, Which::All).await.unwrap();
    let runs: Vec<_> = page.items.iter().map(|it| (it.state, it.run_time)).collect();
    let run = |n: u32| (state(n), Some(LONGER * (n + 1)));
    assert_eq!(runs, (0..100).map(run).collect::<Vec<_>>());
    rig
}

pub(crate) async fn items_called_off_end_so_among_others(store: Store) -> Rig {
    let rig = store.open().await;
    let id = submit(&rig, batch_of(64)).await;
    let worker = rig.worker().await;
    let leases = take(&rig, &worker, 64).await;
    rig.queue.cancel(id.item(7)).await.unwrap();

    let verdicts = end_together(&rig, leases).await;

    assert_eq!(verdicts[7], Verdict::Recorded(State::Cancelled));
    assert_eq!(verdicts[8], Verdict::Recorded(State::Succeeded));
    let ended = Ended { succeeded: 50, failed: 13, cancelled: 1, ..Ended::default() };
    assert_eq!(batch(&rig, id).await.ended, ended);
    rig
}

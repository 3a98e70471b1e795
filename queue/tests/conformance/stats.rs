//! What is counted.

use std::time::Duration;

use chrono::TimeDelta;
use queue::{CacheKey, Depth, End, Ended, NewExecution, Stats, StatsFilter};

use crate::rig::{
    LEASE_AND_MORE, Rig, Store, ask, batch_of, failed, failure, ids, info, succeeded,
};

async fn stats(rig: &Rig) -> Stats {
    rig.queue.stats(&StatsFilter::default()).await.unwrap()
}

pub(crate) async fn counters_are_sums_of_what_ended(store: Store) -> Rig {
    let rig = store.open().await;
    let worker = rig.worker().await;
    let ends = [
        succeeded("y"),
        succeeded("y"),
        failed("n"),
        End::Cancelled,
        End::Expired,
        End::Retry(failure("503"), Duration::from_secs(60)),
        End::Throttled(failure("429"), Duration::from_secs(60)),
        End::Returned,
    ];
    for end in ends {
        let mut new = ask("?");
        let returned = end == End::Returned;
        if returned { "last" } else { "qa" }.clone_into(&mut new.spec.program);
        rig.submit(new).await;
        let lease = rig.claim_one(&worker).await;
        rig.finish(lease, end).await;
    }

    let counted = stats(&rig).await;

    assert_eq!(counted.ended, Ended { succeeded: 2, failed: 1, cancelled: 1, expired: 1 });
    assert_eq!((counted.retries, counted.durations.count()), (1, 3));
    rig
}

pub(crate) async fn percentiles_are_within_two_percent(store: Store) -> Rig {
    let rig = store.open().await;
    let worker = rig.worker().await;
    rig.submit_many(200, "alice").await;
    for (n, lease) in (1..).zip(rig.claim_all(&worker, 200).await) {
        rig.finish_after(lease, succeeded("y"), Duration::from_micros(n * n * 37)).await;
    }

    let durations = stats(&rig).await.durations;

    for (share, rank) in [(0.5, 100_u64), (0.95, 190), (0.99, 198)] {
        let exact = (rank * rank * 37) as f64 / 1e6;
        let found = durations.quantile(share).unwrap().as_secs_f64();
        assert!((found / exact - 1.0).abs() < 0.02, "{share}: {found}, exactly {exact}");
    }
    assert_eq!(durations.min, Some(Duration::from_micros(37)));
    assert_eq!(durations.max, Some(Duration::from_millis(1480)));
    let sum = (1..=200_u64).map(|n| n * n * 37).sum();
    assert_eq!(durations.sum, Duration::from_micros(sum));
    rig
}

pub(crate) async fn program_and_window_pick(store: Store) -> Rig {
    let rig = store.open().await;
    let run = async |program: &str| {
        let worker = rig.worker().await;
        let mut new = ask("?");
        new.spec.program = program.to_owned();
        rig.submit(new).await;
        let lease = rig.claim_one(&worker).await;
        rig.finish(lease, succeeded("y")).await;
    };
    run("qa").await;
    run("other").await;
    rig.pass(Duration::from_secs(30 * 60));
    run("qa").await;
    let count = async |program: Option<&str>, window: Option<u64>| {
        let program = program.map(str::to_owned);
        let filter = StatsFilter { program, window: window.map(Duration::from_secs) };
        let found = rig.queue.stats(&filter).await.unwrap();
        assert_eq!(found.ended.succeeded, found.durations.count());
        found.ended.succeeded
    };

    assert_eq!(count(None, None).await, 3);
    assert_eq!(count(Some("qa"), None).await, 2);
    assert_eq!(count(Some("none"), None).await, 0);
    assert_eq!(count(None, Some(600)).await, 1);
    assert_eq!(count(None, Some(3600)).await, 3);
    assert_eq!(count(Some("other"), Some(600)).await, 0);
    assert_eq!(count(Some("other"), Some(3600)).await, 1);
    rig
}

pub(crate) async fn depth_counts_what_waits(store: Store) -> Rig {
    let rig = store.open().await;
    let worker = rig.worker().await;
    rig.submit_many(3, "alice").await;
    let not_before = Some(rig.now() + TimeDelta::seconds(60));
    rig.submit(NewExecution { not_before, ..ask("later") }).await;
    let first = rig.claim_one(&worker).await;
    let batch = rig.queue.submit_batch(batch_of(70)).await.unwrap().id;
    rig.pass(Duration::from_secs(2));

    let depth = stats(&rig).await.depth;
    let expected =
        Depth { queued: 72, running: 1, scheduled: 1, dead: 0, oldest_age: depth.oldest_age };
    assert_eq!(depth, expected);
    assert!(depth.oldest_age.is_some_and(|age| age >= Duration::from_secs(2)), "{depth:?}");
    rig.finish(first, failed("no")).await;
    let singles = rig.claim_all(&worker, 2).await;
    let chunk = rig.claim(&worker, 1).await;
    assert_eq!((singles.len(), chunk.len()), (2, 64));
    let depth = stats(&rig).await.depth;
    assert_eq!((depth.queued, depth.running, depth.scheduled, depth.dead), (6, 66, 1, 1));
    rig.queue.cancel_batch(batch).await.unwrap();
    assert_eq!(stats(&rig).await.depth.queued, 0);
    rig
}

pub(crate) async fn workers_are_the_live_ones(store: Store) -> Rig {
    let rig = store.open().await;
    let _dead = rig.worker().await;
    rig.pass(LEASE_AND_MORE);
    let live = rig.worker().await;
    let told = queue::WorkerInfo { running: 3, ..info(&live) };
    rig.queue.beat(&told).await.unwrap();

    let workers = stats(&rig).await.workers;

    assert_eq!(workers.len(), 1);
    assert_eq!((&workers[0].id, workers[0].running, workers[0].slots), (&live, 3, 4));
    rig
}

pub(crate) async fn cache_hits_have_no_duration(store: Store) -> Rig {
    let rig = store.open().await;
    let worker = rig.worker().await;
    let cached = || {
        let ttl = Duration::from_secs(60);
        NewExecution { cache: Some(CacheKey { fingerprint: "f".to_owned(), ttl }), ..ask("?") }
    };
    let first = rig.submit(cached()).await;
    let leases = rig.claim(&worker, 1).await;
    assert_eq!(ids(&leases), [first]);
    for lease in leases {
        rig.finish(lease, succeeded("y")).await;
    }
    rig.submit(cached()).await;

    let counted = stats(&rig).await;

    assert_eq!((counted.ended.succeeded, counted.durations.count()), (2, 1));
    rig
}

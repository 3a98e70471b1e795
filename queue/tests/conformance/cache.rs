//! Results that stand for others.

use std::time::Duration;

use queue::{CacheKey, ExecutionId, Limits, Mode, NewExecution, State, StatsFilter};
use testkit::until_true;

use crate::rig::{Rig, SOON, Store, ask, batch_of, failed, fields, succeeded};

const HOUR: Duration = Duration::from_secs(3600);

fn cached(fingerprint: &str) -> NewExecution {
    let cache = Some(CacheKey { fingerprint: fingerprint.to_owned(), ttl: HOUR });
    NewExecution { cache, ..ask("?") }
}

/// Runs one to its end, so that its result is known.
async fn run(rig: &Rig, new: NewExecution, end: queue::End) -> ExecutionId {
    let worker = rig.worker().await;
    let id = rig.submit(new).await;
    let lease = rig.claim_one(&worker).await;
    rig.finish(lease, end).await;
    id
}

async fn answers(rig: &Rig, new: NewExecution) -> bool {
    let answer = rig.queue.submit(new).await.unwrap();
    rig.queue.cancel(answer.id).await.ok();
    answer.state == State::Succeeded
}

pub(crate) async fn equal_execution_is_answered(store: Store) -> Rig {
    let rig = store.open().await;
    let first = run(&rig, cached("f"), succeeded("yes")).await;

    let answer = rig.queue.submit(cached("f")).await.unwrap();

    assert!(answer.id != first && !answer.replayed);
    assert_eq!(answer.state, State::Succeeded);
    let execution = rig.execution(answer.id).await;
    assert!(execution.cache_hit && !rig.execution(first).await.cache_hit);
    assert_eq!(execution.report.unwrap().outputs, Some(fields("answer", "yes")));
    assert_eq!(execution.finished_at, Some(rig.now()));
    let stats = rig.queue.stats(&StatsFilter::default()).await.unwrap();
    assert_eq!((stats.cache_hits, stats.cache_misses, stats.ended.succeeded), (1, 1, 2));
    rig
}

pub(crate) async fn another_execution_is_not_answered(store: Store) -> Rig {
    let rig = store.open().await;
    run(&rig, cached("f"), succeeded("yes")).await;

    assert!(!answers(&rig, cached("g")).await);
    assert!(!answers(&rig, ask("?")).await);
    rig
}

pub(crate) async fn failure_is_not_cached(store: Store) -> Rig {
    let rig = store.open().await;
    run(&rig, cached("f"), failed("no")).await;

    assert!(!answers(&rig, cached("f")).await);
    rig
}

pub(crate) async fn debug_run_is_not_cached(store: Store) -> Rig {
    let rig = store.open().await;
    let mut debug = cached("f");
    debug.spec.mode = Mode::Debug;
    run(&rig, debug, succeeded("yes")).await;

    assert!(!answers(&rig, cached("f")).await);
    rig
}

pub(crate) async fn old_result_is_not_given(store: Store) -> Rig {
    let rig = store.open_by_own_clock(Limits::default()).await;
    let ttl = Duration::from_millis(200);
    let short = || {
        let cache = Some(CacheKey { fingerprint: "f".to_owned(), ttl });
        NewExecution { cache, ..ask("?") }
    };
    run(&rig, short(), succeeded("yes")).await;

    until_true("the result is too old", SOON, async || !answers(&rig, short()).await).await;
    rig
}

pub(crate) async fn cleared_cache_answers_nothing(store: Store) -> Rig {
    let rig = store.open().await;
    run(&rig, cached("f"), succeeded("yes")).await;
    run(&rig, cached("g"), succeeded("yes")).await;

    assert_eq!(rig.queue.clear_cache(None).await.unwrap(), 2);

    assert!(!answers(&rig, cached("f")).await);
    assert_eq!(rig.queue.clear_cache(None).await.unwrap(), 0);
    rig
}

pub(crate) async fn cache_of_one_program_is_cleared(store: Store) -> Rig {
    let rig = store.open().await;
    let of_other = || {
        let mut new = cached("g");
        "other".clone_into(&mut new.spec.program);
        new
    };
    run(&rig, cached("f"), succeeded("yes")).await;
    run(&rig, of_other(), succeeded("yes")).await;

    assert_eq!(rig.queue.clear_cache(Some("qa")).await.unwrap(), 1);

    assert!(!answers(&rig, cached("f")).await);
    assert!(answers(&rig, of_other()).await);
    rig
}

pub(crate) async fn equal_item_of_a_batch_is_answered(store: Store) -> Rig {
    let rig = store.open().await;
    run(&rig, cached("f"), succeeded("yes")).await;
    let mut new = batch_of(3);
    new.cache_ttl = Some(HOUR);
    new.items[1].fingerprint = Some("f".to_owned());
    new.items[2].fingerprint = Some("g".to_owned());

    let id = rig.queue.submit_batch(new).await.unwrap().id;

    let item = rig.execution(id.item(1)).await;
    assert_eq!((item.state, item.cache_hit), (State::Succeeded, true));
    assert_eq!(item.report.unwrap().outputs, Some(fields("answer", "yes")));
    let worker = rig.worker().await;
    for lease in rig.claim(&worker, 9).await {
        assert_ne!(lease.task.id, id.item(1));
        rig.finish(lease, succeeded("ran")).await;
    }
    assert_eq!(rig.queue.batch(id).await.unwrap().ended.succeeded, 3);
    assert!(answers(&rig, cached("g")).await, "an item's result is cached");
    rig
}

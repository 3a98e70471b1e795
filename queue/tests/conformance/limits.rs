//! How much a store takes.

use std::time::Duration;

use queue::{CHUNK_ITEMS, End, Error, Limits, Release, State};
use testkit::until_true;

use crate::{
    rig::{Rig, SOON, Store, ask, asked_by, batch_of, failed, succeeded},
    uploads::add,
};

fn is_full<T: std::fmt::Debug>(answer: &queue::Result<T>) -> bool {
    matches!(answer, Err(Error::Full { retry_after, .. }) if *retry_after > Duration::ZERO)
}

pub(crate) async fn full_queue_refuses(store: Store) -> Rig {
    let rig = store.open_with(Limits { waiting_max: 3, ..Limits::default() }).await;
    rig.submit_many(2, "alice").await;
    rig.submit(asked_by("bob", "?")).await;

    let answer = rig.queue.submit(asked_by("carol", "?")).await;

    assert!(is_full(&answer), "{answer:?}");
    rig
}

pub(crate) async fn full_owner_is_refused_alone(store: Store) -> Rig {
    let rig = store.open_with(Limits { waiting_per_owner_max: 2, ..Limits::default() }).await;
    rig.submit_many(2, "alice").await;

    let answer = rig.queue.submit(ask("?")).await;

    assert!(is_full(&answer), "{answer:?}");
    rig.submit(asked_by("bob", "?")).await;
    rig
}

pub(crate) async fn batch_too_big_is_refused_whole(store: Store) -> Rig {
    let rig = store.open_with(Limits { waiting_max: 100, ..Limits::default() }).await;
    let batch = batch_of(101);
    let id = batch.id;

    let answer = rig.queue.submit_batch(batch).await;

    assert!(is_full(&answer), "{answer:?}");
    assert!(matches!(rig.queue.batch(id).await, Err(Error::NotFound(_))));
    let worker = rig.worker().await;
    assert!(rig.claim(&worker, 9).await.is_empty());
    rig
}

pub(crate) async fn items_of_batches_that_run_make_no_room(store: Store) -> Rig {
    let limits = Limits { waiting_max: 10, ..Limits::default() };
    let rig = store.open_with(limits).await;
    let id = rig.queue.open_batch(batch_of(0), Release::PartByPart).await.unwrap().id;
    add(&rig, id, 0, 3 * CHUNK_ITEMS).await;
    let worker = rig.worker().await;
    let mut running = rig.claim_all(&worker, 2 * CHUNK_ITEMS).await;
    assert_eq!(running.len(), 2 * CHUNK_ITEMS);

    rig.submit_many(10, "alice").await;

    assert!(is_full(&rig.queue.submit(ask("?")).await));
    rig.check().await;
    rig.finish(running.remove(0), End::Returned).await;
    rig.finish(running.remove(0), succeeded("yes")).await;
    rig.queue.cancel_batch(id).await.unwrap();
    rig.lose(&worker).await;
    assert!(is_full(&rig.queue.submit(ask("?")).await));
    rig
}

pub(crate) async fn room_comes_back(store: Store) -> Rig {
    let limits = Limits { waiting_max: 3, waiting_per_owner_max: 3, ..Limits::default() };
    let rig = store.open_with(limits).await;
    let worker = rig.worker().await;

    for _ in 0..5 {
        let submitted = rig.submit_many(3, "alice").await;
        assert!(is_full(&rig.queue.submit(ask("?")).await));
        rig.queue.cancel(submitted[1]).await.unwrap();
        for lease in rig.claim_all(&worker, 2).await {
            rig.finish(lease, succeeded("yes")).await;
        }
    }
    rig
}

pub(crate) async fn dead_list_is_bounded(store: Store) -> Rig {
    let rig = store.open_with(Limits { dead_max: 2, ..Limits::default() }).await;
    let worker = rig.worker().await;
    let submitted = rig.submit_many(4, "alice").await;
    for lease in rig.claim_all(&worker, 4).await {
        rig.pass(Duration::from_millis(5));
        rig.finish(lease, failed("no")).await;
    }
    rig.tick().await;

    let dead = rig.queue.dead(None, None, 9).await.unwrap().items;

    assert_eq!(dead.iter().map(|it| it.id).collect::<Vec<_>>(), submitted[2..]);
    assert_eq!(rig.state(submitted[0]).await, State::Failed);
    rig
}

pub(crate) async fn old_results_are_forgotten(store: Store) -> Rig {
    let limits = Limits { result_ttl: Duration::from_millis(300), ..Limits::default() };
    let rig = store.open_by_own_clock(limits).await;
    let worker = rig.worker().await;
    let submitted = rig.submit_many(2, "alice").await;
    let batch = rig.queue.submit_batch(batch_of(2)).await.unwrap().id;
    for lease in rig.claim_all(&worker, 4).await.into_iter().filter(|it| it.task.id != submitted[1])
    {
        rig.finish(lease, succeeded("yes")).await;
    }

    until_true("what has ended is forgotten", SOON, async || {
        rig.queue.tick().await.unwrap();
        matches!(rig.queue.execution(submitted[0]).await, Err(Error::NotFound(_)))
            && matches!(rig.queue.batch(batch).await, Err(Error::NotFound(_)))
    })
    .await;

    assert!(!rig.state(submitted[1]).await.is_terminal());
    rig
}

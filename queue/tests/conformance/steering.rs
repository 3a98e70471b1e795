//! Batches that are paused, bounded, and given up.

use std::{collections::HashSet, time::Duration};

use queue::{BatchId, BatchState, End, Error, NewBatch, Part, Policy, Release, Want};

use crate::{
    rig::{Rig, SOON, Store, batch_of, failed, ids, succeeded, want},
    uploads::{end_all, index},
};

pub(crate) async fn paused_batch_gives_nothing(store: Store) -> Rig {
    let rig = store.open().await;
    let worker = rig.worker().await;
    let id = rig.queue.submit_batch(batch_of(130)).await.unwrap().id;
    let other = rig.queue.submit_batch(batch_of(2)).await.unwrap().id;
    let mut leases = rig.claim(&worker, 1).await;
    assert_eq!(leases.len(), 64);
    let (back, retried) = (leases.remove(0), leases.remove(0));

    rig.queue.pause_batch(id).await.unwrap();
    rig.finish(back, End::Returned).await;
    rig.finish(retried, End::Retry(crate::rig::failure("again"), Duration::ZERO)).await;
    for lease in leases {
        rig.finish(lease, succeeded("yes")).await;
    }
    let others = rig.claim_all(&worker, 200).await;
    rig.check().await;

    assert_eq!(ids(&others), [other.item(0), other.item(1)]);
    assert_eq!(rig.queue.batch(id).await.unwrap().state, BatchState::Paused);
    rig.queue.resume_batch(id).await.unwrap();
    assert_eq!(rig.claim_all(&worker, 200).await.len(), 68);
    rig
}

pub(crate) async fn paused_batch_can_be_called_off(store: Store) -> Rig {
    let rig = store.open().await;
    let id = rig.queue.submit_batch(batch_of(70)).await.unwrap().id;
    rig.queue.pause_batch(id).await.unwrap();

    rig.queue.cancel_batch(id).await.unwrap();
    rig.tick().await;

    let done = rig.queue.batch(id).await.unwrap();
    assert_eq!((done.state, done.ended.cancelled), (BatchState::Cancelled, 70));
    rig
}

/// A batch all of whose items are suspects: each ran when two workers were lost.
async fn suspects(rig: &Rig, new: NewBatch) -> BatchId {
    let id = rig.queue.submit_batch(new).await.unwrap().id;
    let no_suspect = Want { suspect: false, ..want(9) };
    loop {
        let worker = rig.worker().await;
        if rig.queue.claim(&worker, no_suspect, Duration::ZERO).await.unwrap().is_empty() {
            return id;
        }
        rig.lose(&worker).await;
    }
}

pub(crate) async fn paused_batch_gives_no_suspects(store: Store) -> Rig {
    let rig = store.open().await;
    let id = suspects(&rig, batch_of(3)).await;
    let other = suspects(&rig, batch_of(1)).await;
    let (worker, heir) = (rig.worker().await, rig.worker().await);

    rig.queue.pause_batch(id).await.unwrap();
    let others = rig.claim_all(&worker, 9).await;
    rig.check().await;

    assert_eq!(ids(&others), [other.item(0)]);
    rig.queue.resume_batch(id).await.unwrap();
    rig.check().await;
    for index in 0..3 {
        let lease = rig.claim_one(&heir).await;
        assert_eq!((lease.task.id, lease.task.suspect), (id.item(index), true));
        rig.finish(lease, succeeded("yes")).await;
    }
    assert_eq!(rig.queue.batch(id).await.unwrap().state, BatchState::Completed);
    rig
}

pub(crate) async fn suspects_of_a_paused_batch_can_be_called_off(store: Store) -> Rig {
    let rig = store.open().await;
    let id = suspects(&rig, batch_of(3)).await;
    rig.queue.pause_batch(id).await.unwrap();
    let worker = rig.worker().await;
    assert!(rig.claim(&worker, 9).await.is_empty());

    rig.queue.cancel_batch(id).await.unwrap();
    rig.tick().await;

    let done = rig.queue.batch(id).await.unwrap();
    assert_eq!((done.state, done.ended.cancelled), (BatchState::Cancelled, 3));
    rig
}

pub(crate) async fn suspects_count_among_what_may_run_at_once(store: Store) -> Rig {
    let rig = store.open().await;
    suspects(&rig, bounded(3, 1)).await;
    let (worker, other) = (rig.worker().await, rig.worker().await);

    for _ in 0..3 {
        let lease = rig.claim_one(&worker).await;
        assert!(lease.task.suspect);
        assert!(rig.claim(&other, 9).await.is_empty());
        rig.check().await;
        rig.finish(lease, succeeded("yes")).await;
    }

    rig
}

fn bounded(count: usize, concurrency: u32) -> NewBatch {
    let policy = Policy { concurrency: Some(concurrency), ..Policy::default() };
    NewBatch { policy, ..batch_of(count) }
}

pub(crate) async fn no_more_runs_at_once_than_may(store: Store) -> Rig {
    let rig = store.open().await;
    let workers = [rig.worker().await, rig.worker().await];
    let id = rig.queue.submit_batch(bounded(200, 20)).await.unwrap().id;

    let (mut running, mut seen) = (Vec::new(), HashSet::new());
    for turn in 0..2000 {
        let leases = rig.claim(&workers[turn % 2], 30).await;
        for lease in &leases {
            assert!(seen.insert(index(lease)), "{} came twice", lease.task.id);
        }
        running.extend(leases);
        assert!(running.len() <= 20, "{} run", running.len());
        if turn % 50 == 0 {
            rig.check().await;
        }
        // one comes back now and then: it must not come on top of what may run
        if let Some(lease) = running.pop() {
            if turn % 9 == 0 {
                seen.remove(&index(&lease));
                rig.finish(lease, End::Returned).await;
            } else {
                rig.finish(lease, succeeded("yes")).await;
            }
        }
        if seen.len() == 200 && running.is_empty() {
            break;
        }
    }

    let done = rig.queue.batch(id).await.unwrap();
    assert_eq!((done.state, done.ended.succeeded), (BatchState::Completed, 200));
    assert_eq!(done.policy.concurrency, Some(20));
    rig
}

pub(crate) async fn bounded_batch_wakes_a_worker_when_there_is_room(store: Store) -> Rig {
    let rig = store.open().await;
    let worker = rig.worker().await;
    rig.queue.submit_batch(bounded(5, 1)).await.unwrap();
    let running = rig.claim(&worker, 9).await;
    assert_eq!(running.len(), 1);

    let (queue, waiting) = (rig.queue.clone(), worker.clone());
    let claim = tokio::spawn(async move { queue.claim(&waiting, want(9), SOON).await.unwrap() });
    for lease in running {
        rig.finish(lease, succeeded("yes")).await;
    }

    assert_eq!(claim.await.unwrap().len(), 1);
    rig
}

pub(crate) async fn too_many_failures_call_the_rest_off(store: Store) -> Rig {
    let rig = store.open().await;
    let worker = rig.worker().await;
    let policy = Policy { errors_max: Some(2), ..Policy::default() };
    let id = rig.queue.submit_batch(NewBatch { policy, ..batch_of(300) }).await.unwrap().id;
    let mut leases = rig.claim(&worker, 64).await;

    for _ in 0..2 {
        rig.finish(leases.remove(0), failed("no")).await;
    }
    rig.tick().await;
    assert_eq!(rig.queue.batch(id).await.unwrap().state, BatchState::InProgress);
    rig.finish(leases.remove(0), failed("no")).await;
    rig.tick().await;
    assert!(!rig.beat(&worker).await.cancel.is_empty(), "what runs is told to stop");
    for lease in leases {
        rig.finish(lease, succeeded("late")).await;
    }
    rig.tick().await;

    let done = rig.queue.batch(id).await.unwrap();
    assert_eq!((done.state, done.ended.failed), (BatchState::Cancelled, 3));
    assert_eq!(done.ended.cancelled, 297);
    assert_eq!(rig.queue.retry_batch(id).await.unwrap(), 300);
    assert_eq!(end_all(&rig, &worker, 300).await.len(), 300);
    assert_eq!(rig.queue.batch(id).await.unwrap().state, BatchState::Completed);
    rig
}

pub(crate) async fn open_batch_whose_only_items_fail_is_over(store: Store) -> Rig {
    let rig = store.open().await;
    let policy = Policy { errors_max: Some(0), ..Policy::default() };
    let new = NewBatch { policy, ..batch_of(0) };
    let id = rig.queue.open_batch(new, Release::PartByPart).await.unwrap().id;
    let mut items = batch_of(1).items;
    items[0].invalid = Some(crate::rig::failure("no"));

    let part = Part { first: 0, items, digest: String::new() };
    assert_eq!(rig.queue.add_part(id, part).await.unwrap(), 1);
    rig.tick().await;

    let done = rig.queue.batch(id).await.unwrap();
    assert_eq!((done.state, done.ended.failed), (BatchState::Cancelled, 1));
    assert!(done.finished_at.is_some());
    let more = Part { first: 1, items: batch_of(1).items, digest: String::new() };
    let refused = rig.queue.add_part(id, more).await;
    assert!(matches!(refused, Err(Error::Sealed { received: 1 })), "{refused:?}");
    rig.pass(queue::Limits::default().result_ttl + Duration::from_secs(1));
    rig.tick().await;
    assert!(matches!(rig.queue.batch(id).await, Err(Error::NotFound(_))), "forgotten in time");
    rig
}

pub(crate) async fn budget_can_be_raised(store: Store) -> Rig {
    let rig = store.open().await;
    let worker = rig.worker().await;
    let mut new = batch_of(65);
    new.spec.allowance.batch_micros = Some(7);
    let id = rig.queue.submit_batch(new).await.unwrap().id;

    rig.queue.set_batch_budget(id, Some(9)).await.unwrap();

    let lease = rig.claim(&worker, 1).await.remove(0);
    assert_eq!(lease.task.spec.allowance.batch_micros, Some(9));
    let missing = rig.queue.set_batch_budget(BatchId::new(), None).await;
    assert!(matches!(missing, Err(Error::NotFound(_))), "{missing:?}");
    rig
}

//! The items of a batch with workers that die, freeze, and ask again.

use std::{
    collections::{BTreeSet, HashSet},
    time::Duration,
};

use queue::{BatchState, CHUNK_ITEMS, End, FailureKind, Lease, State, Verdict, WorkerId};

use crate::{
    batch::{submit, take},
    rig::{Rig, Store, batch_of, failed, failure, fields, ids, succeeded},
};

/// What a worker gets and then loses.
async fn take_and_lose(rig: &Rig) -> Vec<Lease> {
    let worker = rig.worker().await;
    let leases = rig.claim(&worker, 4).await;
    rig.lose(&worker).await;
    leases
}

/// Claims and finishes until nothing comes; gives how many came in each claim, and all indexes.
async fn run_out(rig: &Rig, worker: &WorkerId) -> (Vec<usize>, Vec<u32>) {
    let (mut sizes, mut indexes) = (Vec::new(), Vec::new());
    for _ in 0..1000 {
        let leases = rig.claim(worker, 4).await;
        if leases.is_empty() {
            break;
        }
        sizes.push(leases.len());
        for lease in leases {
            indexes.push(lease.task.id.item_of().unwrap().1);
            rig.finish(lease, succeeded("yes")).await;
        }
    }
    indexes.sort_unstable();
    (sizes, indexes)
}

pub(crate) async fn chunk_comes_whole_and_alone(store: Store) -> Rig {
    let rig = store.open().await;
    let id = rig.queue.submit_batch(batch_of(CHUNK_ITEMS + 36)).await.unwrap().id;
    let worker = rig.worker().await;

    let first = rig.claim(&worker, 2).await;
    let second = rig.claim(&worker, 200).await;

    assert_eq!((first.len(), second.len()), (CHUNK_ITEMS, 36));
    assert!(first.iter().all(Lease::is_item_of_chunk));
    let all: BTreeSet<_> = ids(&first).into_iter().chain(ids(&second)).collect();
    assert_eq!(all, (0..100).map(|n| id.item(n)).collect());
    assert!(rig.claim(&worker, 200).await.is_empty());
    rig
}

pub(crate) async fn items_retry_by_themselves(store: Store) -> Rig {
    let rig = store.open().await;
    let id = rig.queue.submit_batch(batch_of(3)).await.unwrap().id;
    let worker = rig.worker().await;
    for lease in rig.claim(&worker, 4).await {
        let again = lease.task.id == id.item(1);
        let end = if again {
            End::Retry(failure("503"), Duration::from_secs(1))
        } else {
            succeeded("yes")
        };
        rig.finish(lease, end).await;
    }

    assert_eq!(rig.state(id.item(1)).await, State::Scheduled);
    assert_eq!(rig.queue.batch(id).await.unwrap().state, BatchState::InProgress);
    assert!(rig.claim(&worker, 4).await.is_empty());
    rig.pass(Duration::from_secs(1));
    assert_eq!(rig.tick().await.promoted, 1);
    assert_eq!(rig.state(id.item(1)).await, State::Queued);
    let mut leases = rig.claim(&worker, 4).await;
    assert_eq!((ids(&leases), leases[0].task.attempts_used()), (vec![id.item(1)], 1));
    rig.finish(leases.remove(0), succeeded("now")).await;
    let item = rig.execution(id.item(1)).await;
    assert_eq!((item.state, item.attempts.len()), (State::Succeeded, 2));
    assert_eq!(rig.queue.batch(id).await.unwrap().ended.succeeded, 3);
    rig
}

pub(crate) async fn throttled_item_waits_its_delay(store: Store) -> Rig {
    let rig = store.open().await;
    let id = rig.queue.submit_batch(batch_of(1)).await.unwrap().id;
    let worker = rig.worker().await;
    let lease = rig.claim_one(&worker).await;

    rig.finish(lease, End::Throttled(failure("429"), Duration::from_secs(1))).await;

    assert_eq!(rig.state(id.item(0)).await, State::Scheduled);
    assert_eq!(rig.tick().await.next_due, Some(Duration::from_secs(1)));
    rig.pass(Duration::from_secs(1));
    rig.tick().await;
    assert_eq!(rig.claim_one(&worker).await.task.attempts_used(), 0);
    rig
}

pub(crate) async fn returned_items_come_again(store: Store) -> Rig {
    let rig = store.open().await;
    let id = rig.queue.submit_batch(batch_of(20)).await.unwrap().id;
    let worker = rig.worker().await;
    for (n, lease) in rig.claim(&worker, 4).await.into_iter().enumerate() {
        let end = if n < 5 { succeeded("yes") } else { End::Returned };
        let state = if n < 5 { State::Succeeded } else { State::Queued };
        assert_eq!(rig.finish(lease, end).await, Verdict::Recorded(state));
    }

    let (_, indexes) = run_out(&rig, &worker).await;

    assert_eq!(indexes.len(), 15);
    let done = rig.queue.batch(id).await.unwrap();
    assert_eq!((done.state, done.ended.succeeded), (BatchState::Completed, 20));
    rig
}

pub(crate) async fn lost_chunk_gives_what_is_left_of_it(store: Store) -> Rig {
    let rig = store.open().await;
    let id = rig.queue.submit_batch(batch_of(CHUNK_ITEMS)).await.unwrap().id;
    let dead = rig.worker().await;
    let mut leases = rig.claim(&dead, 4).await;
    leases.sort_by_key(|it| it.task.id);
    let mut late = leases.split_off(10);
    for lease in leases {
        rig.finish(lease, succeeded("yes")).await;
    }
    rig.lose(&dead).await;

    assert_eq!(rig.queue.batch(id).await.unwrap().ended.succeeded, 10);
    assert_eq!(rig.state(id.item(10)).await, State::Queued);
    let heir = rig.worker().await;
    let (sizes, indexes) = run_out(&rig, &heir).await;

    assert_eq!((sizes, indexes), (vec![54], (10..64).collect()));
    let done = rig.queue.batch(id).await.unwrap();
    assert_eq!((done.state, done.ended.succeeded), (BatchState::Completed, 64));
    assert_eq!(rig.finish(late.remove(0), succeeded("late")).await, Verdict::Refused);
    assert!(rig.execution(id.item(20)).await.attempts.len() == 1, "a loss uses no attempt");
    rig
}

pub(crate) async fn chunk_lost_twice_comes_item_by_item(store: Store) -> Rig {
    let rig = store.open().await;
    let id = rig.queue.submit_batch(batch_of(20)).await.unwrap().id;
    assert_eq!(take_and_lose(&rig).await.len(), 20);
    assert_eq!(take_and_lose(&rig).await.len(), 20);

    let heir = rig.worker().await;
    let (sizes, indexes) = run_out(&rig, &heir).await;

    assert!(sizes.iter().all(|it| *it <= 4), "{sizes:?}");
    assert_eq!(indexes, (0..20).collect::<Vec<u32>>());
    assert_eq!(rig.queue.batch(id).await.unwrap().state, BatchState::Completed);
    rig
}

pub(crate) async fn item_that_kills_its_workers_fails_alone(store: Store) -> Rig {
    let rig = store.open().await;
    let id = rig.queue.submit_batch(batch_of(5)).await.unwrap().id;

    // The item with index 2 takes every worker with it.
    for _ in 0..30 {
        let worker = rig.worker().await;
        let leases = rig.claim(&worker, 4).await;
        if leases.is_empty() {
            break;
        }
        if leases.iter().any(|it| it.task.id == id.item(2)) {
            rig.lose(&worker).await;
        } else {
            for lease in leases {
                rig.finish(lease, succeeded("yes")).await;
            }
            rig.queue.retire(&worker).await.unwrap();
        }
    }

    let done = rig.queue.batch(id).await.unwrap();
    assert_eq!(
        (done.state, done.ended.succeeded, done.ended.failed),
        (BatchState::Completed, 4, 1)
    );
    let item = rig.execution(id.item(2)).await;
    assert_eq!(item.report.unwrap().failure.unwrap().kind, FailureKind::WorkerLost);
    rig
}

pub(crate) async fn late_item_is_recorded_once(store: Store) -> Rig {
    let rig = store.open().await;
    let id = rig.queue.submit_batch(batch_of(2)).await.unwrap().id;
    let mut late = take_and_lose(&rig).await;
    late.sort_by_key(|it| it.task.id);
    let heir = rig.worker().await;
    let mut newer = rig.claim(&heir, 4).await;
    newer.sort_by_key(|it| it.task.id);
    assert_eq!(newer.len(), 2);

    let verdict = rig.finish(late.remove(0), succeeded("late")).await;

    assert_eq!(verdict, Verdict::RecordedLate(State::Succeeded));
    assert_eq!(rig.beat(&heir).await.cancel, [id.item(0)]);
    assert_eq!(rig.finish(newer.remove(0), succeeded("newer")).await, Verdict::Refused);
    let first = rig.finish(newer.remove(0), failed("no")).await;
    assert_eq!(first, Verdict::Recorded(State::Failed));
    assert_eq!(rig.finish(late.remove(0), succeeded("too late")).await, Verdict::Refused);
    let item = rig.execution(id.item(0)).await;
    assert_eq!(item.report.unwrap().outputs, Some(fields("answer", "late")));
    let done = rig.queue.batch(id).await.unwrap();
    assert_eq!(
        (done.state, done.ended.succeeded, done.ended.failed),
        (BatchState::Completed, 1, 1)
    );
    rig
}

pub(crate) async fn late_item_counts_though_its_heir_put_it_off(store: Store) -> Rig {
    let rig = store.open().await;
    let id = rig.queue.submit_batch(batch_of(1)).await.unwrap().id;
    let mut late = take_and_lose(&rig).await;
    let heir = rig.worker().await;
    let newer = rig.claim_one(&heir).await;
    let retry = End::Retry(failure("try again"), Duration::from_secs(60));
    assert_eq!(rig.finish(newer, retry).await, Verdict::Recorded(State::Scheduled));

    let verdict = rig.finish(late.remove(0), succeeded("late")).await;

    assert_eq!(verdict, Verdict::RecordedLate(State::Succeeded));
    let item = rig.execution(id.item(0)).await;
    assert_eq!(item.report.unwrap().outputs, Some(fields("answer", "late")));
    assert_eq!(rig.queue.batch(id).await.unwrap().state, BatchState::Completed);
    rig.pass(Duration::from_secs(61));
    rig.tick().await;
    assert!(rig.claim(&heir, 4).await.is_empty());
    rig
}

pub(crate) async fn item_cancelled_while_it_runs_is_ordered(store: Store) -> Rig {
    let rig = store.open().await;
    let id = rig.queue.submit_batch(batch_of(3)).await.unwrap().id;
    let worker = rig.worker().await;
    let leases = rig.claim(&worker, 4).await;

    assert_eq!(rig.queue.cancel(id.item(1)).await.unwrap(), State::Running);

    assert_eq!(rig.beat(&worker).await.cancel, [id.item(1)]);
    for lease in leases {
        rig.finish(lease, succeeded("yes")).await;
    }
    assert_eq!(rig.state(id.item(1)).await, State::Cancelled);
    let done = rig.queue.batch(id).await.unwrap();
    assert_eq!((done.ended.succeeded, done.ended.cancelled), (2, 1));
    rig
}

pub(crate) async fn item_retried_while_its_chunk_waits_comes_once(store: Store) -> Rig {
    let rig = store.open().await;
    let id = rig.queue.submit_batch(batch_of(3)).await.unwrap().id;
    rig.queue.cancel(id.item(0)).await.unwrap();
    rig.queue.retry(id.item(0)).await.unwrap();
    rig.check().await;

    let worker = rig.worker().await;
    let mut got = ids(&rig.claim_all(&worker, 9).await);
    got.sort_unstable();

    assert_eq!(got, [id.item(0), id.item(1), id.item(2)]);
    rig
}

pub(crate) async fn item_given_back_from_a_chunk_that_is_lost_comes_once(store: Store) -> Rig {
    let rig = store.open().await;
    let id = rig.queue.submit_batch(batch_of(3)).await.unwrap().id;
    let dead = rig.worker().await;
    let mut leases = rig.claim(&dead, 4).await;
    let at = leases.iter().position(|it| it.task.id == id.item(0)).unwrap();
    let verdict = rig.finish(leases.remove(at), End::Returned).await;
    assert_eq!(verdict, Verdict::Recorded(State::Queued));
    rig.check().await;
    rig.lose(&dead).await;

    let heir = rig.worker().await;
    let mut got = ids(&rig.claim_all(&heir, 9).await);
    got.sort_unstable();

    assert_eq!(got, [id.item(0), id.item(1), id.item(2)]);
    rig
}

pub(crate) async fn batch_called_off_keeps_what_was_tried(store: Store) -> Rig {
    let rig = store.open().await;
    let id = rig.queue.submit_batch(batch_of(2)).await.unwrap().id;
    let worker = rig.worker().await;
    for lease in rig.claim(&worker, 4).await {
        rig.finish(lease, End::Retry(failure("503"), Duration::from_secs(9))).await;
    }

    rig.queue.cancel_batch(id).await.unwrap();

    let item = rig.execution(id.item(0)).await;
    assert_eq!((item.state, item.attempts.len()), (State::Cancelled, 1));
    rig
}

pub(crate) async fn late_item_of_an_older_generation_is_refused(store: Store) -> Rig {
    let rig = store.open().await;
    let id = rig.queue.submit_batch(batch_of(2)).await.unwrap().id;
    let mut late = take_and_lose(&rig).await;
    late.sort_by_key(|it| it.task.id);
    rig.queue.cancel(id.item(0)).await.unwrap();
    rig.queue.retry(id.item(0)).await.unwrap();

    let verdict = rig.finish(late.remove(0), succeeded("of the generation before")).await;

    assert_eq!((verdict, rig.state(id.item(0)).await), (Verdict::Refused, State::Queued));
    rig
}

pub(crate) async fn worker_hears_of_many_orders_by_and_by(store: Store) -> Rig {
    const MANY: usize = 150 * 64;
    let rig = store.open().await;
    let id = submit(&rig, batch_of(MANY)).await;
    let worker = rig.worker().await;
    let held = take(&rig, &worker, MANY).await;
    let mut expected = ids(&held);
    expected.sort_unstable();

    rig.queue.cancel_batch(id).await.unwrap();

    let mut heard = HashSet::new();
    for _ in 0..MANY {
        let orders = rig.beat(&worker).await;
        assert!(!orders.declared_dead);
        heard.extend(orders.cancel);
        if heard.len() == MANY {
            break;
        }
    }
    let mut heard: Vec<_> = heard.into_iter().collect();
    heard.sort_unstable();
    assert!(heard == expected, "{} of {MANY} orders came", heard.len());
    rig
}

//! Many executions as one thing.

use std::{collections::HashSet, time::Duration};

use queue::{
    Batch, BatchId, BatchState, End, Ended, Error, Failure, FailureKind, Idempotency, Lease,
    NewBatch, Report, State, Used, Verdict, Which, WorkerId,
};
use serde_json::json;

use crate::rig::{Rig, Store, batch_of, failed, fields, ids, succeeded};

pub(crate) async fn submit(rig: &Rig, new: NewBatch) -> BatchId {
    rig.queue.submit_batch(new).await.unwrap().id
}

/// Claims every item of the only batch, sorted.
pub(crate) async fn take(rig: &Rig, worker: &WorkerId, count: usize) -> Vec<Lease> {
    let mut leases = rig.claim_all(worker, count).await;
    leases.sort_by_key(|it| it.task.id);
    assert_eq!(leases.len(), count);
    leases
}

pub(crate) async fn batch(rig: &Rig, id: BatchId) -> Batch {
    rig.queue.batch(id).await.unwrap()
}

pub(crate) async fn batch_is_kept_as_given(store: Store) -> Rig {
    let rig = store.open().await;
    let mut new = batch_of(70);
    new.items[5].custom_id = Some("five".to_owned());
    new.items[5].inputs.insert("deep".to_owned(), json!([{ "ü": null }]));
    let given = new.clone();

    let answer = rig.queue.submit_batch(new).await.unwrap();

    assert_eq!((answer.id, answer.state, answer.replayed), (given.id, State::Queued, false));
    let kept = batch(&rig, given.id).await;
    assert_eq!((kept.id, kept.state, kept.total), (given.id, BatchState::InProgress, 70));
    assert_eq!((&*kept.spec, kept.ended), (&given.spec, Ended::default()));
    assert_eq!((kept.created_at, kept.finished_at), (rig.now(), None));
    let item = rig.execution(given.id.item(5)).await;
    assert_eq!((item.state, item.inputs), (State::Queued, given.items[5].inputs.clone()));
    assert_eq!((&*item.spec, item.custom_id.as_deref()), (&given.spec, Some("five")));
    rig
}

pub(crate) async fn items_are_executions(store: Store) -> Rig {
    let rig = store.open().await;
    let id = submit(&rig, batch_of(3)).await;
    let worker = rig.worker().await;

    let mut leases = take(&rig, &worker, 3).await;

    assert_eq!(ids(&leases), [id.item(0), id.item(1), id.item(2)]);
    assert_eq!(leases[2].task.inputs, fields("question", "2"));
    let item = rig.execution(id.item(1)).await;
    assert_eq!((item.state, item.worker), (State::Running, Some(worker)));
    let verdict = rig.finish(leases.remove(1), succeeded("yes")).await;
    assert_eq!(verdict, Verdict::Recorded(State::Succeeded));
    let item = rig.execution(id.item(1)).await;
    assert_eq!((item.state, item.finished_at), (State::Succeeded, Some(rig.now())));
    assert_eq!(item.report.unwrap().outputs, Some(fields("answer", "yes")));
    assert_eq!(rig.state(id.item(0)).await, State::Running);
    rig
}

pub(crate) async fn counts_follow_the_items(store: Store) -> Rig {
    let rig = store.open().await;
    let id = submit(&rig, batch_of(4)).await;
    let worker = rig.worker().await;
    let leases = take(&rig, &worker, 4).await;

    for (lease, end) in
        leases.into_iter().zip([succeeded("y"), failed("n"), End::Cancelled, End::Expired])
    {
        assert_eq!(batch(&rig, id).await.state, BatchState::InProgress);
        rig.pass(Duration::from_millis(100));
        rig.finish(lease, end).await;
    }

    let done = batch(&rig, id).await;
    assert_eq!(done.state, BatchState::Completed);
    assert_eq!(done.ended, Ended { succeeded: 1, failed: 1, cancelled: 1, expired: 1 });
    assert_eq!(done.finished_at, Some(rig.now()));
    let stats = rig.queue.stats(&queue::StatsFilter::default()).await.unwrap();
    assert_eq!(stats.ended, done.ended);
    rig
}

fn invalid() -> Failure {
    Failure { kind: FailureKind::Validation, message: "no question".to_owned() }
}

pub(crate) async fn invalid_items_fail_at_once(store: Store) -> Rig {
    let rig = store.open().await;
    let mut new = batch_of(3);
    new.items[1].invalid = Some(invalid());

    let id = submit(&rig, new).await;

    let item = rig.execution(id.item(1)).await;
    assert_eq!(item.state, State::Failed);
    assert_eq!(item.report.unwrap().failure, Some(invalid()));
    assert_eq!(batch(&rig, id).await.ended.failed, 1);
    let worker = rig.worker().await;
    assert_eq!(ids(&take(&rig, &worker, 2).await), [id.item(0), id.item(2)]);
    rig
}

pub(crate) async fn batch_of_invalid_items_is_completed(store: Store) -> Rig {
    let rig = store.open().await;
    let mut new = batch_of(2);
    new.items.iter_mut().for_each(|item| item.invalid = Some(invalid()));

    let id = submit(&rig, new).await;

    let done = batch(&rig, id).await;
    assert_eq!((done.state, done.ended.failed), (BatchState::Completed, 2));
    assert_eq!(done.finished_at, Some(rig.now()));
    rig
}

pub(crate) async fn empty_batch_is_completed(store: Store) -> Rig {
    let rig = store.open().await;

    let id = submit(&rig, batch_of(0)).await;

    let done = batch(&rig, id).await;
    assert_eq!((done.state, done.total), (BatchState::Completed, 0));
    let page = rig.queue.batch_results(id, 0, 9, Which::All).await.unwrap();
    assert!(page.items.is_empty() && page.next.is_none());
    rig
}

pub(crate) async fn repeated_batch_gets_the_first_answer(store: Store) -> Rig {
    let rig = store.open().await;
    let keyed = |digest: &str| {
        let idempotency = Some(Idempotency { key: "k".to_owned(), digest: digest.to_owned() });
        NewBatch { idempotency, ..batch_of(2) }
    };
    let first = rig.queue.submit_batch(keyed("d")).await.unwrap();

    let second = rig.queue.submit_batch(keyed("d")).await.unwrap();
    let other = rig.queue.submit_batch(keyed("e")).await;

    assert!(second.id == first.id && second.replayed);
    assert!(matches!(other, Err(Error::KeyReused)), "{other:?}");
    let same_id = NewBatch { id: first.id, ..batch_of(2) };
    assert_eq!(rig.queue.submit_batch(same_id).await.unwrap().id, first.id);
    let worker = rig.worker().await;
    assert_eq!(rig.claim_all(&worker, 9).await.len(), 2);
    rig
}

pub(crate) async fn cancelled_batch_stops(store: Store) -> Rig {
    let rig = store.open().await;
    let id = submit(&rig, batch_of(200)).await;

    rig.queue.cancel_batch(id).await.unwrap();

    let stopped = batch(&rig, id).await;
    assert_eq!((stopped.state, stopped.ended.cancelled), (BatchState::Cancelled, 200));
    assert_eq!(rig.state(id.item(199)).await, State::Cancelled);
    let worker = rig.worker().await;
    assert!(rig.claim(&worker, 9).await.is_empty());
    rig.queue.cancel_batch(id).await.unwrap();
    rig
}

pub(crate) async fn cancelled_batch_cancels_later(store: Store) -> Rig {
    let rig = store.open().await;
    let id = submit(&rig, batch_of(70)).await;
    let worker = rig.worker().await;
    let mut leases = rig.claim(&worker, 4).await;
    let running = leases.len();
    rig.finish(leases.pop().unwrap(), succeeded("before")).await;

    rig.queue.cancel_batch(id).await.unwrap();

    assert_eq!(batch(&rig, id).await.state, BatchState::Cancelling);
    let mut ordered = rig.beat(&worker).await.cancel;
    ordered.sort_unstable();
    let mut expected = ids(&leases);
    expected.sort_unstable();
    assert_eq!(ordered, expected);
    for lease in leases {
        let verdict = rig.finish(lease, End::Cancelled).await;
        assert_eq!(verdict, Verdict::Recorded(State::Cancelled));
    }
    let stopped = batch(&rig, id).await;
    assert_eq!((stopped.state, running), (BatchState::Cancelled, 64));
    assert_eq!((stopped.ended.succeeded, stopped.ended.cancelled), (1, 69));
    assert!(rig.claim(&worker, 9).await.is_empty());
    rig
}

pub(crate) async fn item_is_cancelled_alone(store: Store) -> Rig {
    let rig = store.open().await;
    let id = submit(&rig, batch_of(3)).await;

    assert_eq!(rig.queue.cancel(id.item(1)).await.unwrap(), State::Cancelled);
    assert_eq!(rig.queue.cancel(id.item(1)).await.unwrap(), State::Cancelled);

    assert_eq!(batch(&rig, id).await.ended.cancelled, 1);
    let worker = rig.worker().await;
    for lease in take(&rig, &worker, 2).await {
        assert_ne!(lease.task.id, id.item(1));
        rig.finish(lease, succeeded("yes")).await;
    }
    assert_eq!(batch(&rig, id).await.state, BatchState::Completed);
    let answer = rig.queue.cancel(id.item(0)).await;
    assert!(matches!(answer, Err(Error::AlreadyEnded(State::Succeeded))), "{answer:?}");
    rig
}

pub(crate) async fn retry_of_a_batch_runs_only_what_failed(store: Store) -> Rig {
    let rig = store.open().await;
    let id = submit(&rig, batch_of(100)).await;
    let worker = rig.worker().await;
    for lease in take(&rig, &worker, 100).await {
        let end = match lease.task.id.item_of().unwrap().1 {
            3 => failed("no"),
            70 => End::Cancelled,
            99 => End::Expired,
            _ => succeeded("yes"),
        };
        rig.finish(lease, end).await;
    }

    assert_eq!(rig.queue.retry_batch(id).await.unwrap(), 3);

    let again = batch(&rig, id).await;
    assert_eq!((again.state, again.finished_at), (BatchState::InProgress, None));
    assert_eq!(again.ended, Ended { succeeded: 97, ..Ended::default() });
    assert_eq!(rig.execution(id.item(3)).await.generation, 1);
    let leases = take(&rig, &worker, 3).await;
    assert_eq!(ids(&leases), [id.item(3), id.item(70), id.item(99)]);
    for lease in leases {
        rig.finish(lease, succeeded("now")).await;
    }
    let done = batch(&rig, id).await;
    assert_eq!((done.state, done.ended.succeeded), (BatchState::Completed, 100));
    assert_eq!(rig.queue.retry_batch(id).await.unwrap(), 0);
    rig
}

pub(crate) async fn item_is_retried_alone(store: Store) -> Rig {
    let rig = store.open().await;
    let id = submit(&rig, batch_of(3)).await;
    let worker = rig.worker().await;
    for lease in take(&rig, &worker, 3).await {
        rig.finish(lease, failed("no")).await;
    }

    assert_eq!(rig.queue.retry(id.item(1)).await.unwrap(), State::Queued);

    let lease = take(&rig, &worker, 1).await.remove(0);
    assert_eq!((lease.task.id, lease.task.generation), (id.item(1), 1));
    assert_eq!(lease.task.attempts_used(), 0);
    rig.finish(lease, succeeded("yes")).await;
    let item = rig.execution(id.item(1)).await;
    assert_eq!((item.state, item.attempts.len()), (State::Succeeded, 2));
    assert_eq!(batch(&rig, id).await.ended, Ended { succeeded: 1, failed: 2, ..Ended::default() });
    let answer = rig.queue.retry(id.item(1)).await;
    assert!(matches!(answer, Err(Error::AlreadyEnded(State::Succeeded))), "{answer:?}");
    rig
}

pub(crate) async fn batches_are_listed_newest_first(store: Store) -> Rig {
    let rig = store.open().await;
    let mut expected = Vec::new();
    for n in 0..5 {
        let mut new = batch_of(1);
        if n == 2 { "bob" } else { "alice" }.clone_into(&mut new.spec.owner);
        expected.push(submit(&rig, new).await);
        rig.pass(Duration::from_millis(5));
    }
    expected.reverse();
    let walk = async |owner| {
        let (mut cursor, mut got) = (None, Vec::new());
        for _ in 0..9 {
            let page = rig.queue.batches(owner, cursor.as_deref(), 2).await.unwrap();
            got.extend(page.items.iter().map(|it| it.id));
            cursor = page.next;
            if cursor.is_none() {
                return got;
            }
        }
        panic!("the pages never end");
    };

    assert_eq!(walk(None).await, expected);
    assert_eq!(walk(Some("bob")).await, expected[2..3]);
    rig
}

pub(crate) async fn batch_of_many_items_is_run_once_each(store: Store) -> Rig {
    let rig = store.open().await;
    let id = submit(&rig, batch_of(1000)).await;
    let workers = [rig.worker().await, rig.worker().await];

    let mut got = HashSet::new();
    for turn in 0..1000 {
        let leases = rig.claim(&workers[turn % 2], 3).await;
        if leases.is_empty() {
            break;
        }
        for lease in leases {
            assert!(got.insert(lease.task.id), "{} came twice", lease.task.id);
            rig.finish(lease, succeeded("yes")).await;
        }
    }

    let done = batch(&rig, id).await;
    assert_eq!((got.len(), done.ended.succeeded), (1000, 1000));
    assert_eq!(done.state, BatchState::Completed);
    rig
}

pub(crate) async fn batch_expires_at_its_deadline(store: Store) -> Rig {
    let rig = store.open().await;
    let mut new = batch_of(70);
    new.spec.deadline = Some(rig.now() + Duration::from_secs(10));
    let id = submit(&rig, new).await;

    rig.pass(Duration::from_secs(11));
    rig.tick().await;

    let done = batch(&rig, id).await;
    assert_eq!((done.state, done.ended.expired), (BatchState::Completed, 70));
    assert_eq!(rig.state(id.item(69)).await, State::Expired);
    let worker = rig.worker().await;
    assert!(rig.claim(&worker, 9).await.is_empty());
    rig
}

pub(crate) async fn what_items_use_adds_up(store: Store) -> Rig {
    let rig = store.open().await;
    let id = submit(&rig, batch_of(3)).await;
    let worker = rig.worker().await;
    let usage = json!({ "stub": { "prompt_tokens": 7, "completion_tokens": 5, "cost": 0.000_25 } });
    let usage = usage.as_object().unwrap().clone();
    for lease in take(&rig, &worker, 3).await {
        let outputs = Some(fields("answer", "yes"));
        let report = Report { outputs, usage: usage.clone(), ..Report::default() };
        rig.finish(lease, End::Succeeded(report)).await;
    }

    let used = batch(&rig, id).await.used;
    assert_eq!(used, Used { prompt_tokens: 21, completion_tokens: 15, cost_micros: 750 });
    rig
}

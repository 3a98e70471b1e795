//! What is read.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use queue::{Error, Execution, ExecutionId, Filter, NewExecution, Page, State, Why};

use crate::rig::{Rig, SOON, Store, ask, asked_by, batch_of, failed, ids, succeeded};

/// Every page of a list, one after the other.
async fn walk(
    mut page: impl AsyncFnMut(Option<String>) -> queue::Result<Page<Execution>>,
) -> Vec<ExecutionId> {
    let (mut cursor, mut got) = (None, Vec::new());
    for _ in 0..200 {
        let found = page(cursor).await.unwrap();
        got.extend(found.items.iter().map(|it| it.id));
        cursor = found.next;
        if cursor.is_none() {
            return got;
        }
    }
    panic!("the pages never end");
}

async fn list(rig: &Rig, filter: Filter, max: usize) -> Vec<ExecutionId> {
    walk(async |cursor| rig.queue.executions(&filter, cursor.as_deref(), max).await).await
}

pub(crate) async fn pages_hold_each_execution_once(store: Store) -> Rig {
    let rig = store.open().await;
    let mut submitted = Vec::new();
    for n in 0..25 {
        submitted.push(rig.submit(ask(&n.to_string())).await);
        // Some of one moment, some apart.
        rig.pass(Duration::from_millis(n % 3));
    }
    rig.queue.submit_batch(batch_of(3)).await.unwrap();

    let got = list(&rig, Filter::default(), 4).await;

    let mut sorted = got.clone();
    sorted.sort_unstable();
    submitted.sort_unstable();
    assert_eq!(sorted, submitted);
    let mut times = Vec::new();
    for id in got {
        times.push(rig.execution(id).await.created_at);
    }
    assert!(times.is_sorted_by(|a, b| a >= b), "newest first");
    rig
}

pub(crate) async fn filters_pick(store: Store) -> Rig {
    let rig = store.open().await;
    let worker = rig.worker().await;
    let first = rig.submit(ask("1")).await;
    let lease = rig.claim_one(&worker).await;
    rig.finish(lease, succeeded("yes")).await;
    rig.pass(Duration::from_secs(1));
    let since = rig.now();
    let second = rig.submit(asked_by("bob", "2")).await;
    rig.pass(Duration::from_secs(1));
    let mut other = ask("3");
    "other".clone_into(&mut other.spec.program);
    let third = rig.submit(other).await;
    let pick = async |filter| list(&rig, filter, 9).await;
    let all = Filter::default;

    assert_eq!(pick(all()).await, [third, second, first]);
    assert_eq!(pick(Filter { owner: Some("bob".to_owned()), ..all() }).await, [second]);
    assert_eq!(pick(Filter { program: Some("qa".to_owned()), ..all() }).await, [second, first]);
    assert_eq!(pick(Filter { state: Some(State::Succeeded), ..all() }).await, [first]);
    assert_eq!(pick(Filter { state: Some(State::Queued), ..all() }).await, [third, second]);
    assert_eq!(pick(Filter { since: Some(since), ..all() }).await, [third, second]);
    let both =
        Filter { owner: Some("alice".to_owned()), state: Some(State::Queued), ..Filter::default() };
    assert_eq!(pick(both).await, [third]);
    rig
}

pub(crate) async fn batch_filter_lists_items_in_order(store: Store) -> Rig {
    let rig = store.open().await;
    rig.submit(ask("single")).await;
    let id = rig.queue.submit_batch(batch_of(70)).await.unwrap().id;
    let worker = rig.worker().await;
    let leases = rig.claim_all(&worker, 71).await;
    for lease in leases.into_iter().filter(|it| it.task.id == id.item(66)) {
        rig.finish(lease, failed("no")).await;
    }
    let filter = Filter { batch: Some(id), ..Filter::default() };

    let all = list(&rig, filter.clone(), 9).await;
    let failed = list(&rig, Filter { state: Some(State::Failed), ..filter.clone() }, 9).await;
    let bobs = list(&rig, Filter { owner: Some("bob".to_owned()), ..filter }, 9).await;

    assert_eq!(all, (0..70).map(|n| id.item(n)).collect::<Vec<_>>());
    assert_eq!((failed, bobs), (vec![id.item(66)], vec![]));
    rig
}

pub(crate) async fn dead_pages_are_oldest_first(store: Store) -> Rig {
    let rig = store.open().await;
    let worker = rig.worker().await;
    let (mut all, mut bobs) = (Vec::new(), Vec::new());
    for n in 0..9 {
        let owner = if n % 3 == 0 { "bob" } else { "alice" };
        let id = rig.submit(asked_by(owner, "?")).await;
        let lease = rig.claim_one(&worker).await;
        rig.finish(lease, failed("no")).await;
        rig.pass(Duration::from_millis(2));
        all.push(id);
        if owner == "bob" {
            bobs.push(id);
        }
    }
    let dead =
        async |owner| walk(async |cursor| rig.queue.dead(owner, cursor.as_deref(), 2).await).await;

    assert_eq!(dead(None).await, all);
    assert_eq!(dead(Some("bob")).await, bobs);
    assert!(dead(Some("carol")).await.is_empty());
    rig.queue.retry(all[0]).await.unwrap();
    assert_eq!(dead(None).await, all[1..]);
    rig
}

pub(crate) async fn bad_cursor_is_not_a_crash(store: Store) -> Rig {
    let rig = store.open().await;
    rig.submit(ask("?")).await;

    for cursor in
        ["", "x", "-1", "99999999999999999999999", "'; DROP TABLE execution; --", "é\u{0}"]
    {
        let answers = [
            rig.queue.executions(&Filter::default(), Some(cursor), 9).await.map(drop),
            rig.queue.dead(None, Some(cursor), 9).await.map(drop),
            rig.queue.batches(None, Some(cursor), 9).await.map(drop),
        ];
        for answer in answers {
            assert!(
                !matches!(answer, Err(Error::Corrupt(_) | Error::Unavailable(_))),
                "{answer:?}"
            );
        }
    }
    rig
}

pub(crate) async fn why_tells_what_it_waits_for(store: Store) -> Rig {
    let rig = store.open().await;
    let first = rig.submit(ask("1")).await;
    let second = rig.submit(ask("2")).await;
    let due_at = rig.now() + TimeDelta::seconds(60);
    let later = rig.submit(NewExecution { not_before: Some(due_at), ..ask("3") }).await;
    let why = async |id| rig.queue.why(id).await.unwrap();

    assert_eq!(why(first).await, Why::NoWorker);
    assert_eq!(why(later).await, Why::NotDue { due_at });
    let worker = rig.worker().await;
    let turn = why(second).await;
    assert!(matches!(turn, Why::Turn { ahead: 1, slots: 4, .. }), "{turn:?}");
    rig.queue.pause().await.unwrap();
    assert_eq!(why(second).await, Why::Paused);
    rig.queue.resume().await.unwrap();
    let lease = rig.claim_one(&worker).await;
    let running = Why::Running { worker: Some(worker), cancel_requested: false };
    assert_eq!(why(first).await, running);
    rig.finish(lease, succeeded("yes")).await;
    assert_eq!(why(first).await, Why::Ended { state: State::Succeeded });
    rig
}

/// Waits in another task, and gives what it saw.
fn waiter(rig: &Rig, id: ExecutionId) -> tokio::task::JoinHandle<Execution> {
    let queue = Arc::clone(&rig.queue);
    tokio::spawn(async move { queue.wait(id, Duration::from_secs(60)).await.unwrap() })
}

pub(crate) async fn wait_wakes_at_the_end(store: Store) -> Rig {
    let rig = store.open().await;
    let worker = rig.worker().await;
    let (first, second) = (rig.submit(ask("1")).await, rig.submit(ask("2")).await);
    let waiting = [waiter(&rig, first), waiter(&rig, second), waiter(&rig, first)];
    tokio::task::yield_now().await;

    let leases = rig.claim_all(&worker, 2).await;
    assert_eq!(ids(&leases), [first, second]);
    for lease in leases {
        rig.finish(lease, succeeded("yes")).await;
    }

    for (waiting, id) in waiting.into_iter().zip([first, second, first]) {
        let execution = tokio::time::timeout(SOON, waiting).await.unwrap().unwrap();
        assert_eq!((execution.id, execution.state), (id, State::Succeeded));
        assert!(execution.report.is_some());
    }
    let ended = rig.queue.wait(first, Duration::from_secs(60)).await.unwrap();
    assert_eq!(ended.state, State::Succeeded);
    rig
}

pub(crate) async fn wait_wakes_at_each_end(store: Store) -> Rig {
    let rig = store.open().await;
    let worker = rig.worker().await;
    let id = rig.submit(ask("?")).await;
    let first = waiter(&rig, id);
    rig.finish(rig.claim_one(&worker).await, failed("no")).await;
    let first = tokio::time::timeout(SOON, first).await.unwrap().unwrap();

    rig.queue.retry(id).await.unwrap();
    let second = waiter(&rig, id);
    rig.finish(rig.claim_one(&worker).await, succeeded("yes")).await;

    let second = tokio::time::timeout(SOON, second).await.unwrap().unwrap();
    assert_eq!((first.generation, first.state), (0, State::Failed));
    assert_eq!((second.generation, second.state), (1, State::Succeeded));
    rig
}

pub(crate) async fn wait_wakes_for_an_item(store: Store) -> Rig {
    let rig = store.open().await;
    let id = rig.queue.submit_batch(batch_of(3)).await.unwrap().id;
    let waiting = [waiter(&rig, id.item(0)), waiter(&rig, id.item(2))];
    let worker = rig.worker().await;
    for lease in rig.claim(&worker, 4).await {
        if lease.task.id != id.item(2) {
            rig.finish(lease, succeeded("yes")).await;
        }
    }
    rig.queue.cancel(id.item(2)).await.unwrap();
    rig.pass(crate::rig::LEASE_AND_MORE);
    rig.tick().await;

    for (waiting, state) in waiting.into_iter().zip([State::Succeeded, State::Cancelled]) {
        assert_eq!(tokio::time::timeout(SOON, waiting).await.unwrap().unwrap().state, state);
    }
    rig
}

pub(crate) async fn many_who_wait_are_each_told(store: Store) -> Rig {
    let rig = store.open().await;
    let mut waiting = Vec::new();
    for n in 0..200 {
        let id = rig.submit(ask(&n.to_string())).await;
        waiting.push((id, waiter(&rig, id)));
    }

    for (id, _) in &waiting {
        rig.queue.cancel(*id).await.unwrap();
    }

    for (id, waiting) in waiting {
        let execution = tokio::time::timeout(SOON, waiting).await.unwrap().unwrap();
        assert_eq!((execution.id, execution.state), (id, State::Cancelled));
    }
    rig
}

pub(crate) async fn wait_gives_up_in_time(store: Store) -> Rig {
    let rig = store.open().await;
    let id = rig.submit(ask("?")).await;

    let waiting = rig.queue.wait(id, Duration::from_millis(600));
    let execution = tokio::time::timeout(SOON, waiting).await.unwrap().unwrap();

    assert_eq!(execution.state, State::Queued);
    rig
}

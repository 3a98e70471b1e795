//! Batches that come in parts.

use std::{collections::HashSet, time::Duration};

use queue::{
    BatchId, BatchItem, BatchState, CUSTOM_IDS_PAGE, CustomIds, Ended, Error, Lease, NewBatch,
    Part, Release, Seal, State, Which, WorkerId,
};

use crate::rig::{Rig, Store, batch_of, failed, succeeded};

/// More chunks than any window holds.
const MANY: usize = 300 * 64 + 5;

async fn open(rig: &Rig, new: NewBatch) -> BatchId {
    let opened = rig.queue.open_batch(new, Release::PartByPart).await.unwrap();
    assert!(!opened.replayed);
    opened.id
}

pub(crate) fn part(first: u32, count: usize) -> Part {
    let mut items = batch_of(first as usize + count).items;
    items.drain(..first as usize);
    Part { first, items, digest: format!("{first} {count}") }
}

pub(crate) async fn add(rig: &Rig, id: BatchId, first: u32, count: usize) -> u64 {
    rig.queue.add_part(id, part(first, count)).await.unwrap()
}

pub(crate) async fn seal(rig: &Rig, id: BatchId) {
    rig.queue.seal_batch(id, Seal::default()).await.unwrap();
}

pub(crate) async fn end_all(rig: &Rig, worker: &WorkerId, count: usize) -> HashSet<u32> {
    let leases = rig.claim_all(worker, count).await;
    assert_eq!(leases.len(), count);
    let mut indexes = HashSet::new();
    for lease in leases {
        assert!(indexes.insert(index(&lease)), "{} came twice", lease.task.id);
        rig.finish(lease, succeeded("yes")).await;
    }
    indexes
}

pub(crate) fn index(lease: &Lease) -> u32 {
    lease.task.id.item_of().unwrap().1
}

fn step(answer: queue::Result<u64>) -> u64 {
    match answer {
        Err(Error::OutOfStep { received } | Error::Sealed { received }) => received,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn parts_run_as_soon_as_they_are_in(store: Store) -> Rig {
    let rig = store.open().await;
    let worker = rig.worker().await;
    let id = open(&rig, batch_of(0)).await;
    let begun = rig.queue.batch(id).await.unwrap();
    assert_eq!((begun.state, begun.total, begun.open), (BatchState::Uploading, 0, true));

    // parts end in the middle of chunks
    assert_eq!(add(&rig, id, 0, 100).await, 100);
    assert_eq!(end_all(&rig, &worker, 100).await.len(), 100);
    assert_eq!(add(&rig, id, 100, 3).await, 103);
    assert_eq!(end_all(&rig, &worker, 3).await, HashSet::from([100, 101, 102]));
    assert_eq!(rig.queue.batch(id).await.unwrap().state, BatchState::Uploading);
    assert_eq!(add(&rig, id, 103, 97).await, 200);
    seal(&rig, id).await;
    assert_eq!(end_all(&rig, &worker, 97).await.len(), 97);

    let done = rig.queue.batch(id).await.unwrap();
    assert_eq!((done.state, done.total, done.ended.succeeded), (BatchState::Completed, 200, 200));
    let page = rig.queue.batch_results(id, 95, 20, Which::All).await.unwrap().items;
    let expected = (95..115).map(|n: u32| n.to_string());
    assert!(page.iter().map(|it| it.inputs["question"].as_str().unwrap()).eq(expected));
    rig
}

pub(crate) async fn part_is_added_while_its_chunk_runs(store: Store) -> Rig {
    let rig = store.open().await;
    let worker = rig.worker().await;
    let id = open(&rig, batch_of(0)).await;
    add(&rig, id, 0, 10).await;
    let first = rig.claim_all(&worker, 10).await;
    assert_eq!(first.len(), 10);

    add(&rig, id, 10, 10).await;
    rig.check().await;
    let other = rig.worker().await;
    let second = rig.claim_all(&other, 10).await;
    for lease in first.into_iter().chain(second) {
        rig.finish(lease, succeeded("yes")).await;
    }
    seal(&rig, id).await;

    let done = rig.queue.batch(id).await.unwrap();
    assert_eq!((done.state, done.ended.succeeded), (BatchState::Completed, 20));
    assert!(done.finished_at.is_some());
    rig
}

pub(crate) async fn part_that_comes_again_changes_nothing(store: Store) -> Rig {
    let rig = store.open().await;
    let id = open(&rig, batch_of(0)).await;
    add(&rig, id, 0, 70).await;
    add(&rig, id, 70, 70).await;

    assert_eq!(add(&rig, id, 0, 70).await, 140);
    assert_eq!(add(&rig, id, 70, 70).await, 140);
    let other = Part { digest: "other".to_owned(), ..part(70, 70) };
    assert_eq!(step(rig.queue.add_part(id, other).await), 140);
    assert_eq!(step(rig.queue.add_part(id, part(141, 1)).await), 140);
    let wrong = Seal { total: Some(139), idempotency: None };
    let wrong = rig.queue.seal_batch(id, wrong).await;
    assert!(matches!(wrong, Err(Error::OutOfStep { received: 140 })), "{wrong:?}");
    seal(&rig, id).await;
    seal(&rig, id).await;
    assert_eq!(step(rig.queue.add_part(id, part(140, 1)).await), 140);

    assert_eq!(rig.queue.batch(id).await.unwrap().total, 140);
    rig
}

pub(crate) async fn upload_that_nobody_goes_on_with_is_given_up(store: Store) -> Rig {
    let rig = store.open().await;
    let worker = rig.worker().await;
    let seen = open(&rig, batch_of(0)).await;
    let unseen = rig.queue.open_batch(batch_of(0), Release::Whole).await.unwrap().id;
    for id in [seen, unseen] {
        add(&rig, id, 0, 100).await;
    }
    rig.pass(Duration::from_secs(20 * 3600));
    add(&rig, seen, 100, 1).await;
    rig.pass(Duration::from_secs(20 * 3600));
    rig.tick().await;
    assert_eq!(rig.queue.batch(seen).await.unwrap().state, BatchState::Uploading);

    rig.pass(Duration::from_secs(5 * 3600));
    rig.beat(&worker).await;
    rig.tick().await;

    let given_up = rig.queue.batch(seen).await.unwrap();
    assert_eq!((given_up.state, given_up.ended.cancelled), (BatchState::Cancelled, 101));
    assert!(rig.queue.add_part(seen, part(101, 1)).await.is_err());
    assert!(rig.queue.add_part(unseen, part(100, 1)).await.is_err());
    rig
}

pub(crate) async fn open_batch_is_called_off_whole(store: Store) -> Rig {
    let rig = store.open().await;
    let (id, empty) = (open(&rig, batch_of(0)).await, open(&rig, batch_of(0)).await);
    add(&rig, id, 0, 70).await;

    rig.queue.cancel_batch(id).await.unwrap();
    rig.queue.cancel_batch(empty).await.unwrap();
    rig.tick().await;

    for (id, cancelled) in [(id, 70), (empty, 0)] {
        let done = rig.queue.batch(id).await.unwrap();
        assert_eq!((done.state, done.ended.cancelled), (BatchState::Cancelled, cancelled));
        assert!(done.finished_at.is_some());
    }
    assert_eq!(step(rig.queue.add_part(id, part(70, 1)).await), 70);
    rig
}

pub(crate) async fn open_batch_expires_at_its_deadline(store: Store) -> Rig {
    let rig = store.open().await;
    let mut new = batch_of(0);
    new.spec.deadline = Some(rig.now() + Duration::from_secs(10));
    let id = open(&rig, new).await;
    add(&rig, id, 0, 70).await;

    rig.pass(Duration::from_secs(11));
    rig.tick().await;

    let done = rig.queue.batch(id).await.unwrap();
    assert_eq!((done.state, done.ended.expired), (BatchState::Completed, 70));
    rig
}

pub(crate) async fn custom_ids_are_known_across_parts(store: Store) -> Rig {
    let rig = store.open().await;
    let id = open(&rig, batch_of(0)).await;
    let named = |mut part: Part| {
        for item in &mut part.items {
            let question = &item.inputs["question"];
            item.custom_id = Some(format!("q{}", question.as_str().unwrap()));
        }
        part
    };
    rig.queue.add_part(id, named(part(0, 3))).await.unwrap();
    add(&rig, id, 3, 2).await;
    rig.queue.add_part(id, named(part(5, 3))).await.unwrap();

    let mut known = CustomIds::default();
    known.extend(rig.queue.custom_ids(id, 0).await.unwrap());
    assert_eq!((known.seen(), known.insert("q6", 99)), (6, Some(6)));
    assert_eq!(known.insert("q4", 99), None);
    assert_eq!(rig.queue.custom_ids(id, 4).await.unwrap().len(), 2);
    assert_eq!(rig.queue.custom_ids(id, 6).await.unwrap(), []);
    rig
}

pub(crate) async fn custom_ids_come_in_pages(store: Store) -> Rig {
    let rig = store.open().await;
    let id = open(&rig, batch_of(0)).await;
    let size = CUSTOM_IDS_PAGE * 2 / 3;
    for first in [0, size] {
        let name = |item: &mut BatchItem| {
            item.custom_id = item.inputs["question"].as_str().map(str::to_owned);
        };
        let mut part = part(u32::try_from(first).unwrap(), size);
        part.items.iter_mut().for_each(name);
        rig.queue.add_part(id, part).await.unwrap();
    }

    let mut known = CustomIds::default();
    let page = rig.queue.custom_ids(id, 0).await.unwrap();
    assert_eq!(page.len(), CUSTOM_IDS_PAGE);
    known.extend(page);
    known.extend(rig.queue.custom_ids(id, known.seen()).await.unwrap());

    assert_eq!(known.seen(), 2 * size as u64);
    assert_eq!(rig.queue.custom_ids(id, known.seen()).await.unwrap(), []);
    assert_eq!(known.insert("70000", 0), Some(70_000));
    rig
}

pub(crate) async fn large_batch_is_let_in_by_and_by(store: Store) -> Rig {
    let rig = store.open().await;
    let worker = rig.worker().await;
    let id = rig.queue.submit_batch(batch_of(MANY)).await.unwrap().id;
    let depth = rig.queue.stats(&queue::StatsFilter::default()).await.unwrap().depth;
    assert_eq!(depth.queued, MANY as u64);
    rig.queue.cancel(id.item(70)).await.unwrap();
    let last = u32::try_from(MANY - 1).unwrap();
    rig.queue.cancel(id.item(last)).await.unwrap();
    assert_eq!(rig.state(id.item(last - 1)).await, State::Queued);
    rig.check().await;

    let mut seen = HashSet::new();
    while seen.len() < MANY - 2 {
        let leases = rig.claim(&worker, 64).await;
        assert!(!leases.is_empty(), "{} of {MANY} came", seen.len());
        let endings = leases.into_iter().map(|lease| {
            assert!(seen.insert(index(&lease)), "{} came twice", lease.task.id);
            rig.finish(lease, succeeded("yes"))
        });
        futures::future::join_all(endings).await;
    }

    let done = rig.queue.batch(id).await.unwrap();
    let ended = Ended { succeeded: MANY as u64 - 2, cancelled: 2, ..Ended::default() };
    assert_eq!((done.state, done.ended), (BatchState::Completed, ended));
    rig
}

pub(crate) async fn all_failed_items_of_a_large_batch_come_again(store: Store) -> Rig {
    let rig = store.open().await;
    let worker = rig.worker().await;
    let count = 20 * 64;
    let id = rig.queue.submit_batch(batch_of(count)).await.unwrap().id;
    for lease in rig.claim_all(&worker, count).await {
        let end = if index(&lease).is_multiple_of(2) { failed("no") } else { succeeded("yes") };
        rig.finish(lease, end).await;
    }
    rig.tick().await;

    assert_eq!(rig.queue.retry_batch(id).await.unwrap(), count as u64 / 2);
    rig.check().await;
    let again = rig.claim_all(&worker, count / 2).await;
    assert!(again.iter().all(|it| it.task.generation == 1 && index(it).is_multiple_of(2)));
    assert_eq!(again.len(), count / 2);
    for lease in again {
        rig.finish(lease, succeeded("now")).await;
    }

    let done = rig.queue.batch(id).await.unwrap();
    assert_eq!((done.state, done.ended.succeeded), (BatchState::Completed, count as u64));
    rig
}

pub(crate) async fn batches_leave_room_for_executions(store: Store) -> Rig {
    let limits = queue::Limits { waiting_max: 50, waiting_per_owner_max: 50, ..Default::default() };
    let rig = store.open_with(limits).await;
    let id = open(&rig, batch_of(0)).await;
    add(&rig, id, 0, 500).await;

    rig.submit_many(40, "alice").await;

    let mut item: BatchItem = batch_of(1).items.remove(0);
    item.custom_id = Some("last".to_owned());
    let last = Part { first: 500, items: vec![item], digest: String::new() };
    assert_eq!(rig.queue.add_part(id, last).await.unwrap(), 501);
    rig
}

pub(crate) async fn large_batch_is_called_off_with_what_was_not_let_in(store: Store) -> Rig {
    let rig = store.open().await;
    let id = rig.queue.submit_batch(batch_of(MANY)).await.unwrap().id;
    let last = u32::try_from(MANY - 1).unwrap();
    rig.queue.cancel(id.item(last - 200)).await.unwrap();

    rig.queue.cancel_batch(id).await.unwrap();

    let many = MANY as u64;
    let ended = Ended { cancelled: many, ..Ended::default() };
    let stopped = rig.queue.batch(id).await.unwrap();
    assert_eq!((stopped.state, stopped.ended), (BatchState::Cancelled, ended));
    for index in [0, last - 300, last] {
        let item = rig.execution(id.item(index)).await;
        assert_eq!((item.state, item.attempts.len()), (State::Cancelled, 0));
        assert!(item.finished_at.is_some());
    }
    let stats = rig.queue.stats(&queue::StatsFilter::default()).await.unwrap();
    assert_eq!((stats.ended.cancelled, stats.depth.queued), (many, 0));
    rig.check().await;

    assert_eq!(rig.queue.retry_batch(id).await.unwrap(), many);
    let depth = rig.queue.stats(&queue::StatsFilter::default()).await.unwrap().depth;
    assert_eq!(depth.queued, many);
    rig
}

//! Who gets what, when.

use std::{collections::HashSet, sync::Arc, time::Duration};

use queue::{Class, Want};
use testkit::until;

use crate::rig::{Rig, SOON, Store, ask, batch_of, fields, ids, succeeded, want};

pub(crate) async fn oldest_comes_first(store: Store) -> Rig {
    let rig = store.open().await;
    let submitted = rig.submit_many(30, "alice").await;
    let worker = rig.worker().await;

    assert_eq!(ids(&rig.claim_all(&worker, 30).await), submitted);
    rig
}

pub(crate) async fn claim_takes_no_more_than_its_slots(store: Store) -> Rig {
    let rig = store.open().await;
    rig.submit_many(5, "alice").await;
    let worker = rig.worker().await;

    assert_eq!(rig.claim(&worker, 2).await.len(), 2);
    assert_eq!(rig.claim(&worker, 0).await.len(), 0);
    assert_eq!(rig.claim_all(&worker, 9).await.len(), 3);
    rig
}

pub(crate) async fn task_is_what_was_asked(store: Store) -> Rig {
    let rig = store.open().await;
    let mut new = ask("how?");
    new.spec.lm = fields("model", "stub");
    let cache = queue::CacheKey { fingerprint: "f".to_owned(), ttl: Duration::from_secs(9) };
    new.cache = Some(cache.clone());
    let (id, spec, inputs) = (new.id, new.spec.clone(), new.inputs.clone());
    rig.submit(new).await;
    let worker = rig.worker().await;

    let task = rig.claim_one(&worker).await.task;

    assert_eq!((task.id, &*task.spec, &task.inputs), (id, &spec, &inputs));
    assert_eq!((&task.cache, task.created_at), (&Some(cache), rig.now()));
    assert_eq!((task.attempts_used(), task.generation, task.suspect), (0, 0, false));
    assert_eq!(rig.state(id).await, queue::State::Running);
    assert_eq!(rig.execution(id).await.worker, Some(worker));
    rig
}

pub(crate) async fn one_execution_goes_to_one_worker(store: Store) -> Rig {
    let rig = Arc::new(store.open().await);
    let submitted: HashSet<_> = rig.submit_many(300, "alice").await.into_iter().collect();

    let mut workers = tokio::task::JoinSet::new();
    for slots in 1..=8 {
        let rig = Arc::clone(&rig);
        workers.spawn(async move {
            let worker = rig.worker().await;
            let mut got = Vec::new();
            loop {
                let leases = rig.claim(&worker, slots).await;
                if leases.is_empty() {
                    return got;
                }
                for lease in leases {
                    got.push(lease.task.id);
                    rig.finish(lease, succeeded("yes")).await;
                }
            }
        });
    }
    let got = workers.join_all().await.concat();

    assert_eq!(got.len(), 300);
    assert_eq!(got.into_iter().collect::<HashSet<_>>(), submitted);
    Arc::into_inner(rig).unwrap()
}

pub(crate) async fn paused_queue_gives_nothing(store: Store) -> Rig {
    let rig = store.open().await;
    rig.submit(ask("?")).await;
    let worker = rig.worker().await;

    rig.queue.pause().await.unwrap();
    assert!(rig.claim(&worker, 1).await.is_empty());
    rig.queue.resume().await.unwrap();
    assert_eq!(rig.claim(&worker, 1).await.len(), 1);
    rig
}

pub(crate) async fn unregistered_worker_gets_nothing(store: Store) -> Rig {
    let rig = store.open().await;
    rig.submit(ask("?")).await;
    let stranger = queue::WorkerId::new("host", 2);

    let leases = rig.queue.claim(&stranger, want(1), Duration::ZERO).await;

    assert!(!matches!(leases, Ok(leases) if !leases.is_empty()));
    rig
}

pub(crate) async fn claim_wakes_when_work_comes(store: Store) -> Rig {
    let rig = store.open().await;
    let worker = rig.worker().await;
    let queue = Arc::clone(&rig.queue);
    let waiting =
        tokio::spawn(async move { queue.claim(&worker, want(1), Duration::from_secs(60)).await });
    tokio::task::yield_now().await;

    let id = rig.submit(ask("?")).await;

    let leases = tokio::time::timeout(SOON, waiting).await.unwrap().unwrap().unwrap();
    assert_eq!(ids(&leases), [id]);
    rig
}

pub(crate) async fn claim_of_nothing_ends_in_time(store: Store) -> Rig {
    let rig = store.open().await;
    let worker = rig.worker().await;

    let claim = rig.queue.claim(&worker, want(1), Duration::from_millis(700));
    let leases = tokio::time::timeout(SOON, claim).await.unwrap().unwrap();

    assert!(leases.is_empty());
    rig
}

pub(crate) async fn dropped_claim_loses_nothing(store: Store) -> Rig {
    let rig = store.open().await;
    let submitted: HashSet<_> = rig.submit_many(60, "alice").await.into_iter().collect();
    let worker = rig.worker().await;

    let mut got = Vec::new();
    for round in 0..60 {
        let claim = rig.queue.claim(&worker, want(1), Duration::ZERO);
        // Dropped at another moment each round, often while the store works on it.
        let patience = Duration::from_micros(round * 20);
        if let Ok(leases) = tokio::time::timeout(patience, claim).await {
            got.extend(ids(&leases.unwrap()));
        }
    }
    until("everything was handed out", SOON, async || {
        got.extend(ids(&rig.claim(&worker, 9).await));
        (got.len() >= 60).then_some(())
    })
    .await;

    assert_eq!(got.len(), 60);
    assert_eq!(got.into_iter().collect::<HashSet<_>>(), submitted);
    rig
}

pub(crate) async fn bulk_takes_no_more_than_it_may(store: Store) -> Rig {
    let rig = store.open().await;
    for n in 0..6 {
        let mut new = ask(&n.to_string());
        new.spec.class = Class::Bulk;
        rig.submit(new).await;
    }
    rig.queue.submit_batch(batch_of(3)).await.unwrap();
    let worker = rig.worker().await;
    let claim = async |slots, bulk| {
        let want = Want { slots, bulk, suspect: true };
        rig.queue.claim(&worker, want, Duration::ZERO).await.unwrap()
    };

    assert!(claim(4, 0).await.is_empty());
    let some = claim(4, 1).await;
    // A chunk counts as one entry, whatever it holds.
    assert!(some.len() == 1 || some.iter().all(queue::Lease::is_item_of_chunk), "{some:?}");
    rig.submit(ask("urgent")).await;
    let urgent = claim(4, 0).await;
    assert_eq!(urgent.len(), 1);
    assert_eq!(urgent[0].task.spec.class, Class::Interactive);
    rig
}

pub(crate) async fn dropped_claim_does_not_delay_the_next(store: Store) -> Rig {
    let rig = store.open().await;
    rig.queue.submit_batch(batch_of(3)).await.unwrap();
    let worker = rig.worker().await;
    let reserved = Want { slots: 1, bulk: 0, suspect: true };
    let minute = Duration::from_secs(60);
    for patience in [1, 20, 200] {
        let claim = rig.queue.claim(&worker, reserved, minute);
        let dropped = tokio::time::timeout(Duration::from_millis(patience), claim).await;
        assert!(dropped.is_err(), "there was nothing but bulk work: {dropped:?}");
    }

    let claim = rig.queue.claim(&worker, want(4), minute);
    let leases = tokio::time::timeout(Duration::from_secs(3), claim).await.unwrap().unwrap();

    assert_eq!(leases.len(), 3);
    rig
}

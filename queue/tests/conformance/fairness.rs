//! Nobody waits for another's many.

use std::time::Duration;

use queue::{Class, Lease, WorkerId};

use crate::rig::{Rig, Store, ask, asked_by, batch_of, ids, succeeded};

/// How many starts may pass before those of a newcomer are through: what was made ready before it
/// came is not taken back.
const READY_MAX: usize = 200;

/// Claims and finishes one after the other, and gives what came.
async fn drain(rig: &Rig, worker: &WorkerId, count: usize, slots: usize) -> Vec<Lease> {
    let mut got = Vec::new();
    while got.len() < count {
        let leases = rig.claim(worker, slots).await;
        assert!(!leases.is_empty(), "only {} came", got.len());
        got.extend(leases);
    }
    got
}

async fn owners(rig: &Rig, worker: &WorkerId, count: usize) -> Vec<String> {
    let leases = drain(rig, worker, count, 10).await;
    let owners = leases.iter().map(|it| it.task.spec.owner.clone()).collect();
    for lease in leases {
        rig.finish(lease, succeeded("yes")).await;
    }
    owners
}

pub(crate) async fn many_of_one_owner_do_not_delay_another(store: Store) -> Rig {
    let rig = store.open().await;
    rig.submit_many(1000, "alice").await;
    rig.submit_many(10, "bob").await;
    let worker = rig.worker().await;

    let owners = owners(&rig, &worker, READY_MAX).await;

    assert_eq!(owners.iter().filter(|it| *it == "bob").count(), 10);
    rig
}

pub(crate) async fn batches_take_turns_with_executions(store: Store) -> Rig {
    let rig = store.open().await;
    rig.queue.submit_batch(batch_of(640)).await.unwrap();
    let mut single = asked_by("bob", "?");
    single.spec.class = Class::Bulk;
    let id = rig.submit(single).await;
    let worker = rig.worker().await;

    let leases = drain(&rig, &worker, 300, 10).await;

    assert!(ids(&leases).contains(&id), "ten chunks come before one execution");
    rig
}

pub(crate) async fn batches_of_one_owner_take_turns(store: Store) -> Rig {
    let rig = store.open().await;
    rig.queue.submit_batch(batch_of(1280)).await.unwrap();
    let second = rig.queue.submit_batch(batch_of(2)).await.unwrap().id;
    let worker = rig.worker().await;

    let leases = drain(&rig, &worker, 640, 1).await;

    assert!(ids(&leases).contains(&second.item(0)), "the second batch waits for the first");
    rig
}

/// Puts in as many of each class, and gives how many of each were among the first to start.
async fn shares(rig: &Rig, starts: usize, slots: usize) -> [usize; 3] {
    for n in 0..starts {
        for class in Class::ALL {
            let mut new = ask(&n.to_string());
            new.spec.class = class;
            rig.submit(new).await;
        }
    }
    let worker = rig.worker().await;
    let leases = drain(rig, &worker, starts, slots).await;
    Class::ALL.map(|class| leases[..starts].iter().filter(|it| it.task.spec.class == class).count())
}

fn assert_16_4_1(shares: [usize; 3]) {
    let [interactive, normal, bulk] = shares;
    assert!((144..=176).contains(&interactive), "{shares:?}");
    assert!((30..=50).contains(&normal), "{shares:?}");
    assert!((5..=20).contains(&bulk), "{shares:?}");
}

pub(crate) async fn classes_share_16_4_1_one_by_one(store: Store) -> Rig {
    let rig = store.open().await;

    assert_16_4_1(shares(&rig, 210, 1).await);
    rig
}

pub(crate) async fn classes_share_16_4_1_in_groups(store: Store) -> Rig {
    let rig = store.open().await;

    assert_16_4_1(shares(&rig, 210, 21).await);
    rig
}

pub(crate) async fn idle_classes_leave_their_share(store: Store) -> Rig {
    let rig = store.open().await;
    for n in 0..50 {
        let mut new = ask(&n.to_string());
        new.spec.class = Class::Bulk;
        rig.submit(new).await;
    }
    let worker = rig.worker().await;

    let leases = rig.queue.claim(&worker, crate::rig::want(20), Duration::ZERO).await.unwrap();

    assert_eq!(leases.len(), 20);
    rig
}

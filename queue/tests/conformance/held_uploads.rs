//! Batches that come in parts, and are seen by nobody before they are whole.

use std::time::Duration;

use queue::{BatchState, Error, Failure, FailureKind, Idempotency, Release, Seal};

use crate::{
    rig::{Rig, Store, batch_of},
    uploads::{add, end_all, part, seal},
};

pub(crate) async fn whole_upload_is_seen_when_it_is_sealed(store: Store) -> Rig {
    let rig = store.open().await;
    let worker = rig.worker().await;
    let mut new = batch_of(0);
    new.spec.deadline = Some(rig.now() + Duration::from_secs(60));
    let id = rig.queue.open_batch(new, Release::Whole).await.unwrap().id;
    let mut first = part(0, 70);
    first.items[3].invalid =
        Some(Failure { kind: FailureKind::Validation, message: "no".to_owned() });
    rig.queue.add_part(id, first).await.unwrap();
    add(&rig, id, 70, 80).await;

    assert!(matches!(rig.queue.batch(id).await, Err(Error::NotFound(_))));
    assert!(matches!(rig.queue.execution(id.item(3)).await, Err(Error::NotFound(_))));
    assert!(matches!(rig.queue.cancel(id.item(0)).await, Err(Error::NotFound(_))));
    assert!(matches!(rig.queue.cancel_batch(id).await, Err(Error::NotFound(_))));
    assert!(matches!(rig.queue.pause_batch(id).await, Err(Error::NotFound(_))));
    assert_eq!(rig.queue.batches(None, None, 9).await.unwrap().items, []);
    assert!(rig.claim(&worker, 9).await.is_empty());
    rig.check().await;
    rig.pass(Duration::from_millis(500));
    seal(&rig, id).await;

    let kept = rig.queue.batch(id).await.unwrap();
    assert_eq!((kept.state, kept.total, kept.ended.failed), (BatchState::InProgress, 150, 1));
    assert_eq!(kept.created_at, rig.now());
    assert_eq!(rig.queue.batches(None, None, 9).await.unwrap().items.len(), 1);
    assert!(!end_all(&rig, &worker, 149).await.contains(&3));
    let stats = rig.queue.stats(&queue::StatsFilter::default()).await.unwrap();
    assert_eq!((stats.ended.succeeded, stats.ended.failed), (149, 1));
    rig
}

pub(crate) async fn upload_that_is_discarded_leaves_nothing(store: Store) -> Rig {
    let rig = store.open().await;
    let id = rig.queue.open_batch(batch_of(0), Release::Whole).await.unwrap().id;
    add(&rig, id, 0, 100).await;

    rig.queue.discard_batch(id).await.unwrap();
    rig.tick().await;

    assert!(matches!(rig.queue.batch(id).await, Err(Error::NotFound(_))));
    assert!(rig.queue.add_part(id, part(100, 1)).await.is_err());
    assert_eq!(rig.queue.stats(&queue::StatsFilter::default()).await.unwrap().depth.queued, 0);
    rig
}

pub(crate) async fn upload_that_is_discarded_cannot_be_sealed(store: Store) -> Rig {
    let rig = store.open().await;
    let worker = rig.worker().await;
    let open = async || rig.queue.open_batch(batch_of(0), Release::Whole).await.unwrap().id;
    let (stale, empty) = (open().await, open().await);
    add(&rig, stale, 0, 70).await;
    rig.pass(Duration::from_secs(3601));
    rig.queue.tick().await.unwrap(); // one round: what is given up is not all gone yet
    let discarded = open().await;
    add(&rig, discarded, 0, 70).await;
    let key = |digest: &str| Idempotency { key: "key".to_owned(), digest: digest.to_owned() };
    let first = open().await;
    let seal = |digest| Seal { total: None, idempotency: Some(key(digest)) };
    rig.queue.seal_batch(first, seal("a")).await.unwrap();
    let other = open().await;
    add(&rig, other, 0, 70).await;
    let conflict = rig.queue.seal_batch(other, seal("b")).await;
    assert!(matches!(conflict, Err(Error::KeyReused)), "{conflict:?}");
    rig.queue.discard_batch(discarded).await.unwrap();

    for id in [stale, empty, discarded, other] {
        let more = rig.queue.add_part(id, part(70, 1)).await;
        assert!(matches!(more, Err(Error::NotFound(_))), "{more:?}");
        let again = rig.queue.add_part(id, part(0, 70)).await;
        assert!(matches!(again, Err(Error::NotFound(_))), "{again:?}");
        let sealed = rig.queue.seal_batch(id, Seal::default()).await;
        assert!(matches!(sealed, Err(Error::NotFound(_))), "{sealed:?}");
        assert!(matches!(rig.queue.batch(id).await, Err(Error::NotFound(_))));
        assert!(matches!(rig.queue.cancel_batch(id).await, Err(Error::NotFound(_))));
    }
    assert!(rig.claim(&worker, 100).await.is_empty());
    rig.tick().await;
    rig
}

pub(crate) async fn repeated_whole_upload_is_the_first(store: Store) -> Rig {
    let rig = store.open().await;
    let key =
        |digest: &str| Some(Idempotency { key: "nightly".to_owned(), digest: digest.to_owned() });
    let mut sealed = Vec::new();
    for digest in ["a", "a", "b"] {
        let id = rig.queue.open_batch(batch_of(0), Release::Whole).await.unwrap().id;
        add(&rig, id, 0, 3).await;
        let seal = Seal { total: Some(3), idempotency: key(digest) };
        sealed.push((id, rig.queue.seal_batch(id, seal).await));
    }

    let (first, second, third) = (&sealed[0], &sealed[1], &sealed[2]);
    let answer = second.1.as_ref().unwrap();
    assert_eq!((first.1.as_ref().unwrap().id, answer.id), (first.0, first.0));
    assert!(answer.replayed);
    assert!(matches!(third.1, Err(Error::KeyReused)), "{third:?}");
    rig.queue.discard_batch(third.0).await.unwrap();
    rig.tick().await;
    assert_eq!(rig.queue.batches(None, None, 9).await.unwrap().items.len(), 1);
    rig
}

pub(crate) async fn held_upload_is_kept_for_an_hour_after_its_last_part(store: Store) -> Rig {
    let rig = store.open().await;
    let id = rig.queue.open_batch(batch_of(0), Release::Whole).await.unwrap().id;
    for first in [0, 1] {
        rig.pass(Duration::from_mins(50));
        rig.tick().await;
        add(&rig, id, first, 1).await;
    }

    rig.pass(Duration::from_mins(61));
    rig.tick().await;

    let more = rig.queue.add_part(id, part(2, 1)).await;
    assert!(matches!(more, Err(Error::NotFound(_))), "{more:?}");
    rig
}

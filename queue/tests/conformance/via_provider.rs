//! Batches that their model's provider runs: nothing is handed out until they are resumed, and
//! whoever has them run there is told when they are whole and when they have ended.

use std::time::Duration;

use queue::{
    BatchId, BatchState, Channel, Delivery, End, Limits, NewBatch, Notice, Release, Spec, Subject,
    Via,
};

use crate::{
    rig::{Rig, Store, batch_of, succeeded},
    uploads::{add, end_all, part, seal},
};

fn via_provider(count: usize) -> NewBatch {
    let batch = batch_of(count);
    NewBatch { spec: Spec { via: Via::Provider, ..batch.spec }, ..batch }
}

async fn take(rig: &Rig) -> Vec<Notice> {
    rig.queue.take_notices(Channel::Provider, 100, Duration::from_secs(60)).await.unwrap()
}

async fn told(rig: &Rig) -> Vec<Subject> {
    let notices = take(rig).await;
    let sent: Vec<_> = notices.iter().map(|it| (it.clone(), Delivery::Sent)).collect();
    rig.queue.delivered(&sent).await.unwrap();
    notices.into_iter().map(|it| it.subject).collect()
}

async fn state(rig: &Rig, id: BatchId) -> BatchState {
    rig.queue.batch(id).await.unwrap().state
}

pub(crate) async fn batch_waits_for_its_providers_replies(store: Store) -> Rig {
    let rig = store.open().await;
    let worker = rig.worker().await;
    let id = rig.queue.submit_batch(via_provider(130)).await.unwrap().id;

    assert_eq!(told(&rig).await, [Subject::Batch(id)], "when it is whole");
    assert!(rig.claim_all(&worker, 200).await.is_empty());
    assert_eq!(state(&rig, id).await, BatchState::Paused);
    rig.queue.resume_batch(id).await.unwrap();
    end_all(&rig, &worker, 130).await;

    assert_eq!(state(&rig, id).await, BatchState::Completed);
    assert_eq!(told(&rig).await, [Subject::Batch(id)], "when it has ended");
    rig
}

pub(crate) async fn upload_is_told_when_it_is_sealed(store: Store) -> Rig {
    let rig = store.open().await;
    let worker = rig.worker().await;
    let mut sealed = Vec::new();
    for release in [Release::PartByPart, Release::Whole] {
        let id = rig.queue.open_batch(via_provider(0), release).await.unwrap().id;
        rig.queue.add_part(id, part(0, 70)).await.unwrap();
        if release == Release::PartByPart {
            assert_eq!(state(&rig, id).await, BatchState::Uploading);
            add(&rig, id, 70, 5).await;
        }
        assert!(rig.claim_all(&worker, 200).await.is_empty());
        assert!(take(&rig).await.is_empty());

        seal(&rig, id).await;

        assert_eq!(state(&rig, id).await, BatchState::Paused);
        assert_eq!(told(&rig).await, [Subject::Batch(id)]);
        sealed.push(id);
    }
    assert!(rig.claim_all(&worker, 200).await.is_empty());
    for id in sealed {
        rig.queue.resume_batch(id).await.unwrap();
    }
    assert_eq!(rig.claim_all(&worker, 200).await.len(), 145);
    rig
}

pub(crate) async fn batch_that_is_called_off_is_told_at_once(store: Store) -> Rig {
    let rig = store.open().await;
    let id = rig.queue.submit_batch(via_provider(70)).await.unwrap().id;
    let waiting = take(&rig).await.remove(0);
    let later = Delivery::Later(Duration::from_secs(3600));
    rig.queue.delivered(&[(waiting, later)]).await.unwrap();
    assert!(take(&rig).await.is_empty());

    rig.queue.cancel_batch(id).await.unwrap();
    rig.tick().await;

    assert_eq!(state(&rig, id).await, BatchState::Cancelled);
    assert_eq!(told(&rig).await, [Subject::Batch(id)]);
    rig
}

pub(crate) async fn such_notices_are_never_dropped(store: Store) -> Rig {
    let rig = store.open_with(Limits { outbox_max: 1, ..Limits::default() }).await;
    for _ in 0..3 {
        rig.queue.submit_batch(via_provider(1)).await.unwrap();
    }

    rig.tick().await;

    assert_eq!(told(&rig).await.len(), 3);
    rig
}

pub(crate) async fn items_that_run_again_are_handed_out(store: Store) -> Rig {
    let rig = store.open().await;
    let worker = rig.worker().await;
    let id = rig.queue.submit_batch(via_provider(2)).await.unwrap().id;
    rig.queue.resume_batch(id).await.unwrap();
    for lease in rig.claim_all(&worker, 2).await {
        rig.finish(lease, End::Cancelled).await;
    }

    assert_eq!(rig.queue.retry_batch(id).await.unwrap(), 2);

    let mut again = rig.claim_all(&worker, 2).await;
    assert_eq!(again.len(), 2);
    rig.finish(again.remove(0), succeeded("yes")).await;
    rig
}

//! Chunks of a batch, and those who must not wait behind them.

use queue::{Batch, BatchId, BatchItem, BatchState, Class, Ended, NewBatch, Spec, State, Used};
use testkit::{Reply, StubLm};

use super::site::{SOON, Site, inputs, spec};

async fn submit(site: &Site, items: usize) -> BatchId {
    let item = |n: usize| BatchItem {
        inputs: inputs(&format!("question {n}")),
        custom_id: None,
        fingerprint: None,
        invalid: None,
    };
    let new = NewBatch {
        id: BatchId::new(),
        spec: Spec { class: Class::Bulk, ..spec("qa") },
        cache_ttl: None,
        policy: queue::Policy::default(),
        items: (0..items).map(item).collect(),
        idempotency: None,
    };
    site.queue.submit_batch(new).await.unwrap().id
}

async fn until_completed(site: &Site, id: BatchId) -> Batch {
    testkit::until("the batch is completed", SOON, async || {
        let batch = site.queue.batch(id).await.unwrap();
        (batch.state == BatchState::Completed).then_some(batch)
    })
    .await
}

#[tokio::test]
async fn a_batch_of_many_chunks_is_run_to_its_end() {
    let site = Site::new(StubLm::new(Reply::Fitting));
    let worker = site.start();

    let id = submit(&site, 200).await;

    let batch = until_completed(&site, id).await;
    assert_eq!(batch.ended, Ended { succeeded: 200, ..Ended::default() });
    let used = Used { prompt_tokens: 1400, completion_tokens: 1000, cost_micros: 0 };
    assert_eq!((site.lm.calls(), batch.used), (200, used));
    worker.end().await;
}

#[tokio::test]
async fn somebody_who_waits_gets_the_slot_that_bulk_work_leaves() {
    let mut site = Site::new(StubLm::new(Reply::Nothing));
    site.config.slots = 4;
    let worker = site.start();
    submit(&site, 100).await;
    site.until_called(3).await;
    site.lm.usually(Reply::Fitting);

    let id = site.submit(|_| {}).await;

    site.until(id, State::Succeeded).await;
    assert_eq!(site.lm.calls(), 4, "three items hold their slots");
    worker.stop.cancel();
    worker.hurry.cancel();
    worker.stopped().await;
}

#[tokio::test]
async fn a_chunk_that_was_not_begun_is_given_back() {
    let site = Site::new(StubLm::new(Reply::Nothing));
    let worker = site.start();
    let id = submit(&site, 20).await;
    site.until_called(3).await;
    let metrics = std::sync::Arc::clone(&worker.metrics);

    worker.stop.cancel();
    worker.hurry.cancel();
    worker.stopped().await;

    assert_eq!((metrics.returned.get(), metrics.succeeded.get()), (20, 0));
    site.lm.usually(Reply::Fitting);
    let next = site.start();
    assert_eq!(until_completed(&site, id).await.ended.succeeded, 20);
    next.end().await;
}

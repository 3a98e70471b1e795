//! Chunks of a batch, and those who must not wait behind them.

use queue::{BatchId, Ended, State, Used};
use testkit::{Reply, StubLm};

use super::site::{Site, spec};

async fn submit(site: &Site, items: usize) -> BatchId {
    site.submit_batch(spec("qa"), (0..items).map(|n| format!("question {n}"))).await
}

#[tokio::test]
async fn a_batch_of_many_chunks_is_run_to_its_end() {
    let site = Site::new(StubLm::new(Reply::Fitting));
    let worker = site.start();

    let id = submit(&site, 200).await;

    let batch = site.until_completed(id).await;
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
    assert_eq!(site.until_completed(id).await.ended.succeeded, 20);
    next.end().await;
}

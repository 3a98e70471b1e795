//! How a worker stops.

use std::time::{Duration, Instant};

use queue::State;
use testkit::{Reply, StubLm};

use super::site::{SOON, Site};

#[tokio::test]
async fn running_work_may_end() {
    let site = Site::new(StubLm::new(Reply::Fitting.at_gate()));
    let worker = site.start();
    let (running, metrics) = (site.submit(|_| {}).await, std::sync::Arc::clone(&worker.metrics));
    site.until_called(1).await;

    worker.stop.cancel();
    let late = site.submit(|_| {}).await;
    site.lm.open_gate();
    worker.stopped().await;

    site.until(running, State::Succeeded).await;
    assert_eq!(site.queue.execution(late).await.unwrap().state, State::Queued);
    assert_eq!((metrics.succeeded.get(), site.lm.calls()), (1, 1));
}

#[tokio::test]
async fn what_does_not_end_in_time_is_given_back_uncounted() {
    let mut site = Site::new(StubLm::new(Reply::Nothing));
    site.config.shutdown_timeout = Duration::from_millis(100);
    let worker = site.start();
    let id = site.submit(|_| {}).await;
    site.until_called(1).await;

    worker.end().await;

    let execution = site.queue.execution(id).await.unwrap();
    assert_eq!((execution.state, execution.attempts.len()), (State::Queued, 0));
    site.lm.usually(Reply::Fitting);
    let next = site.start();
    site.until(id, State::Succeeded).await;
    next.end().await;
}

#[tokio::test]
async fn a_second_signal_gives_back_at_once() {
    let site = Site::new(StubLm::new(Reply::Nothing));
    let worker = site.start();
    let id = site.submit(|_| {}).await;
    site.until_called(1).await;
    let begun = Instant::now();

    worker.stop.cancel();
    worker.hurry.cancel();
    worker.stopped().await;

    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let execution = site.queue.execution(id).await.unwrap();
    assert_eq!((execution.state, execution.attempts.len()), (State::Queued, 0));
}

#[tokio::test]
async fn a_worker_that_stopped_is_struck_off() {
    let site = Site::new(StubLm::new(Reply::Fitting));
    let worker = site.start();
    let workers = async || {
        let filter = queue::StatsFilter::default();
        site.queue.stats(&filter).await.unwrap().workers
    };
    testkit::until_true("it is known", SOON, async || workers().await.len() == 1).await;
    assert_eq!(workers().await[0].programs, ["qa@1.0.0"]);

    worker.end().await;

    assert_eq!(workers().await, []);
}

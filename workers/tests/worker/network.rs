//! A worker whose store goes away and comes back.

use std::{sync::Arc, time::Duration};

use queue::{Clock, ExecutionId, Limits, RedisConfig, RedisQueue, State};
use testkit::{Network, Proxy, RedisServer, Reply, StubLm};

use super::site::{SOON, Site};

const LEASE: Duration = Duration::from_millis(900);

async fn connect(port: u16, name: &str) -> RedisQueue {
    RedisQueue::connect(RedisConfig {
        url: format!("redis://127.0.0.1:{port}"),
        queue: name.to_owned(),
        limits: Limits { lease: LEASE, ..Limits::default() },
        clock: Clock::Store,
        allow_eviction: false,
        objects: None,
    })
    .await
    .unwrap()
}

/// A site whose worker reaches its Redis through a network that can fail.
async fn site(lm: StubLm) -> (Site, Proxy) {
    let (port, name) = (RedisServer::shared().port(), ExecutionId::new().to_string());
    let proxy = Proxy::new(port);
    let queue = connect(proxy.port(), &name).await;
    let mut site = Site::with(lm, Arc::new(queue), tempfile::tempdir().unwrap());
    site.config.lease = LEASE;
    (site, proxy)
}

#[tokio::test]
async fn a_worker_goes_on_when_the_store_comes_back() {
    let (site, proxy) = site(StubLm::new(Reply::Fitting)).await;
    let worker = site.start();
    let first = site.submit(|_| {}).await;
    site.until(first, State::Succeeded).await;

    proxy.set(Network::Cut);
    testkit::until_true("it notices", SOON, async || worker.metrics.beat_errors.get() > 0).await;
    proxy.set(Network::Well);
    let second = site.submit(|_| {}).await;

    site.until(second, State::Succeeded).await;
    worker.end().await;
}

#[tokio::test]
async fn a_result_is_kept_until_the_store_comes_back() {
    let (site, proxy) = site(StubLm::new(Reply::Fitting.at_gate())).await;
    let worker = site.start();
    let id = site.submit(|_| {}).await;
    site.until_called(1).await;

    proxy.set(Network::Cut);
    site.lm.open_gate();
    testkit::until_true("it notices", SOON, async || worker.metrics.beat_errors.get() > 0).await;
    proxy.set(Network::Well);

    site.until(id, State::Succeeded).await;
    assert_eq!(site.lm.calls(), 1, "the reply is paid for once");
    worker.end().await;
}

#[tokio::test]
async fn a_worker_that_was_declared_dead_takes_a_new_name_and_goes_on() {
    let (site, proxy) = site(StubLm::new(Reply::Fitting)).await;
    let name = ExecutionId::new().to_string();
    let server = RedisServer::shared().port();
    let other = Arc::new(connect(server, &name).await);
    let through = connect(proxy.port(), &name).await;
    let mut site = Site { queue: Arc::new(through), ..site };
    site.lm.usually(Reply::Fitting.at_gate());
    let worker = site.start();
    let id = site.submit(|_| {}).await;
    site.until_called(1).await;

    proxy.set(Network::Stalled);
    site.queue = Arc::clone(&other) as Arc<dyn queue::Queue>;
    testkit::until_true("others take its work", SOON, async || {
        queue::Work::tick(&*other).await.unwrap().rescued > 0
    })
    .await;
    proxy.cut_once();
    testkit::until_true("it hears", SOON, async || worker.metrics.declared_dead.get() == 1).await;
    site.lm.open_gate();

    site.until(id, State::Succeeded).await;
    let next = site.submit(|_| {}).await;
    site.until(next, State::Succeeded).await;
    worker.end().await;
}

//! What only a server in a network can do: fail, come back, be somebody else.

use std::{collections::HashSet, sync::Arc, time::Duration};

use queue::{
    Clock, Control as _, Error, ExecutionId, Intake as _, Limits, Queue, RedisConfig, RedisQueue,
    State, Verdict, WorkerId,
};
use testkit::{Network, Proxy, RedisCluster, RedisSentinel, RedisServer, until};

use crate::rig::{SOON, ask, batch_of, info, redis_config, succeeded, want};

pub(crate) fn config(url: String) -> RedisConfig {
    redis_config(url, Limits::default(), Clock::Store)
}

async fn connect(url: String) -> Arc<dyn Queue> {
    Arc::new(RedisQueue::connect(config(url)).await.unwrap())
}

pub(crate) async fn beaten(queue: &dyn Queue) -> WorkerId {
    let worker = WorkerId::new("host", 1);
    queue.beat(&info(&worker)).await.unwrap();
    worker
}

async fn submit_many(queue: &dyn Queue, count: usize) -> HashSet<ExecutionId> {
    let mut ids = HashSet::new();
    for n in 0..count {
        ids.insert(queue.submit(ask(&n.to_string())).await.unwrap().id);
    }
    ids
}

/// Runs everything to its end with workers that live as long as the store lets them, and checks
/// that each ended once.
async fn run_out(queue: &dyn Queue, ids: &HashSet<ExecutionId>) {
    let mut worker = WorkerId::new("host", 1);
    until("everything has ended", 4 * SOON, async || {
        let orders = queue.beat(&info(&worker)).await.ok()?;
        if orders.declared_dead {
            worker = WorkerId::new("host", 1);
            return None;
        }
        queue.tick().await.ok()?;
        let wait = Duration::from_millis(50);
        for lease in queue.claim(&worker, want(32), wait).await.ok()? {
            let (end, run_time) = (succeeded("yes"), Duration::ZERO);
            let ending = queue::Ending { lease, end, started_at: chrono::Utc::now(), run_time };
            queue.finish(ending).await.ok()?;
        }
        for id in ids {
            if queue.execution(*id).await.ok()?.state != State::Succeeded {
                return None;
            }
        }
        Some(())
    })
    .await;
    assert_eq!(queue.violations().await.unwrap(), Vec::<String>::new());
    let stats = queue.stats(&queue::StatsFilter::default()).await.unwrap();
    assert_eq!(stats.ended.succeeded, ids.len() as u64);
}

#[tokio::test]
async fn server_with_aof_that_restarts_loses_nothing() {
    let mut server = RedisServer::with_aof();
    let queue = connect(server.url()).await;
    let ids = submit_many(&*queue, 50).await;
    let worker = beaten(&*queue).await;
    let held = queue.claim(&worker, want(10), Duration::ZERO).await.unwrap();
    assert_eq!(held.len(), 10);

    server.restart();

    run_out(&*queue, &ids).await;
}

#[tokio::test]
async fn waiting_claim_outlives_a_restart() {
    let mut server = RedisServer::with_aof();
    let queue = connect(server.url()).await;
    let worker = beaten(&*queue).await;
    let claiming = tokio::spawn({
        let (queue, worker) = (Arc::clone(&queue), worker.clone());
        async move {
            loop {
                let claim = queue.claim(&worker, want(1), Duration::from_secs(1)).await;
                match claim {
                    Ok(leases) if leases.is_empty() => {}
                    Ok(mut leases) => return leases.remove(0),
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        }
    });
    tokio::task::yield_now().await;

    server.restart();
    let id = until("the store is back", SOON, async || {
        queue.beat(&info(&worker)).await.ok()?;
        Some(queue.submit(ask("?")).await.ok()?.id)
    })
    .await;

    let lease = tokio::time::timeout(SOON, claiming).await.unwrap().unwrap();
    assert_eq!(lease.task.id, id);
}

#[tokio::test]
async fn waiter_outlives_a_restart() {
    let mut server = RedisServer::with_aof();
    let queue = connect(server.url()).await;
    let ids = submit_many(&*queue, 1).await;
    let id = *ids.iter().next().unwrap();
    let waiting = tokio::spawn({
        let queue = Arc::clone(&queue);
        async move { queue.wait(id, Duration::from_secs(60)).await }
    });
    tokio::task::yield_now().await;

    server.restart();
    run_out(&*queue, &ids).await;

    let execution = tokio::time::timeout(SOON, waiting).await.unwrap().unwrap();
    assert!(
        matches!(execution, Err(Error::Unavailable(_)))
            || execution.unwrap().state == State::Succeeded
    );
}

#[tokio::test]
async fn cut_connections_are_made_again() {
    let server = RedisServer::new();
    let proxy = Proxy::new(server.port());
    let queue = connect(format!("redis://127.0.0.1:{}", proxy.port())).await;
    let ids = submit_many(&*queue, 50).await;

    proxy.cut_once();
    run_out(&*queue, &ids).await;
}

#[tokio::test]
async fn store_out_of_reach_is_unavailable_and_not_for_ever() {
    let server = RedisServer::new();
    let proxy = Proxy::new(server.port());
    let queue = connect(format!("redis://127.0.0.1:{}", proxy.port())).await;

    for network in [Network::Cut, Network::Stalled] {
        proxy.set(network);
        let answer = tokio::time::timeout(2 * SOON, queue.submit(ask("?"))).await.unwrap();
        assert!(matches!(answer, Err(Error::Unavailable(_))), "{network:?}: {answer:?}");
        let answer = tokio::time::timeout(2 * SOON, queue.ping()).await.unwrap();
        assert!(matches!(answer, Err(Error::Unavailable(_))), "{network:?}: {answer:?}");
        proxy.set(Network::Well);
        until("the store is back", SOON, async || queue.ping().await.ok()).await;
    }
}

#[tokio::test]
async fn nobody_at_the_address_is_unavailable() {
    let url = format!("redis://127.0.0.1:{}", testkit::free_port());

    let answer = tokio::time::timeout(2 * SOON, RedisQueue::connect(config(url))).await.unwrap();

    assert!(matches!(answer, Err(Error::Unavailable(_))), "{:?}", answer.err());
}

#[tokio::test]
async fn server_that_evicts_is_refused_unless_allowed() {
    let server = RedisServer::with_args(&["--maxmemory-policy", "allkeys-lru"]);

    let refused = RedisQueue::connect(config(server.url())).await;
    assert!(matches!(refused, Err(Error::Setup(_))), "{:?}", refused.err());
    let allowed = RedisConfig { allow_eviction: true, ..config(server.url()) };
    RedisQueue::connect(allowed).await.unwrap();
}

#[tokio::test]
async fn server_that_keeps_nothing_is_warned_of() {
    let forgetful = RedisQueue::connect(config(RedisServer::shared().url())).await.unwrap();
    assert!(!forgetful.warnings().await.unwrap().is_empty());
    let server = RedisServer::with_aof();
    let careful = RedisQueue::connect(config(server.url())).await.unwrap();
    assert_eq!(careful.warnings().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn forgotten_scripts_are_loaded_again() {
    let server = RedisServer::new();
    let queue = connect(server.url()).await;
    let worker = beaten(&*queue).await;
    let flush = || assert_eq!(server.cli(&["SCRIPT", "FLUSH"]), "OK");

    flush();
    let id = queue.submit(ask("?")).await.unwrap().id;
    flush();
    let lease = queue.claim(&worker, want(1), Duration::ZERO).await.unwrap().remove(0);
    flush();
    let (end, run_time) = (succeeded("yes"), Duration::ZERO);
    let ending = queue::Ending { lease, end, started_at: chrono::Utc::now(), run_time };
    assert_eq!(queue.finish(ending).await.unwrap(), Verdict::Recorded(State::Succeeded));
    flush();
    queue.tick().await.unwrap();
    assert_eq!(queue.execution(id).await.unwrap().state, State::Succeeded);
}

#[tokio::test]
async fn full_memory_refuses_work_and_takes_results() {
    let server = RedisServer::new();
    let queue = connect(server.url()).await;
    let ids = submit_many(&*queue, 5).await;
    let worker = beaten(&*queue).await;
    let leases = queue.claim(&worker, want(5), Duration::ZERO).await.unwrap();

    assert_eq!(server.cli(&["CONFIG", "SET", "maxmemory", "1000000"]), "OK");

    let answer = queue.submit(ask("more")).await;
    assert!(matches!(answer, Err(Error::NoRoom(_))), "{answer:?}");
    for lease in leases {
        let (end, run_time) = (succeeded("yes"), Duration::ZERO);
        let ending = queue::Ending { lease, end, started_at: chrono::Utc::now(), run_time };
        assert_eq!(queue.finish(ending).await.unwrap(), Verdict::Recorded(State::Succeeded));
    }
    assert_eq!(server.cli(&["CONFIG", "SET", "maxmemory", "0"]), "OK");
    run_out(&*queue, &ids).await;
}

#[tokio::test]
async fn queues_of_other_names_share_nothing() {
    let url = RedisServer::shared().url();
    let (one, other) = (connect(url.clone()).await, connect(url).await);
    let id = one.submit(ask("?")).await.unwrap().id;

    let worker = beaten(&*other).await;

    assert!(other.claim(&worker, want(1), Duration::ZERO).await.unwrap().is_empty());
    assert!(matches!(other.execution(id).await, Err(Error::NotFound(_))));
}

#[tokio::test]
async fn two_processes_share_a_queue() {
    let config = config(RedisServer::shared().url());
    let api = RedisQueue::connect(config.clone()).await.unwrap();
    let far: Arc<dyn Queue> = Arc::new(RedisQueue::connect(config).await.unwrap());
    let worker = beaten(&*far).await;
    let id = api.submit(ask("?")).await.unwrap().id;
    let waiting = tokio::spawn({
        use queue::Records as _;
        async move { api.wait(id, Duration::from_secs(60)).await }
    });

    let lease = far.claim(&worker, want(1), SOON).await.unwrap().remove(0);
    let (end, run_time) = (succeeded("yes"), Duration::ZERO);
    let ending = queue::Ending { lease, end, started_at: chrono::Utc::now(), run_time };
    far.finish(ending).await.unwrap();

    let execution = tokio::time::timeout(SOON, waiting).await.unwrap().unwrap().unwrap();
    assert_eq!(execution.state, State::Succeeded);
}

#[tokio::test]
async fn replica_takes_over_by_sentinel() {
    let mut set = RedisSentinel::new();
    let queue = connect(set.url()).await;
    let ids = submit_many(&*queue, 20).await;
    let batch = queue.submit_batch(batch_of(70)).await.unwrap().id;
    let worker = beaten(&*queue).await;
    queue.claim(&worker, want(5), Duration::ZERO).await.unwrap();
    set.wait_for_replica();

    set.fail_over();

    let items = (0..70).map(|n| batch.item(n));
    run_out(&*queue, &ids.into_iter().chain(items).collect()).await;
}

#[tokio::test]
async fn queue_lives_on_a_cluster() {
    let cluster = RedisCluster::new();
    let queue = connect(cluster.url()).await;
    let ids = submit_many(&*queue, 20).await;
    let batch = queue.submit_batch(batch_of(70)).await.unwrap().id;

    let items = (0..70).map(|n| batch.item(n));
    run_out(&*queue, &ids.into_iter().chain(items).collect()).await;
}

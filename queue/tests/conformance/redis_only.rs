//! What only a server in a network can do: fail, come back, be somebody else.

use std::{collections::HashSet, sync::Arc, time::Duration};

use queue::{
    Clock, Control as _, Error, ExecutionId, Intake as _, Limits, Queue, Records as _, RedisConfig,
    RedisQueue, State, Verdict, Work as _, WorkerId,
};
use testkit::{Network, Proxy, RedisCluster, RedisSentinel, RedisServer, until};

use crate::rig::{SOON, ask, batch_of, failed, info, redis_config, succeeded, want};

fn config(url: String) -> RedisConfig {
    redis_config(url, Limits::default(), Clock::Store)
}

async fn connect(url: String) -> Arc<dyn Queue> {
    Arc::new(RedisQueue::connect(config(url)).await.unwrap())
}

async fn beaten(queue: &dyn Queue) -> WorkerId {
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
async fn chunk_that_cannot_be_packed_leaves_others_to_be_packed() {
    let server = RedisServer::new();
    let config = config(server.url());
    let prefix = format!("dq:{{{}#0}}:", config.queue);
    let queue: Arc<dyn Queue> = Arc::new(RedisQueue::connect(config).await.unwrap());
    let worker = beaten(&*queue).await;
    let batch = queue.submit_batch(batch_of(128)).await.unwrap().id;
    let finish = async |lease| {
        let (end, run_time) = (succeeded("yes"), Duration::ZERO);
        let ending = queue::Ending { lease, end, started_at: chrono::Utc::now(), run_time };
        queue.finish(ending).await.unwrap();
    };
    let mut leases = queue.claim(&worker, want(64), Duration::ZERO).await.unwrap();
    leases.extend(queue.claim(&worker, want(64), Duration::ZERO).await.unwrap());
    let last = leases.pop().unwrap();
    let first = leases.remove(0);
    for lease in leases {
        finish(lease).await;
    }

    server.cli(&["HSET", &format!("{prefix}b:{batch}:r:0"), "1", "broken"]);
    let rubbish: Vec<String> = (0..16).map(|n| format!("rubbish {n}")).collect();
    let packs = format!("{prefix}packs");
    let names = ["SADD", &packs].into_iter().chain(rubbish.iter().map(String::as_str));
    server.cli(&names.collect::<Vec<_>>());
    tokio::join!(finish(first), finish(last));

    until("the whole chunk is packed", SOON, async || {
        let packed = server.cli(&["EXISTS", &format!("{prefix}b:{batch}:p:1")]);
        (packed == "1").then_some(())
    })
    .await;
    until("nothing is left to be packed", SOON, async || {
        (server.cli(&["SCARD", &packs]) == "0").then_some(())
    })
    .await;
    assert_eq!(queue.batch(batch).await.unwrap().ended.succeeded, 128);
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

#[tokio::test]
async fn items_of_packed_chunks_answer_equal_ones() {
    const HOUR: Duration = Duration::from_secs(3600);
    let server = RedisServer::new();
    let config = config(server.url());
    let queue_name = config.queue.clone();
    let queue = RedisQueue::connect(config).await.unwrap();
    let worker = beaten(&queue).await;
    let cached = |count: usize, first: usize| {
        let mut new = batch_of(count);
        new.cache_ttl = Some(HOUR);
        for (n, item) in new.items.iter_mut().enumerate() {
            item.fingerprint = Some(format!("f{}", first + n));
        }
        new
    };
    let first = queue.submit_batch(cached(128, 0)).await.unwrap().id;
    for lease in [64, 64] {
        for lease in queue.claim(&worker, want(lease), Duration::ZERO).await.unwrap() {
            let (end, run_time) = (succeeded("yes"), Duration::ZERO);
            let ending = queue::Ending { lease, end, started_at: chrono::Utc::now(), run_time };
            queue.finish(ending).await.unwrap();
        }
    }
    let packs = format!("dq:{{{queue_name}#0}}:b:{first}:p:");
    let are_packed =
        || [0, 1].iter().all(|k| server.cli(&["EXISTS", &format!("{packs}{k}")]) == "1");
    until("both chunks are packed", SOON, async || are_packed().then_some(())).await;

    let mut single = ask("?");
    single.cache = Some(queue::CacheKey { fingerprint: "f7".to_owned(), ttl: HOUR });
    let single = queue.submit(single).await.unwrap();
    assert_eq!(single.state, State::Succeeded);
    let again = queue.submit_batch(cached(130, 0)).await.unwrap().id;

    let batch = queue.batch(again).await.unwrap();
    assert_eq!((batch.ended.succeeded, batch.total), (128, 130));
    let hit = queue.execution(again.item(100)).await.unwrap();
    assert!(hit.cache_hit && hit.report.unwrap().outputs.is_some());
    assert!(are_packed());
    assert_eq!(queue.violations().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn retry_unpacks_only_what_has_something_to_run_again() {
    let server = RedisServer::new();
    let config = config(server.url());
    let queue_name = config.queue.clone();
    let queue = RedisQueue::connect(config).await.unwrap();
    let worker = beaten(&queue).await;
    let id = queue.submit_batch(batch_of(128)).await.unwrap().id;
    for _ in 0..2 {
        let leases = queue.claim(&worker, want(64), Duration::ZERO).await.unwrap();
        let ends = leases.into_iter().map(|lease| {
            let bad = lease.task.id == id.item(100);
            let (end, run_time) =
                (if bad { failed("no") } else { succeeded("yes") }, Duration::ZERO);
            let started_at = chrono::Utc::now();
            queue.finish(queue::Ending { lease, end, started_at, run_time })
        });
        futures::future::try_join_all(ends).await.unwrap();
    }
    let there = |kind: &str, chunk: u32| {
        let key = format!("dq:{{{queue_name}#0}}:b:{id}:{kind}:{chunk}");
        server.cli(&["EXISTS", &key]) == "1"
    };
    until("both chunks are packed", SOON, async || (there("p", 0) && there("p", 1)).then_some(()))
        .await;

    assert_eq!(queue.retry_batch(id).await.unwrap(), 1);

    assert!(there("p", 0) && !there("r", 0), "nothing of the first is to run again");
    assert!(there("r", 1));
    let again = queue.claim(&worker, want(64), Duration::ZERO).await.unwrap();
    assert_eq!(again.iter().map(|it| it.task.id).collect::<Vec<_>>(), [id.item(100)]);
    assert_eq!(queue.violations().await.unwrap(), Vec::<String>::new());
}

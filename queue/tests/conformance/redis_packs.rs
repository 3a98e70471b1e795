//! Chunks whose results Redis holds packed.

use std::{sync::Arc, time::Duration};

use futures::future::try_join_all;
use queue::{Control as _, Intake as _, Queue, Records as _, RedisQueue, State, Work as _};
use testkit::{RedisServer, until};

use crate::{
    redis_only::{beaten, config},
    rig::{SOON, ask, batch_of, failed, succeeded, want},
};

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
        try_join_all(ends).await.unwrap();
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

//! Stores that fail, and come back, or another in their place.

use std::time::{Duration, Instant};

use serde_json::json;
use testkit::{Network, Proxy, RedisCluster, RedisSentinel, RedisServer, Reply, until_true};

use crate::site::{SOON, Site, Store};

/// Runs a batch and singles while something happens to the store; all must succeed, once.
async fn outlives(site: &Site, count: usize, fault: impl AsyncFnOnce()) {
    site.lm.usually(Reply::Fitting.after(Duration::from_millis(20)));
    let up = site.up().await;
    let batch = site.ask_many(count).await;
    let single = site.ask("single").await;
    site.until_calls(count / 4).await;

    fault().await;

    let record = site.ended(&batch).await;
    assert_eq!(record["counts"]["succeeded"], count, "{record:#}");
    site.succeeded(&single).await;
    site.succeeded(&site.ask("afterwards").await).await;
    let (total, succeeded) = site.totals().await;
    // A request that was refused because the answer of the store did not come may have been taken.
    let least = count as u64 + 2;
    assert!(total == succeeded && (least..=least + 1).contains(&total), "{succeeded} of {total}");
    site.check(up).await;
}

#[tokio::test]
async fn redis_with_aof_may_restart() {
    let mut site = Store::Redis.site().await;
    let mut redis = site.redis.take().unwrap();

    outlives(&site, 200, async || redis.restart()).await;
}

#[tokio::test]
async fn redis_may_stand_still_for_ten_seconds() {
    let mut site = Store::Redis.site().await;
    let redis = site.redis.take().unwrap();

    outlives(&site, 200, async || {
        redis.pause();
        let begun = Instant::now();
        until_true("the store is missed", SOON, async || {
            let answer = site.http.get("/health").await.unwrap();
            answer.status == 503 && answer.json()["status"] == "unhealthy"
        })
        .await;
        let body = json!({ "program_id": "qa", "inputs": { "question": "?" } });
        let refused = site.http.post("/execute", &body).await.unwrap();
        assert_eq!(refused.status, 503, "{}", refused.body);
        assert!(!refused.header("retry-after").is_empty());
        tokio::time::sleep(Duration::from_secs(10).saturating_sub(begun.elapsed())).await;
        redis.resume();
        site.until("/health", |it| it["status"] == "healthy").await;
    })
    .await;
}

#[tokio::test]
async fn connections_may_be_cut() {
    let redis = RedisServer::new();
    let proxy = Proxy::new(redis.port());
    let site = Site::at(Some(format!("redis://127.0.0.1:{}", proxy.port()))).await;

    outlives(&site, 200, async || {
        for _ in 0..5 {
            proxy.cut_once();
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        proxy.set(Network::Cut);
        tokio::time::sleep(Duration::from_secs(5)).await;
        proxy.set(Network::Well);
    })
    .await;
}

#[tokio::test]
async fn network_may_be_slow() {
    let redis = RedisServer::new();
    let proxy = Proxy::new(redis.port());
    let site = Site::at(Some(format!("redis://127.0.0.1:{}", proxy.port()))).await;

    outlives(&site, 100, async || proxy.set(Network::Slow(Duration::from_millis(100)))).await;
}

#[tokio::test]
async fn replica_may_take_the_masters_place() {
    let mut set = RedisSentinel::new();
    let site = Site::at(Some(set.url())).await;
    site.lm.usually(Reply::Fitting.after(Duration::from_millis(100)));
    let up = site.up().await;
    let batch = site.ask_many(100).await;
    let single = site.ask("single").await;
    site.succeeded(&single).await;
    set.wait_for_replica();

    set.fail_over();

    let record = site.ended(&batch).await;
    assert_eq!(record["counts"]["succeeded"], 100, "{record:#}");
    site.succeeded(&site.ask("afterwards").await).await;
    site.check(up).await;
}

#[tokio::test]
async fn cluster_is_a_store_like_any_other() {
    let cluster = RedisCluster::new();
    let site = Site::at(Some(cluster.url())).await;

    outlives(&site, 150, async || {}).await;
}

//! Batches whose payloads lie in a bucket of S3, or in a folder, beside Redis.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Network, Proxy, Reply, S3Server, until_true};

use crate::site::{SOON, Site, Store};

const NDJSON: (&str, &str) = ("content-type", "application/x-ndjson");
const COUNT: usize = 2000;
/// Makes numbers that look like chance: 2^64 divided by the golden ratio.
const NOISE: u64 = 0x9E37_79B9_7F4A_7C15;

/// A site with its payloads in a bucket, which is reached on a port.
async fn site_with_bucket(server: &S3Server, port: u16) -> Site {
    let site = Store::Redis.site().await.with("MAX_WORKERS", "64").with("LEASE", "1s");
    site.with("OBJECT_STORE", &server.url())
        .with("AWS_ENDPOINT_URL", &format!("http://127.0.0.1:{port}"))
        .with("AWS_REGION", "us-east-1")
        .with("AWS_ACCESS_KEY_ID", "a")
        .with("AWS_SECRET_ACCESS_KEY", "of no meaning to this server")
}

async fn upload(site: &Site, program: &str) -> String {
    // What compresses well is small, and small payloads stay in Redis.
    let noise = |n: u64| format!("{:x}", n.wrapping_mul(NOISE));
    let question = |n: u64| (9 * n..9 * n + 9).map(noise).collect::<String>();
    let line = |n| json!({ "question": question(n) }).to_string() + "\n";
    let lines: String = (0..COUNT as u64).map(line).collect();
    let path = format!("/execute/batch?cache=false&program_id={program}");
    let answer = site.http.send("POST", &path, &[NDJSON], lines.as_bytes()).await.unwrap();
    assert!([201, 202].contains(&answer.status), "{}", answer.body);
    format!("/batch/{}", answer.json()["batch_id"].as_str().unwrap())
}

/// The results of all items, in order.
async fn results(site: &Site, path: &str) -> Vec<Value> {
    let answer = site.http.get(&format!("{path}/results?format=outcome")).await.unwrap();
    let lines: Vec<Value> =
        answer.body.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    let order: Vec<_> = lines.iter().map(|it| it["index"].as_u64().unwrap()).collect();
    assert!(order.into_iter().eq(0..COUNT as u64));
    lines
}

/// How many payloads of chunks lie in Redis itself.
fn in_redis(site: &Site) -> usize {
    let redis = site.redis.as_ref().unwrap();
    let keys = redis.cli(&["KEYS", "*:in:*"]);
    keys.lines().filter(|key| !redis.cli(&["GET", key]).starts_with('@')).count()
}

#[tokio::test]
async fn batch_with_its_payloads_in_a_bucket_outlives_a_killed_worker() {
    let server = S3Server::started().await;
    let site = site_with_bucket(&server, server.port()).await;
    site.lm.usually(Reply::Fitting.after(Duration::from_millis(20)));
    let mut up = site.up().await;
    let path = upload(&site, "qa").await;
    assert_eq!(in_redis(&site), 0);
    let count = async || server.listing().await.matches("<Key>").count();
    let inputs = count().await;

    site.until_calls(300).await;
    up.crash_runner(&site).await;
    site.until_calls(1200).await;
    up.crash_api(&site).await;

    let batch = site.ended(&path).await;
    assert_eq!((&batch["status"], &batch["total"]), (&json!("completed"), &json!(COUNT)));
    let lines = results(&site, &path).await;
    assert!(lines.iter().all(|it| it["status"] == "succeeded"));
    assert_eq!(site.totals().await, (COUNT as u64, COUNT as u64));
    assert!(site.lm.calls() <= COUNT + 64, "{} calls", site.lm.calls());
    until_true("results are in the bucket too", SOON, async || count().await > inputs).await;
    assert_eq!(results(&site, &path).await, lines);
    site.check(up).await;
}

#[tokio::test]
async fn executions_run_and_a_batch_waits_while_its_bucket_cannot_be_reached() {
    let server = S3Server::started().await;
    let proxy = Proxy::new(server.port());
    let site = site_with_bucket(&server, proxy.port()).await;
    site.lm.usually(Reply::Fitting.after(Duration::from_millis(50)));
    let mut up = site.up().await;
    let path = upload(&site, "qa").await;
    site.until_calls(100).await;

    proxy.set(Network::Cut);
    up.runner().until_says("cannot read items of batch", 2 * SOON).await;
    site.succeeded(&site.ask("?").await).await;
    let batch = site.until(&path, |_| true).await;
    assert_eq!(batch["status"], "in_progress");
    proxy.set(Network::Well);

    assert_eq!(site.ended(&path).await["status"], "completed");
    assert!(results(&site, &path).await.iter().all(|it| it["status"] == "succeeded"));
    assert_eq!(site.lm.calls(), COUNT + 1);
    site.check(up).await;
}

#[tokio::test]
async fn folder_takes_the_payloads_and_the_embedded_store_says_where_its_own_are() {
    let site = Store::Redis.site().await;
    let folder = site.path("payloads");
    let site = site.with("OBJECT_STORE", &folder);
    let up = site.up().await;
    let path = upload(&site, "qa").await;
    assert_eq!(in_redis(&site), 0);
    assert_eq!(site.ended(&path).await["status"], "completed");
    assert_eq!(results(&site, &path).await.len(), COUNT);
    let metrics = site.http.get("/metrics").await.unwrap().body;
    assert!(metrics.contains("dspyx_object_store_requests{kind=\"write\"}"), "{metrics}");
    site.check(up).await;

    for (value, said) in [("ftp://host/x", "s3://bucket/path"), ("/proc/nowhere", "cannot use")] {
        let site = Site::at(site.redis.as_ref().map(testkit::RedisServer::url)).await;
        let (content, text) = site.with("OBJECT_STORE", value).run(&["worker"]).await;
        assert!(!content && text.contains(said), "{text}");
    }
    let embedded = Store::Sqlite.site().await.with("OBJECT_STORE", &folder);
    let (content, text) = embedded.run(&["serve"]).await;
    assert!(!content && text.contains("requires REDIS_URL"), "{text}");
}

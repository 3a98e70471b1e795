//! Large batches while something dies: nothing is lost, nothing counts twice, nothing half is left.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};
use testkit::{Answer, Reply, until_true};

use crate::site::{SOON, Site, Store};

const NDJSON: (&str, &str) = ("content-type", "application/x-ndjson");
const UPLOAD: &str = "/execute/batch?cache=false&program_id=";

fn questions(from: usize, to: usize) -> String {
    (from..to).map(|n| json!({ "question": n.to_string() }).to_string() + "\n").collect()
}

fn texts(count: usize, bytes: usize) -> String {
    let filler = "x".repeat(bytes);
    let line = |n| json!({ "text": format!("{n} {filler}") }).to_string() + "\n";
    (0..count).map(line).collect()
}

/// Lines that cannot be compressed much.
fn noise(count: u64) -> String {
    let line = |n: u64| {
        let number = u128::from(n).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
        json!({ "text": format!("{number:x}") }).to_string() + "\n"
    };
    (0..count).map(line).collect()
}

async fn upload(site: &Site, program: &str, lines: &str) -> Answer {
    let path = format!("{UPLOAD}{program}");
    site.http.send("POST", &path, &[NDJSON], lines.as_bytes()).await.unwrap()
}

fn path_of(answer: &Answer) -> String {
    assert!([201, 202].contains(&answer.status), "{}", answer.body);
    format!("/batch/{}", answer.json()["batch_id"].as_str().unwrap())
}

/// How each item ended, by its index; each has one line.
async fn endings(site: &Site, path: &str) -> BTreeMap<u64, String> {
    let answer = site.http.get(&format!("{path}/results?format=outcome")).await.unwrap();
    let lines: Vec<Value> =
        answer.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ending =
        |it: &Value| (it["index"].as_u64().unwrap(), it["status"].as_str().unwrap().to_owned());
    let endings: BTreeMap<u64, String> = lines.iter().map(ending).collect();
    assert_eq!(endings.len(), lines.len(), "an item has two lines");
    endings
}

/// How many batches there are.
async fn batches(site: &Site) -> usize {
    site.until("/batches", |_| true).await["batches"].as_array().unwrap().len()
}

async fn assert_nothing_is_left(site: &Site) {
    let batches = site.until("/batches", |_| true).await;
    assert_eq!(batches["batches"], json!([]));
    let stats = site.until("/stats", |_| true).await;
    assert_eq!((&stats["queue"]["queued"], &stats["queue"]["running"]), (&json!(0), &json!(0)));
}

pub(crate) async fn uploaded_batch_outlives_killed_runners(store: Store) {
    const SLOTS: usize = 32;
    let site = store.site().await.with("MAX_WORKERS", "32").with("LEASE", "1s");
    site.lm.usually(Reply::Fitting.after(Duration::from_millis(50)));
    let mut up = site.up().await;
    let path = path_of(&upload(&site, "qa", &questions(0, 900)).await);

    let kills = [100, 350, 600, 850];
    for calls in kills {
        site.until_calls(calls).await;
        up.crash_runner(&site).await;
    }

    let batch = site.ended(&path).await;
    assert_eq!((&batch["status"], &batch["total"]), (&json!("completed"), &json!(900)));
    let endings = endings(&site, &path).await;
    assert!(endings.keys().copied().eq(0..900));
    assert!(endings.values().all(|it| it == "succeeded"));
    let most = 900 + kills.len() * SLOTS;
    assert!(site.lm.calls() <= most, "{} calls for 900 items", site.lm.calls());
    assert_eq!(site.totals().await, (900, 900));
    site.check(up).await;
}

pub(crate) async fn upload_dies_with_its_client_or_its_server(store: Store) {
    let site = store.site().await;
    let mut up = site.up().await;
    let lines = texts(1500, 1000);
    let (path, half) = (format!("{UPLOAD}echo"), &lines.as_bytes()[..lines.len() / 2]);

    let gone = site.http.begin("POST", &path, &[NDJSON], lines.len(), half).await.unwrap();
    drop(gone);
    assert_nothing_is_left(&site).await;
    let cut = site.http.begin("POST", &path, &[NDJSON], lines.len(), half).await.unwrap();
    up.crash_api(&site).await;
    drop(cut);

    assert_nothing_is_left(&site).await;
    let whole = path_of(&upload(&site, "echo", &lines).await);
    assert_eq!(site.ended(&whole).await["counts"]["succeeded"], 1500);
    site.check(up).await;
}

pub(crate) async fn parts_outlive_a_killed_api(store: Store) {
    let site = store.site().await;
    let mut up = site.up().await;
    let opened = site.http.send("POST", "/batch?program_id=qa", &[], b"").await.unwrap();
    let path = path_of(&opened);
    let part = async |first: usize, to: usize| {
        let lines = questions(first, to);
        let path = format!("{path}/items?first={first}");
        site.http.send("PUT", &path, &[NDJSON], lines.as_bytes()).await.unwrap()
    };

    let first = part(0, 100).await;
    up.crash_api(&site).await;
    let again = part(0, 100).await;
    let second = part(100, 150).await;
    let batch = site.until(&path, |it| it["counts"]["succeeded"] == 150).await;
    up.crash_api(&site).await;
    let sealed = site.http.post(&format!("{path}/seal"), &json!({ "total": 150 })).await.unwrap();

    for (answer, received) in [(&first, 100), (&again, 100), (&second, 150)] {
        assert_eq!((answer.status, &answer.json()["received"]), (200, &json!(received)));
    }
    assert_eq!((&batch["status"], sealed.status), (&json!("uploading"), 202));
    assert_eq!(site.ended(&path).await["status"], "completed");
    assert_eq!(site.totals().await, (150, 150));
    site.check(up).await;
}

pub(crate) async fn download_goes_on_where_a_killed_api_ended(store: Store) {
    let site = store.site().await;
    let mut up = site.up().await;
    let path = path_of(&upload(&site, "echo", &texts(1200, 100)).await);
    site.ended(&path).await;
    let results = format!("{path}/results?format=outcome");
    let whole = site.http.get(&results).await.unwrap().body;

    let cut = site.http.begin("GET", &results, &[], 0, b"").await.unwrap();
    cut.readable().await.unwrap();
    up.crash_api(&site).await;
    let rest = site.http.get(&format!("{results}&cursor=700")).await.unwrap().body;

    let begun: String = whole.lines().take(700).map(|line| line.to_owned() + "\n").collect();
    assert_eq!(whole.lines().count(), 1200);
    assert!(begun + &rest == whole, "the lines are the same byte for byte");
    site.check(up).await;
}

#[tokio::test]
async fn uploaded_batch_outlives_a_restarted_redis() {
    let mut site = Store::Redis.site().await;
    let mut redis = site.redis.take().unwrap();
    site.lm.usually(Reply::Fitting.after(Duration::from_millis(20)));
    let up = site.up().await;
    let path = path_of(&upload(&site, "qa", &questions(0, 500)).await);
    site.until_calls(150).await;

    redis.restart();

    let batch = site.ended(&path).await;
    assert_eq!(
        (&batch["status"], &batch["counts"]["succeeded"]),
        (&json!("completed"), &json!(500))
    );
    assert!(endings(&site, &path).await.keys().copied().eq(0..500));
    assert_eq!(site.totals().await, (500, 500));
    site.check(up).await;
}

#[tokio::test]
async fn full_redis_refuses_an_upload_and_loses_nothing() {
    let site = Store::Redis.site().await;
    let redis = site.redis.as_ref().unwrap();
    site.lm.usually(Reply::Fitting.after(Duration::from_millis(50)));
    let up = site.up().await;
    let first = path_of(&upload(&site, "qa", &questions(0, 300)).await);
    let used: u64 = redis
        .cli(&["INFO", "memory"])
        .lines()
        .find_map(|line| line.strip_prefix("used_memory:")?.trim().parse().ok())
        .unwrap();

    redis.cli(&["CONFIG", "SET", "maxmemory", &(used + 400_000).to_string()]);
    let refused = upload(&site, "echo", &noise(60_000)).await;

    assert_eq!(refused.status, 429, "{}", refused.body);
    assert!(!refused.header("retry-after").is_empty());
    assert_eq!(site.ended(&first).await["counts"]["succeeded"], 300);
    redis.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(batches(&site).await, 1);
    let second = path_of(&upload(&site, "echo", &texts(200, 20)).await);
    assert_eq!(site.ended(&second).await["counts"]["succeeded"], 200);
    until_true("what was refused is taken away", SOON, async || {
        let keys = redis.cli(&["--scan", "--pattern", "*:parts"]);
        keys.trim().is_empty()
    })
    .await;
    site.check(up).await;
}

#[tokio::test]
async fn full_disk_refuses_an_upload_and_loses_nothing() {
    let Some(site) = Store::Sqlite.site().await.on_small_disk(24).await else {
        eprintln!("not tested: this system gives a user no namespaces, so no small disk");
        return;
    };
    let disk = site.disk.as_ref().unwrap();
    site.lm.usually(Reply::Fitting.after(Duration::from_millis(20)));
    let mut up = site.up().await;
    let first = path_of(&upload(&site, "qa", &questions(0, 300)).await);

    disk.fill();
    let refused = upload(&site, "echo", &noise(60_000)).await;

    assert_eq!(refused.status, 429, "{}", refused.body);
    assert!(!refused.header("retry-after").is_empty());
    assert!(refused.body.contains("its disk is full"), "{}", refused.body);
    up.api.until_says("a result cannot be stored yet", SOON).await;
    disk.free();
    let first = site.ended(&first).await;
    assert_eq!(first["counts"]["succeeded"], 300);
    assert_eq!((site.lm.calls(), batches(&site).await), (300, 1));
    let second = path_of(&upload(&site, "echo", &texts(200, 20)).await);
    assert_eq!(site.ended(&second).await["counts"]["succeeded"], 200);
    site.check(up).await;
}

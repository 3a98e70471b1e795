//! Processes that are killed, or told to stop, at every moment.

use std::time::{Duration, Instant};

use serde_json::json;
use testkit::Reply;

use crate::site::{SOON, Store};

const PIPELINE: &str = "
name: pipeline
version: 1.0.0
lm: {model: openai/stub}
signatures:
  plan: {inputs: [question], outputs: [plan]}
  draft: {inputs: [plan], outputs: [draft]}
  polish: {inputs: [draft], outputs: [answer]}
steps: [plan, draft, polish]
";

pub(crate) async fn execution_of_a_killed_runner_runs_again(store: Store) {
    let site = store.site().await;
    site.lm.then(Reply::Nothing);
    let mut up = site.up().await;
    let path = site.ask("?").await;
    site.until_calls(1).await;

    up.crash_runner(&site).await;

    let record = site.succeeded(&path).await;
    assert_eq!(record["attempts"].as_array().unwrap().len(), 1, "a loss uses no attempt");
    assert_eq!((site.lm.calls(), site.totals().await), (2, (1, 1)));
    site.check(up).await;
}

pub(crate) async fn what_a_killed_runner_paid_for_is_not_paid_for_again(store: Store) {
    let site = store.site().await;
    std::fs::write(site.path("programs/pipeline.yaml"), PIPELINE).unwrap();
    site.lm.then(Reply::Fitting).then(Reply::Fitting).then(Reply::Nothing);
    let mut up = site.up().await;
    let body = json!({"program_id": "pipeline", "inputs": {"question": "?"}});
    let path = site.submit(&body).await;
    site.until_calls(3).await;

    up.crash_runner(&site).await;

    let record = site.succeeded(&path).await;
    let asked = |field: &str| {
        let wanted = format!("starting with the field `[[ ## {field} ## ]]`");
        let asks = |it: &&testkit::Call| it.body["messages"].to_string().contains(&wanted);
        site.lm.requests().iter().filter(asks).count()
    };
    assert_eq!((asked("plan"), asked("draft"), asked("answer")), (1, 1, 2));
    assert_eq!(record["metadata"]["usage"]["openai/stub"]["total_tokens"], 36);
    site.check(up).await;
}

pub(crate) async fn batch_outlives_killed_runners(store: Store) {
    let site = store.site().await.with("MAX_WORKERS", "32").with("LEASE", "1s");
    site.lm.usually(Reply::Fitting.after(Duration::from_millis(50)));
    let mut up = site.up().await;
    let path = site.ask_many(300).await;
    let mut singles = Vec::new();
    for n in 0..20 {
        singles.push(site.ask(&format!("single {n}")).await);
    }

    // At first items were claimed and none has ended, then some are, then most.
    for calls in [1, 80, 240] {
        site.until_calls(calls).await;
        up.crash_runner(&site).await;
    }

    let batch = site.ended(&path).await;
    assert_eq!(
        (&batch["status"], &batch["counts"]["succeeded"]),
        (&json!("completed"), &json!(300))
    );
    for single in &singles {
        site.succeeded(single).await;
    }
    assert_eq!(site.totals().await, (320, 320));
    site.check(up).await;
}

pub(crate) async fn accepted_outlives_a_killed_api(store: Store) {
    let site = store.site().await;
    let mut up = site.up().await;

    for n in 0..5 {
        let path = site.ask(&n.to_string()).await;
        up.crash_api(&site).await;
        site.succeeded(&path).await;
    }

    assert_eq!(site.totals().await, (5, 5));
    site.check(up).await;
}

pub(crate) async fn stopped_runner_finishes_or_gives_back(store: Store) {
    let site = store.site().await;
    site.lm.usually(Reply::Fitting.after(Duration::from_millis(300)));
    let mut up = site.up().await;
    let mut paths = Vec::new();
    for n in 0..60 {
        paths.push(site.ask(&n.to_string()).await);
    }
    site.until_calls(10).await;

    let begun = Instant::now();
    up.runner().terminate();
    let status = up.runner().end(SOON).await;
    assert!(status.success(), "{status}");
    assert!(begun.elapsed() < Duration::from_secs(9), "{:?}", begun.elapsed());
    let called = site.lm.calls();
    assert!(called < 60, "the load was too light");
    up.crash_runner(&site).await;

    for path in &paths {
        let record = site.succeeded(path).await;
        assert_eq!(record["attempts"].as_array().unwrap().len(), 1);
    }
    assert_eq!(site.lm.calls(), 60, "what ran could end, so nothing ran twice");
    site.check(up).await;
}

pub(crate) async fn stopped_twice_gives_back_at_once(store: Store) {
    let site = store.site().await.with("SHUTDOWN_TIMEOUT", "60s");
    site.lm.then(Reply::Nothing);
    let mut up = site.up().await;
    let path = site.ask("?").await;
    site.until_calls(1).await;

    up.runner().terminate();
    up.runner().until_says("stopping: running work may end", SOON).await;
    up.runner().terminate();
    let begun = Instant::now();
    let status = up.runner().end(SOON).await;
    assert!(status.success() && begun.elapsed() < Duration::from_secs(10), "{status}");
    up.crash_runner(&site).await;

    let record = site.succeeded(&path).await;
    assert_eq!(record["attempts"].as_array().unwrap().len(), 1, "giving back uses no attempt");
    site.check(up).await;
}

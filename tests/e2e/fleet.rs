//! Several workers on one queue.

use std::time::{Duration, Instant};

use queue::{
    Class, Clock, Control as _, Durability, Intake as _, Limits, NewExecution, RedisConfig,
    RedisQueue,
};
use serde_json::json;
use testkit::Reply;

use crate::site::{SOON, Site, Store};

/// A worker dies within its lease of 3 s, and what it held must run elsewhere a second later.
const ELSEWHERE_MAX: Duration = Duration::from_secs(4);

#[tokio::test]
async fn work_of_a_killed_worker_runs_elsewhere_within_four_seconds() {
    let site = Store::Redis.site().await;
    site.lm.then(Reply::Nothing);
    let mut up = site.up().await;
    let path = site.ask("?").await;
    site.until_calls(1).await;
    let mut second = site.worker().await;
    site.until_workers(2).await;

    up.runner().kill();
    let killed = Instant::now();
    site.succeeded(&path).await;

    let again = site.lm.requests()[1].at - killed;
    assert!(again < ELSEWHERE_MAX, "{again:?}");
    up.worker = Some(site.worker().await);
    second.terminate();
    assert!(second.end(SOON).await.success());
    site.check(up).await;
}

#[tokio::test]
async fn frozen_worker_cannot_give_a_second_result() {
    let site = Store::Redis.site().await;
    // The first worker's call is answered when the gate opens.
    site.lm.then(Reply::Text(answer("late")).at_gate());
    let mut up = site.up().await;
    let path = site.ask("?").await;
    site.until_calls(1).await;
    up.runner().freeze();
    let mut second = site.worker().await;
    site.lm.usually(Reply::Text(answer("first")));
    let record = site.succeeded(&path).await;
    assert_eq!(record["outputs"]["answer"], "first");

    site.lm.open_gate();
    up.runner().thaw();
    // It takes part again, under another name, when its late result was offered.
    site.until_workers(2).await;
    site.succeeded(&site.ask("another").await).await;

    let record = site.succeeded(&path).await;
    assert_eq!(record["outputs"]["answer"], "first");
    assert_eq!(site.totals().await, (2, 2));
    second.terminate();
    assert!(second.end(SOON).await.success());
    site.check(up).await;
}

#[tokio::test]
async fn frozen_worker_that_is_first_is_believed() {
    let site = Store::Redis.site().await;
    site.lm.then(Reply::Text(answer("late")).at_gate()).then(Reply::Nothing);
    let mut up = site.up().await;
    let path = site.ask("?").await;
    site.until_calls(1).await;
    up.runner().freeze();
    let mut second = site.worker().await;
    site.until_calls(2).await;

    site.lm.open_gate();
    up.runner().thaw();

    // The late one counts, or is dropped by its worker and the second is called off in the end.
    let record = site.succeeded(&path).await;
    assert_eq!(record["outputs"]["answer"], "late");
    site.until("/stats", |it| it["queue"]["running"] == 0).await;
    site.succeeded(&site.ask("another").await).await;
    assert_eq!(site.totals().await, (2, 2));
    second.terminate();
    assert!(second.end(SOON).await.success());
    site.check(up).await;
}

fn answer(text: &str) -> String {
    format!("[[ ## answer ## ]]\n{text}\n\n[[ ## score ## ]]\n1\n\n[[ ## completed ## ]]\n")
}

#[tokio::test]
async fn backlog_of_one_owner_does_not_delay_another() {
    let site = Store::Redis.site().await.with("MAX_WORKERS", "64");
    let queue = backlog(&site, 100_000).await;
    queue.pause().await.unwrap();
    let up = site.up().await;
    let bob = site.client("bob", "execute,read").await;
    queue.resume().await.unwrap();

    let begun = Instant::now();
    let body = json!({ "program_id": "echo", "inputs": { "text": "hello" } });
    let answer = bob.post_with("/execute", &[("prefer", "wait=30")], &body).await.unwrap();

    assert_eq!(answer.json()["status"], "succeeded", "{}", answer.body);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    site.until("/stats", |it| it["statistics"]["successful_executions"].as_u64() > Some(2_000))
        .await;
    site.check(up).await;
}

/// Puts so many of carol's into the store of a site.
async fn backlog(site: &Site, count: usize) -> RedisQueue {
    let config = RedisConfig {
        url: site.redis.as_ref().unwrap().url(),
        queue: "dspyx".to_owned(),
        limits: Limits::default(),
        clock: Clock::Store,
        allow_eviction: false,
        objects: None,
    };
    let queue = RedisQueue::connect(config).await.unwrap();
    let mut submitting = tokio::task::JoinSet::new();
    for n in 0..count {
        let queue = queue.clone();
        submitting.spawn(async move { queue.submit(echo(n)).await.unwrap() });
        if submitting.len() >= 512 {
            submitting.join_next().await.unwrap().unwrap();
        }
    }
    submitting.join_all().await;
    queue
}

fn echo(n: usize) -> NewExecution {
    NewExecution {
        id: queue::ExecutionId::new(),
        spec: queue::Spec {
            version: "1.0.0".to_owned(),
            class: Class::Interactive,
            ..queue::Spec::new("echo", "carol", Duration::from_secs(60))
        },
        inputs: queue::Fields::from_iter([("text".to_owned(), n.to_string().into())]),
        not_before: None,
        cache: None,
        idempotency: None,
        durability: Durability::Memory,
        ended: None,
    }
}

#[tokio::test]
async fn revoked_token_is_refused_by_every_process() {
    let site = Store::Redis.site().await;
    let up = site.up().await;
    let token = site.token(&["--subject", "bob"]).await;
    let bob = site.http.with_token(&token);
    assert_eq!(bob.get("/stats").await.unwrap().status, 200);

    let (revoked, said) = site.run(&["token", "revoke", &token]).await;

    assert!(revoked, "{said}");
    testkit::until_true("the token is refused", SOON, async || {
        bob.get("/stats").await.unwrap().status == 401
    })
    .await;
    site.check(up).await;
}

#[tokio::test]
async fn killed_worker_is_replaced_under_load_by_the_others() {
    let site = Store::Redis.site().await.with("LEASE", "1s");
    site.lm.usually(Reply::Fitting.after(Duration::from_millis(30)));
    let mut up = site.up().await;
    let mut others = [site.worker().await, site.worker().await];
    site.until_workers(3).await;
    let batch = site.ask_many(500).await;

    for (n, calls) in [50, 150, 250].into_iter().enumerate() {
        site.until_calls(calls).await;
        others[n % 2].kill();
        others[n % 2] = site.worker().await;
    }

    let record = site.ended(&batch).await;
    assert_eq!(record["counts"]["succeeded"], 500, "{record:#}");
    assert_eq!(site.totals().await, (500, 500));
    for other in &mut others {
        other.terminate();
        assert!(other.end(SOON).await.success());
    }
    up.runner().assert_alive();
    site.check(up).await;
}

//! Putting work in.

use std::time::Duration;

use serde_json::json;

use crate::site::{Site, mail, mail_with, succeeded};

#[tokio::test]
async fn accepted_execution_is_answered_with_where_it_is() {
    let site = Site::new().await;

    let reply = site.post("/execute", mail()).await;

    let body = reply.json();
    let id = body["execution_id"].as_str().unwrap();
    assert_eq!(reply.status, 202);
    assert_eq!(reply.header("location"), format!("/api/v1/dspy/execution/{id}"));
    assert_eq!(reply.header("retry-after"), "1");
    assert_eq!((&body["status"], &body["mode"]), (&json!("queued"), &json!("normal")));
    assert_eq!(body["program_id"], "mail");
    assert_eq!(body["links"]["self"], format!("/api/v1/dspy/execution/{id}"));
    assert!(body["created_at"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn options_reach_the_queue() {
    let site = Site::new().await;
    let mut body = mail();
    body["timeout"] = json!(2.5);
    body["max_retries"] = json!(7);
    body["priority"] = json!("normal");
    body["delay"] = json!(3600);
    body["metadata"] = json!({"ticket": "42"});
    body["lm"] = json!({"temperature": 0.1});

    let id = site.post("/execute", body).await.json()["execution_id"].as_str().unwrap().to_owned();

    let record = site.get(&format!("/execution/{id}")).await.json();
    assert_eq!(record["status"], "scheduled");
    assert_eq!((&record["timeout"], &record["max_retries"]), (&json!(2.5), &json!(7)));
    assert_eq!((&record["priority"], &record["owner"]), (&json!("normal"), &json!("alice")));
    assert_eq!(record["metadata"]["ticket"], "42");
    assert!(record["due_at"].is_string());
}

#[tokio::test]
async fn preferring_to_wait_brings_the_record() {
    let site = Site::new().await;
    let body = mail();
    let call = site.call("POST", "/execute").header("prefer", "wait=30").json(&body);

    let (reply, ()) = tokio::join!(call.send(), site.work(succeeded));

    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("preference-applied"), "wait=30");
    assert_eq!(reply.json()["outputs"]["body"], "Dear Bob");
}

#[tokio::test]
async fn preferring_to_wait_too_little_brings_the_202() {
    let site = Site::new().await;
    let call = site.call("POST", "/execute").header("prefer", "respond-async, wait=0");
    let reply = call.json(&mail()).send().await;
    assert_eq!((reply.status, reply.header("preference-applied")), (202, "wait=0"));
}

#[tokio::test]
async fn waits_are_bounded() {
    let config = api::Config { wait_seconds_max: 0, ..api::Config::default() };
    let site = Site::with(config, queue::Limits::default()).await;
    let call = site.call("POST", "/execute").header("prefer", "wait=3600").json(&mail());
    let reply = tokio::time::timeout(Duration::from_secs(10), call.send()).await.unwrap();
    assert_eq!((reply.status, reply.header("preference-applied")), (202, "wait=0"));
}

#[tokio::test]
async fn dry_run_of_good_inputs_passes_at_once() {
    let site = Site::new().await;

    let reply = site.post("/execute", mail_with("mode", json!("dry_run"))).await;

    let record = reply.json();
    assert_eq!((reply.status, &record["status"]), (200, &json!("succeeded")));
    assert_eq!((&record["success"], &record["outputs"]), (&json!(true), &json!({})));
    assert_eq!(record["metadata"]["validation_passed"], true);
    let id = record["execution_id"].as_str().unwrap();
    assert_eq!(site.get(&format!("/execution/{id}")).await.json(), record);
    let stats = site.get("/stats").await.json();
    assert_eq!(stats["statistics"]["total_executions"], 0);
    assert_eq!(stats["statistics"]["dry_runs"], 1);
}

#[tokio::test]
async fn dry_run_of_bad_inputs_fails_in_its_record() {
    let site = Site::new().await;
    let body = json!({"program_id": "mail", "inputs": {}, "mode": "dry_run"});

    let reply = site.post("/execute", body).await;

    let record = reply.json();
    assert_eq!((reply.status, &record["success"]), (200, &json!(false)));
    let sentence = "Missing required input fields: ['recipient', 'subject']";
    assert_eq!(record["error"], sentence);
    assert_eq!(record["error_kind"], "validation");
    assert_eq!(record["metadata"]["validation_passed"], false);
    assert_eq!(site.get("/dead").await.json()["executions"], json!([]));
}

#[tokio::test]
async fn repeated_request_runs_once() {
    let site = Site::new().await;
    let body = mail();
    let call = || site.call("POST", "/execute").header("idempotency-key", "order-1").json(&body);

    let (first, second) = (call().send().await, call().send().await);

    assert_eq!((first.status, second.status), (202, 202));
    assert_eq!(first.json(), second.json());
    assert_eq!(first.header("idempotency-replayed"), "");
    assert_eq!(second.header("idempotency-replayed"), "true");
    let all = site.get("/executions").await.json();
    assert_eq!(all["executions"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn repeated_dry_run_gives_its_record_again() {
    let site = Site::new().await;
    let body = mail_with("mode", json!("dry_run"));
    let call = || site.call("POST", "/execute").header("idempotency-key", "dry-1").json(&body);

    let (first, second) = (call().send().await, call().send().await);

    assert_eq!((first.status, second.status), (200, 200));
    assert_eq!(first.json(), second.json());
}

#[tokio::test]
async fn key_of_another_request_is_refused() {
    let site = Site::new().await;
    let keyed = |path, body| site.call("POST", path).header("idempotency-key", "k").json(&body);
    keyed("/execute", mail()).send().await;

    let reply = keyed("/execute", mail_with("timeout", json!(9))).send().await;

    reply.problem(422, "idempotency-key-reused");
}

#[tokio::test]
async fn keys_of_two_owners_are_two_keys() {
    let site = Site::new().await;
    let body = mail();
    let call = || site.call("POST", "/execute").header("idempotency-key", "k").json(&body);
    let first = call().send().await;

    let second = call().by("bob", &[api::token::Scope::Execute]).send().await;

    assert_eq!(second.status, 202);
    assert_ne!(first.json()["execution_id"], second.json()["execution_id"]);
}

#[tokio::test]
async fn equal_execution_is_answered_from_the_cache() {
    let site = Site::new().await;
    site.submit().await;
    site.work(succeeded).await;

    let reply = site.post("/execute", mail()).await;

    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.json()["metadata"]["cache_hit"], true);
    assert_eq!(reply.json()["outputs"]["body"], "Dear Bob");
    let uncached = site.post("/execute", mail_with("cache", json!(false))).await;
    assert_eq!(uncached.status, 202);
}

#[tokio::test]
async fn full_queue_says_when_to_come_back() {
    let limits = queue::Limits { waiting_per_owner_max: 1, ..queue::Limits::default() };
    let site = Site::with(api::Config::default(), limits).await;
    site.submit().await;

    let reply = site.post("/execute", mail_with("cache", json!(false))).await;

    reply.problem(429, "queue-full");
    assert!(reply.header("retry-after").parse::<u64>().unwrap() >= 1);
}

//! Single executions, from the request to the record.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::Reply;

use crate::site::Store;

pub(crate) async fn execution_gives_outputs(store: Store) {
    let site = store.site().await;
    let up = site.up().await;
    let inputs = json!({ "question": "how?", "times": 3 });
    let body = json!({ "program_id": "qa", "inputs": inputs, "metadata": { "team": "red" } });

    let answer = site.http.post("/execute", &body).await.unwrap();

    assert_eq!(answer.status, 202, "{}", answer.body);
    let accepted = answer.json();
    let id = accepted["execution_id"].as_str().unwrap();
    assert_eq!(answer.header("location"), format!("/api/v1/dspy/execution/{id}"));
    assert!(!answer.header("retry-after").is_empty());
    let record = site.succeeded(&format!("/execution/{id}")).await;
    assert_eq!(record["outputs"], json!({ "answer": "a answer", "score": 42 }));
    assert_eq!((&record["success"], &record["inputs"]), (&json!(true), &inputs));
    assert_eq!((&record["owner"], &record["program_version"]), (&json!("alice"), &json!("1.0.0")));
    assert_eq!(record["metadata"]["team"], "red");
    assert!(record["metadata"]["usage"].to_string().contains('7'), "{record:#}");
    assert_eq!(record["attempts"].as_array().unwrap().len(), 1);
    assert_eq!(site.totals().await, (1, 1));
    assert_eq!(site.lm.requests()[0].authorization, "Bearer of-the-stub");
    site.check(up).await;
}

pub(crate) async fn one_that_waits_gets_the_record(store: Store) {
    let site = store.site().await;
    let up = site.up().await;
    let body = json!({ "program_id": "qa", "inputs": { "question": "?" } });

    let answer = site.http.post_with("/execute", &[("prefer", "wait=20")], &body).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.json()["status"], "succeeded");
    site.lm.then(Reply::Fitting.after(Duration::from_secs(1)));
    let answer = site.http.post_with("/execute", &[("prefer", "wait=0")], &body).await.unwrap();
    assert_eq!(answer.status, 202);
    let path = format!("/execution/{}", answer.json()["execution_id"].as_str().unwrap());
    let begun = Instant::now();
    let record = site.http.get(&format!("{path}?wait=20")).await.unwrap().json();
    assert_eq!(record["status"], "succeeded");
    assert!(begun.elapsed() < Duration::from_secs(15));
    site.check(up).await;
}

pub(crate) async fn dry_run_runs_nothing(store: Store) {
    let site = store.site().await;
    let up = site.up().await;
    let dry = |inputs: Value| json!({ "program_id": "qa", "inputs": inputs, "mode": "dry_run" });

    let good = site.http.post("/execute", &dry(json!({ "question": "?" }))).await.unwrap();
    let bad = site.http.post("/execute", &dry(json!({}))).await.unwrap();

    assert_eq!((good.status, bad.status), (200, 200));
    assert_eq!(good.json()["success"], true);
    assert_eq!(good.json()["metadata"]["validation_passed"], true);
    assert_eq!(bad.json()["success"], false);
    assert_eq!(bad.json()["error"], "Missing required input fields: ['question']");
    assert_eq!((site.lm.calls(), site.totals().await), (0, (0, 0)));
    site.check(up).await;
}

pub(crate) async fn debug_run_keeps_a_trace(store: Store) {
    let site = store.site().await;
    let up = site.up().await;
    let body = json!({ "program_id": "qa", "inputs": { "question": "why so?" }, "mode": "debug" });

    let record = site.succeeded(&site.submit(&body).await).await;

    let trace = record["metadata"]["debug_trace"].to_string();
    assert!(trace.contains("why so?") && trace.contains("[[ ## answer ## ]]"), "{trace}");
    site.check(up).await;
}

pub(crate) async fn repeated_request_runs_once(store: Store) {
    let site = store.site().await;
    let up = site.up().await;
    let named = [("idempotency-key", "mine")];
    let body = json!({ "program_id": "qa", "inputs": { "question": "once" } });
    let other = json!({ "program_id": "qa", "inputs": { "question": "twice" } });

    let first = site.http.post_with("/execute", &named, &body).await.unwrap();
    let second = site.http.post_with("/execute", &named, &body).await.unwrap();
    let third = site.http.post_with("/execute", &named, &other).await.unwrap();

    assert_eq!(first.json()["execution_id"], second.json()["execution_id"]);
    assert_eq!((first.header("idempotency-replayed"), first.status), ("", 202));
    assert_eq!((second.header("idempotency-replayed"), second.status), ("true", 202));
    assert_eq!(third.status, 422, "{}", third.body);
    let path = format!("/execution/{}", first.json()["execution_id"].as_str().unwrap());
    site.succeeded(&path).await;
    assert_eq!(site.lm.calls(), 1);
    site.check(up).await;
}

pub(crate) async fn waiting_execution_is_called_off(store: Store) {
    let site = store.site().await;
    let up = site.up().await;
    let admin = site.client("root", "execute,read,admin").await;
    assert_eq!(admin.post("/queue/pause", &json!({})).await.unwrap().status, 200);
    let path = site.ask("never").await;
    let why = site.http.get(&format!("{path}/why")).await.unwrap();
    assert!(why.body.contains("paused"), "{}", why.body);

    let cancel = format!("{path}/cancel");
    let first = site.http.post(&cancel, &json!({})).await.unwrap();
    let second = site.http.post(&cancel, &json!({})).await.unwrap();

    assert!(first.status < 300 && second.status < 300, "{}\n{}", first.body, second.body);
    assert_eq!(site.ended(&path).await["status"], "cancelled");
    assert_eq!(admin.post("/queue/resume", &json!({})).await.unwrap().status, 200);
    site.succeeded(&site.ask("after it").await).await;
    assert_eq!(site.lm.calls(), 1);
    site.check(up).await;
}

pub(crate) async fn running_execution_is_called_off(store: Store) {
    let site = store.site().await;
    site.lm.then(Reply::Nothing);
    let up = site.up().await;
    let path = site.ask("how long?").await;
    site.until_calls(1).await;
    assert_eq!(site.until(&path, |_| true).await["status"], "running");

    let begun = Instant::now();
    let answer = site.http.post(&format!("{path}/cancel"), &json!({})).await.unwrap();

    assert!(answer.status < 300, "{}", answer.body);
    let record = site.ended(&path).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!((&record["status"], &record["success"]), (&json!("cancelled"), &json!(false)));
    let done = site.succeeded(&site.ask("again").await).await;
    let id = done["execution_id"].as_str().unwrap();
    let answer = site.http.post(&format!("/execution/{id}/cancel"), &json!({})).await.unwrap();
    assert_eq!(answer.status, 409, "{}", answer.body);
    site.check(up).await;
}

pub(crate) async fn failed_execution_is_run_again(store: Store) {
    let site = store.site().await;
    site.lm.then(Reply::error(401));
    let up = site.up().await;
    let path = site.ask("?").await;
    let failed = site.ended(&path).await;
    assert_eq!((&failed["status"], &failed["error_kind"]), (&json!("failed"), &json!("lm_error")));
    let dead = site.until("/dead", |_| true).await;
    assert!(dead.to_string().contains(failed["execution_id"].as_str().unwrap()), "{dead}");

    let answer = site.http.post(&format!("{path}/retry"), &json!({})).await.unwrap();

    assert_eq!(answer.status, 202, "{}", answer.body);
    let record = site.succeeded(&path).await;
    assert_eq!((&record["generation"], &record["error"]), (&json!(1), &Value::Null));
    assert_eq!(record["attempts"].as_array().unwrap().len(), 2);
    let answer = site.http.post(&format!("{path}/retry"), &json!({})).await.unwrap();
    assert_eq!(answer.status, 409, "{}", answer.body);
    site.check(up).await;
}

pub(crate) async fn equal_execution_is_answered_from_the_cache(store: Store) {
    let site = store.site().await;
    let up = site.up().await;
    let admin = site.client("root", "execute,read,admin").await;
    let body = json!({ "program_id": "cached", "inputs": { "question": "?" } });
    site.succeeded(&site.submit(&body).await).await;

    let hit = site.http.post("/execute", &body).await.unwrap();
    assert_eq!(hit.status, 200, "{}", hit.body);
    assert_eq!(hit.json()["metadata"]["cache_hit"], true);
    assert_eq!(hit.json()["outputs"], json!({ "answer": "a answer" }));
    let fresh = json!({ "program_id": "cached", "inputs": { "question": "?" }, "cache": false });
    site.succeeded(&site.submit(&fresh).await).await;
    assert_eq!(site.lm.calls(), 2);
    let cleared = admin.post("/cache/clear", &json!({})).await.unwrap().json();
    assert_eq!(cleared["message"], "Cache cleared successfully");
    assert_eq!(cleared["cleared"]["results"], 1);
    site.succeeded(&site.submit(&body).await).await;
    assert_eq!(site.lm.calls(), 3);
    site.check(up).await;
}

pub(crate) async fn later_execution_waits_for_its_time(store: Store) {
    let site = store.site().await;
    let up = site.up().await;
    let body = json!({ "program_id": "qa", "inputs": { "question": "?" }, "delay": 1.5 });

    let begun = Instant::now();
    let path = site.submit(&body).await;
    assert_eq!(site.until(&path, |_| true).await["status"], "scheduled");
    site.succeeded(&path).await;

    let took = begun.elapsed();
    assert!((Duration::from_millis(1400)..Duration::from_secs(6)).contains(&took), "{took:?}");
    site.check(up).await;
}

pub(crate) async fn hanging_execution_times_out(store: Store) {
    let site = store.site().await;
    site.lm.usually(Reply::Nothing);
    let up = site.up().await;
    let body = json!({
        "program_id": "qa", "inputs": { "question": "?" }, "timeout": 1, "max_retries": 1,
    });

    let record = site.ended(&site.submit(&body).await).await;

    assert_eq!(record["status"], "failed");
    assert_eq!(record["error"], "Execution timeout after 1 seconds");
    assert_eq!(record["error_kind"], "timeout");
    assert_eq!(record["attempts"].as_array().unwrap().len(), 2);
    assert_eq!(site.lm.calls(), 2);
    site.check(up).await;
}

pub(crate) async fn events_are_streamed_to_the_end(store: Store) {
    let site = store.site().await;
    site.lm.usually(Reply::Fitting.after(Duration::from_millis(500)));
    let up = site.up().await;
    let path = site.ask("?").await;

    let accept = [("accept", "text/event-stream")];
    let answer = site.http.send("GET", &path, &accept, b"").await.unwrap();

    assert!(answer.header("content-type").starts_with("text/event-stream"));
    let last = answer.body.lines().rfind(|line| line.starts_with("data:")).unwrap();
    assert!(last.contains("\"succeeded\"") && last.contains("a answer"), "{}", answer.body);
    site.check(up).await;
}

pub(crate) async fn programs_come_and_go(store: Store) {
    let site = store.site().await;
    let up = site.up().await;
    let yaml = "name: fresh\nversion: 1.0.0\nlm: {model: openai/stub}\n\
                signatures:\n  answer: {inputs: [question], outputs: [fresh_answer]}\n";
    let body = json!({ "program_id": "fresh", "inputs": { "question": "?" } });
    assert_eq!(site.http.post("/execute", &body).await.unwrap().status, 404);

    let headers = [("content-type", "application/yaml")];
    let put = site.http.send("PUT", "/programs/fresh", &headers, yaml.as_bytes()).await.unwrap();
    assert!(put.status < 300, "{}", put.body);
    let record = site.succeeded(&site.submit(&body).await).await;
    assert_eq!(record["outputs"], json!({ "fresh_answer": "a fresh_answer" }));
    let bad = site.http.send("PUT", "/programs/bad", &headers, b"signatures: 5").await.unwrap();
    assert_eq!(bad.status, 422, "{}", bad.body);
    let gone = site.http.send("DELETE", "/programs/fresh", &[], b"").await.unwrap();
    assert!(gone.status < 300, "{}", gone.body);
    assert_eq!(site.http.post("/execute", &body).await.unwrap().status, 404);
    site.check(up).await;
}

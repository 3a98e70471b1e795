//! Reading executions, calling them off, running them again.

use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt;
use queue::{End, Failure, FailureKind};
use serde_json::json;

use crate::site::{Site, failed, mail_with, succeeded};

#[tokio::test]
async fn record_of_a_success_has_all_that_was_promised() {
    let site = Site::new().await;
    let id = site.submit().await;
    site.work(succeeded).await;

    let record = site.get(&format!("/execution/{id}")).await.json();

    assert_eq!(record["execution_id"], *id);
    assert_eq!((&record["status"], &record["success"]), (&json!("succeeded"), &json!(true)));
    assert_eq!(record["outputs"], json!({"body": "Dear Bob"}));
    assert_eq!(record["inputs"], json!({"recipient": "bob", "subject": "hi"}));
    assert_eq!((&record["error"], &record["error_kind"]), (&json!(null), &json!(null)));
    assert_eq!(record["execution_time"], 1.5);
    assert_eq!((&record["program_name"], &record["program_id"]), (&json!("mail"), &json!("mail")));
    assert_eq!(record["program_version"], "1.2.0");
    assert_eq!((&record["owner"], &record["batch_id"]), (&json!("alice"), &json!(null)));
    let metadata = &record["metadata"];
    assert_eq!((&metadata["mode"], &metadata["cache_hit"]), (&json!("normal"), &json!(false)));
    assert!(metadata["worker"].as_str().unwrap().starts_with("host-1-"));
    for time in ["created_at", "started_at", "finished_at"] {
        let text = record[time].as_str().unwrap_or_else(|| panic!("{time}: {record}"));
        assert!(text.len() == 24 && text.ends_with('Z'), "{time}: {text}");
    }
    assert_eq!(record["attempts"][0]["error"], json!(null));
}

#[tokio::test]
async fn record_of_an_open_execution_has_no_success_yet() {
    let site = Site::new().await;
    let id = site.submit().await;
    let record = site.get(&format!("/execution/{id}")).await.json();
    assert_eq!((&record["status"], &record["success"]), (&json!("queued"), &json!(null)));
    assert_eq!((&record["outputs"], &record["execution_time"]), (&json!(null), &json!(null)));
}

#[tokio::test]
async fn record_of_a_failure_says_why() {
    let site = Site::new().await;
    let id = site.submit().await;
    site.work(failed).await;

    let record = site.get(&format!("/execution/{id}")).await.json();

    assert_eq!((&record["success"], &record["error"]), (&json!(false), &json!("it broke")));
    assert_eq!(record["error_kind"], "program_error");
    assert_eq!(record["attempts"][0]["error"], "it broke");
    assert_eq!(record["attempts"][0]["error_kind"], "program_error");
}

#[tokio::test]
async fn long_poll_answers_when_it_has_ended() {
    let site = Site::new().await;
    let path = format!("/execution/{}?wait=30", site.submit().await);

    let (reply, ()) = tokio::join!(site.get(&path), site.work(succeeded));

    assert_eq!(reply.json()["status"], "succeeded");
}

#[tokio::test]
async fn long_poll_answers_as_it_stands_when_the_time_is_over() {
    let site = Site::new().await;
    let id = site.submit().await;
    let reply = site.get(&format!("/execution/{id}?wait=0.01")).await;
    assert_eq!((reply.status, &reply.json()["status"]), (200, &json!("queued")));
}

#[tokio::test]
async fn events_tell_every_change_until_the_end() {
    let site = Site::new().await;
    let path = format!("/execution/{}", site.submit().await);
    let call = site.call("GET", &path).header("accept", "text/event-stream");
    let answer = call.open().await;
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let mut body = answer.into_body();

    assert_eq!(event(&mut body).await["status"], "queued");
    let lease = site.claim(1).await.remove(0);
    assert_eq!(event(&mut body).await["status"], "running");
    site.finish(lease, succeeded()).await;
    let last = event(&mut body).await;
    assert_eq!(
        (&last["status"], &last["outputs"]["body"]),
        (&json!("succeeded"), &json!("Dear Bob"))
    );
    assert!(body.frame().await.is_none());
}

async fn event(body: &mut Body) -> serde_json::Value {
    let frame = tokio::time::timeout(Duration::from_secs(10), body.frame()).await.unwrap();
    let data = frame.unwrap().unwrap().into_data().unwrap();
    let text = str::from_utf8(&data).unwrap();
    let (head, json) = text.split_once("data: ").unwrap();
    assert_eq!(head, "event: status\n");
    serde_json::from_str(json.trim_end()).unwrap()
}

#[tokio::test]
async fn waiting_execution_is_cancelled_at_once_and_again_is_no_error() {
    let site = Site::new().await;
    let path = format!("/execution/{}/cancel", site.submit().await);

    let (first, second) =
        (site.call("POST", &path).send().await, site.call("POST", &path).send().await);

    assert_eq!((first.status, second.status), (200, 200));
    let record = first.json();
    assert_eq!((&record["status"], &record["success"]), (&json!("cancelled"), &json!(false)));
    assert_eq!(record["error_kind"], "cancelled");
}

#[tokio::test]
async fn running_execution_is_told_to_stop() {
    let site = Site::new().await;
    let id = site.submit().await;
    let lease = site.claim(1).await.remove(0);

    let reply = site.call("POST", &format!("/execution/{id}/cancel")).send().await;

    assert_eq!(reply.status, 202);
    assert_eq!(reply.json()["cancel_requested"], true);
    let why = site.get(&format!("/execution/{id}/why")).await.json();
    assert_eq!(why["reason"], "running");
    site.finish(lease, End::Cancelled).await;
    assert_eq!(site.get(&format!("/execution/{id}")).await.json()["status"], "cancelled");
}

#[tokio::test]
async fn what_has_ended_cannot_be_cancelled() {
    let site = Site::new().await;
    let id = site.submit().await;
    site.work(succeeded).await;
    let reply = site.call("POST", &format!("/execution/{id}/cancel")).send().await;
    let problem = reply.problem(409, "conflict");
    assert!(problem["detail"].as_str().unwrap().contains("succeeded"), "{problem}");
}

#[tokio::test]
async fn failed_execution_runs_again_under_its_id() {
    let site = Site::new().await;
    let id = site.submit().await;
    site.work(failed).await;
    let dead = site.get("/dead").await.json();
    assert_eq!(dead["executions"][0]["execution_id"], *id);

    let reply = site.call("POST", &format!("/execution/{id}/retry")).send().await;

    assert_eq!((reply.status, &reply.json()["generation"]), (202, &json!(1)));
    site.work(succeeded).await;
    let record = site.get(&format!("/execution/{id}")).await.json();
    assert_eq!(record["status"], "succeeded");
    assert_eq!(record["attempts"].as_array().unwrap().len(), 2);
    let again = site.call("POST", &format!("/execution/{id}/retry")).send().await;
    again.problem(409, "conflict");
}

#[tokio::test]
async fn dead_list_is_retried_as_a_whole() {
    let site = Site::new().await;
    for _ in 0..3 {
        site.post("/execute", mail_with("cache", json!(false))).await;
    }
    site.work(failed).await;

    let reply = site.call("POST", "/dead/retry?limit=2").send().await;

    assert_eq!((reply.status, reply.json()), (202, json!({"retried": 2})));
    assert_eq!(site.get("/dead").await.json()["executions"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn why_tells_what_it_waits_for() {
    let site = Site::new().await;
    let id = site.submit().await;
    let why = site.get(&format!("/execution/{id}/why")).await.json();
    assert_eq!((&why["execution_id"], &why["reason"]), (&json!(id), &json!("turn")));
    assert!(why["message"].as_str().unwrap().starts_with("It waits for its turn"), "{why}");

    site.admin("POST", "/queue/pause").await;
    let why = site.get(&format!("/execution/{id}/why")).await.json();
    assert_eq!(
        (&why["reason"], &why["message"]),
        (&json!("paused"), &json!("The queue is paused."))
    );
}

#[tokio::test]
async fn retried_attempts_are_told() {
    let site = Site::new().await;
    let id = site.submit().await;
    let failure = Failure { kind: FailureKind::LmError, message: "503".into() };
    site.work(|| End::Retry(failure.clone(), Duration::from_hours(1))).await;

    let record = site.get(&format!("/execution/{id}")).await.json();

    assert_eq!((&record["status"], &record["success"]), (&json!("scheduled"), &json!(null)));
    assert_eq!(record["attempts"][0]["error_kind"], "lm_error");
    let why = site.get(&format!("/execution/{id}/why")).await.json();
    assert_eq!(why["reason"], "not_due");
}

#[tokio::test]
async fn list_is_paged_newest_first() {
    let site = Site::new().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(site.submit().await);
    }
    let page = site.get("/executions?limit=2&status=queued&program_id=mail").await.json();
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = site.get(&format!("/executions?limit=2&cursor={cursor}")).await.json();
    let seen = [&page["executions"][0], &page["executions"][1], &rest["executions"][0]];
    let seen: Vec<&str> = seen.map(|it| it["execution_id"].as_str().unwrap()).into();
    ids.reverse();
    assert_eq!(seen, ids);
    let none = site.get("/executions?status=failed").await.json();
    assert_eq!(none["executions"], json!([]));
}

#[tokio::test]
async fn head_has_no_body() {
    let site = Site::new().await;
    let id = site.submit().await;
    let reply = site.call("HEAD", &format!("/execution/{id}")).send().await;
    assert_eq!((reply.status, reply.body.len()), (200, 0));
}

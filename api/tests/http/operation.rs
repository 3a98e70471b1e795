//! The fleet as a whole.

use axum::http::Request;
use serde_json::json;

use crate::site::{Site, failed, mail, mail_with, succeeded};

#[tokio::test]
async fn statistics_add_up() {
    let site = Site::new().await;
    site.submit().await;
    site.work(succeeded).await;
    assert_eq!(site.post("/execute", mail()).await.status, 200);
    site.post("/execute", mail_with("cache", json!(false))).await;
    site.work(failed).await;
    site.post("/execute", mail_with("cache", json!(false))).await;

    let stats = site.get("/stats?window=1h&program_id=mail").await.json();

    let statistics = &stats["statistics"];
    assert_eq!(statistics["total_executions"], 3);
    assert_eq!(statistics["successful_executions"], 2);
    assert_eq!(statistics["failed_executions"], 1);
    assert!((statistics["success_rate"].as_f64().unwrap() - 2.0 / 3.0).abs() < 1e-9);
    for name in ["average", "min", "max", "p50", "p95", "p99"] {
        let seconds = statistics[format!("{name}_execution_time")].as_f64().unwrap();
        assert!((seconds - 1.5).abs() < 0.03, "{name}: {seconds}");
    }
    assert_eq!(stats["cache"]["hits"], 1);
    assert_eq!((&stats["queue"]["queued"], &stats["queue"]["dead"]), (&json!(1), &json!(1)));
    assert_eq!(stats["workers"][0]["programs"], json!(["mail@1.2.0"]));
    assert_eq!((&stats["cache_enabled"], &stats["mlflow_tracking"]), (&json!(true), &json!(false)));
}

#[tokio::test]
async fn statistics_of_nothing_are_zero() {
    let site = Site::new().await;
    let stats = site.get("/stats?program_id=none").await.json();
    assert_eq!(stats["statistics"]["success_rate"], 0.0);
    assert_eq!(stats["statistics"]["p95_execution_time"], json!(null));
}

#[tokio::test]
async fn cleared_cache_answers_no_more() {
    let site = Site::new().await;
    site.submit().await;
    site.work(succeeded).await;

    let reply = site.admin("POST", "/cache/clear").await;

    let cleared = json!({"programs": 1, "results": 1});
    assert_eq!(reply.json(), json!({"message": "Cache cleared successfully", "cleared": cleared}));
    site.submit().await;
}

#[tokio::test]
async fn paused_queue_accepts_and_resumes() {
    let site = Site::new().await;
    assert_eq!(site.admin("POST", "/queue/pause").await.json(), json!({"paused": true}));
    site.submit().await;
    assert_eq!(site.get("/stats").await.json()["queue"]["paused"], true);
    assert_eq!(site.admin("POST", "/queue/resume").await.json(), json!({"paused": false}));
    site.work(succeeded).await;
}

#[tokio::test]
async fn health_counts() {
    let site = Site::new().await;
    site.submit().await;
    site.work(succeeded).await;
    let reply = site.call("GET", "/health").token(None).send().await;
    let healthy = json!({"status": "healthy", "total_executions": 1, "success_rate": 1.0});
    assert_eq!((reply.status, reply.json()), (200, healthy));
}

#[tokio::test]
async fn metrics_tell_of_the_fleet_and_of_this_process() {
    let site = Site::new().await;
    site.submit().await;
    site.work(succeeded).await;
    site.get("/nothing").await;

    let reply = site.get("/metrics").await;

    assert!(reply.header("content-type").starts_with("application/openmetrics-text"));
    for line in [
        "dspyx_store_up 1",
        "dspyx_workers 1",
        r#"dspyx_executions_ended{status="succeeded"} 1"#,
        r#"dspyx_executions_now{state="queued"} 0"#,
        r#"dspyx_http_requests_total{method="POST",route="/api/v1/dspy/execute",status="202"} 1"#,
        r#"dspyx_http_requests_total{method="GET",route="unmatched",status="404"} 1"#,
    ] {
        assert!(reply.text().contains(line), "{line} is not in\n{}", reply.text());
    }
    assert_eq!(reply.text().matches("# EOF").count(), 1);
    assert!(reply.text().ends_with("# EOF\n"));
}

#[tokio::test]
async fn request_ids_are_kept_or_made() {
    let site = Site::new().await;
    let given = site.call("GET", "/health/live").header("x-request-id", "mine-1").send().await;
    assert_eq!(given.header("x-request-id"), "mine-1");
    let bad = site.call("GET", "/health/live").header("x-request-id", "a b").send().await;
    assert_eq!(bad.header("x-request-id").len(), 32);
}

#[tokio::test]
async fn paths_outside_the_contract_are_problems_too() {
    let site = Site::new().await;
    let request = Request::get("/").body(axum::body::Body::empty()).unwrap();
    let answer = site.router_call(request).await;
    assert_eq!(answer.status().as_u16(), 404);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
}

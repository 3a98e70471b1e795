//! What is wrong with a request, in words that help.

use serde_json::{Value, json};

use crate::site::{Site, Store};

const JSON: (&str, &str) = ("content-type", "application/json");

/// Sends a body, and gives the problem, which must be one.
async fn problem(site: &Site, path: &str, header: (&str, &str), body: &[u8]) -> (u16, Value) {
    let answer = site.http.send("POST", path, &[header], body).await.unwrap();
    let shown = String::from_utf8_lossy(&body[..body.len().min(100)]);
    assert_eq!(answer.header("content-type"), "application/problem+json", "{path} {shown}");
    let problem = answer.json();
    assert_eq!(problem["status"], answer.status, "{shown}");
    for field in ["type", "title", "detail"] {
        assert!(problem[field].as_str().is_some_and(|it| !it.is_empty()), "{shown}: {problem}");
    }
    (answer.status, problem)
}

/// Bodies for `/execute`, each with the status and a word of the explanation.
fn bodies() -> Vec<(Vec<u8>, u16, &'static str)> {
    let good = json!({ "program_id": "qa", "inputs": { "question": "?" } });
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body.to_string().into_bytes()
    };
    let without = |name: &str| {
        let mut body = good.clone();
        body.as_object_mut().unwrap().remove(name);
        body.to_string().into_bytes()
    };
    let deep = "[".repeat(100_000);
    vec![
        (b"".to_vec(), 400, "JSON"),
        (b"{\"program_id\": \"qa\",\n \"inputs\": nope}".to_vec(), 400, "line 2"),
        (b"{\"program_id\": \"q\xff\"}".to_vec(), 400, "JSON"),
        (format!("{{\"inputs\":{{\"question\":{deep}").into_bytes(), 400, "recursion"),
        (b"[]".to_vec(), 422, ""),
        (with("inptus", json!({})), 422, "inptus"),
        (without("inputs"), 422, "inputs"),
        (without("program_id"), 422, "program_id"),
        (with("inputs", json!([1])), 422, "inputs"),
        (with("inputs", json!({})), 422, "Missing required input fields: ['question']"),
        (with("inputs", json!({ "question": 5 })), 422, "question"),
        (with("inputs", json!({ "question": "?", "times": "many" })), 422, "times"),
        (with("program_id", json!("none")), 404, "Model none not found in registry"),
        (with("program_id", json!("qa@9.9.9")), 404, "Model qa@9.9.9 not found in registry"),
        (with("program_id", json!("../../etc/passwd")), 404, "not found in registry"),
        (with("mode", json!("fast")), 422, "fast"),
        (with("priority", json!("highest")), 422, "highest"),
        (with("timeout", json!(0)), 422, "timeout"),
        (with("timeout", json!(-1)), 422, "timeout"),
        (with("timeout", json!(1e300)), 422, "timeout"),
        (with("max_retries", json!(-1)), 422, "max_retries"),
        (with("delay", json!(-5)), 422, "delay"),
        (with("run_at", json!("tomorrow")), 422, "run_at"),
        (with("metadata", json!({ "a": 1 })), 422, "metadata"),
        (with("webhook", json!("not a url")), 422, "webhook"),
    ]
}

pub(crate) async fn bad_requests_are_refused_in_words(store: Store) {
    let site = store.site().await;
    let up = site.up().await;

    for (body, status, word) in bodies() {
        let shown = String::from_utf8_lossy(&body[..body.len().min(100)]).into_owned();
        let (found, problem) = problem(&site, "/execute", JSON, &body).await;
        assert_eq!(found, status, "{shown}: {problem}");
        assert!(problem.to_string().contains(word), "{shown}: {problem}");
    }
    let huge = json!({ "program_id": "qa", "inputs": { "question": "x".repeat(80_000_000) } });
    assert_eq!(problem(&site, "/execute", JSON, huge.to_string().as_bytes()).await.0, 413);
    let form = ("content-type", "application/x-www-form-urlencoded");
    assert_eq!(problem(&site, "/execute", form, b"program_id=qa").await.0, 415);
    let empty = json!({ "program_id": "qa", "inputs_list": [] }).to_string();
    assert_eq!(problem(&site, "/execute/batch", JSON, empty.as_bytes()).await.0, 422);
    let dry = json!({ "program_id": "qa", "inputs_list": [{}], "mode": "dry_run" }).to_string();
    assert_eq!(problem(&site, "/execute/batch", JSON, dry.as_bytes()).await.0, 422);
    let id = "01920000-0000-7000-8000-000000000000";
    for path in ["/nowhere", "/execution/x/cancel", &format!("/execution/{id}/cancel")] {
        assert_eq!(problem(&site, path, JSON, b"{}").await.0, 404, "{path}");
    }
    assert_eq!(problem(&site, "/health", JSON, b"{}").await.0, 405);
    let reads = ["/execution/x", "/batch/x", "/executions?status=odd", "/executions?limit=0"];
    for path in reads {
        let answer = site.http.get(path).await.unwrap();
        assert!(matches!(answer.status, 400 | 404 | 422), "{path}: {}", answer.body);
        assert_eq!(answer.header("content-type"), "application/problem+json", "{path}");
    }
    site.succeeded(&site.ask("still here?").await).await;
    assert_eq!(site.totals().await, (1, 1));
    site.check(up).await;
}

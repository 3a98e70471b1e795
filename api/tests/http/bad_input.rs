//! What is refused, and in which words.

use api::Config;
use axum::body::Body;
use futures::stream;
use queue::Limits;
use serde_json::{Value, json};

use crate::site::{Reply, Site, mail, mail_with};

async fn send(site: &Site, text: impl Into<Body>) -> Reply {
    site.call("POST", "/execute").body("application/json", text).send().await
}

#[tokio::test]
async fn malformed_json_is_told_with_its_place() {
    let site = Site::new().await;
    for (text, place) in [
        ("", "line 1 column 0"),
        ("{\n  \"program_id\": mail}", "line 2 column 17"),
        ("{\"program_id\": \"mail\"", "line 1 column 21"),
        ("{\"program_id\": \"mail\", \"inputs\": {}} x", "line 1 column 38"),
        ("{\"program_id\": \"\\ud800\"}", "line 1 column"),
    ] {
        let problem = send(&site, text).await.problem(400, "malformed");
        assert!(problem["detail"].as_str().unwrap().contains(place), "{text}: {problem}");
    }
    send(&site, vec![b'{', b'"', 0xff, 0xfe, b'"', b'}']).await.problem(400, "malformed");
}

#[tokio::test]
async fn fields_that_are_wrong_are_pointed_at() {
    let site = Site::new().await;
    for (name, value, pointer) in [
        ("timeout", json!("soon"), "/timeout"),
        ("timeout", json!(0), "/timeout"),
        ("timeout", json!(1e9), "/timeout"),
        ("max_retries", json!(-1), "/max_retries"),
        ("max_retries", json!(101), "/max_retries"),
        ("mode", json!("fast"), "/mode"),
        ("priority", json!("urgent"), "/priority"),
        ("cache", json!("no"), "/cache"),
        ("inputs", json!([1]), "/inputs"),
        ("delay", json!(-1), "/delay"),
        ("run_at", json!("tomorrow"), "/run_at"),
        ("metadata", json!({"a": 1}), "/metadata/a"),
        ("metadata", json!({"usage": "x"}), "/metadata/usage"),
        ("metadata", json!({"a": "x".repeat(2000)}), "/metadata/a"),
        ("webhook", json!("file:///etc/passwd"), "/webhook"),
        ("lm", json!({"temperature": "hot"}), "/lm/temperature"),
        ("lm", json!({"api_base": "http://evil"}), "/lm/api_base"),
        ("lm", json!({"api_key": "sk-1"}), "/lm/api_key"),
        ("durability", json!("paper"), "/durability"),
    ] {
        let reply = site.post("/execute", mail_with(name, value.clone())).await;
        let problem = reply.problem(422, "validation");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{name}: {value}: {problem}");
    }
}

#[tokio::test]
async fn unknown_field_is_named() {
    let site = Site::new().await;
    let reply = site.post("/execute", mail_with("progam", json!("x"))).await;
    let problem = reply.problem(422, "validation");
    assert!(problem["detail"].as_str().unwrap().contains("unknown field `progam`"), "{problem}");
}

#[tokio::test]
async fn missing_field_is_named() {
    let site = Site::new().await;
    let problem = send(&site, "{}").await.problem(422, "validation");
    assert!(problem["detail"].as_str().unwrap().contains("missing field `program_id`"));
}

#[tokio::test]
async fn two_starts_are_one_too_many() {
    let site = Site::new().await;
    let mut body = mail_with("delay", json!(1));
    body["run_at"] = json!("2030-01-01T00:00:00Z");
    site.post("/execute", body).await.problem(422, "validation");
}

#[tokio::test]
async fn unknown_program_is_told_in_the_promised_words() {
    let site = Site::new().await;
    for path in ["/execute", "/execute/batch"] {
        let name = if path == "/execute" { "inputs" } else { "inputs_list" };
        let inputs: Value = if path == "/execute" { json!({}) } else { json!([{}]) };
        let reply = site.post(path, json!({"program_id": "invalid-program", name: inputs})).await;
        let problem = reply.problem(404, "program-not-found");
        assert_eq!(problem["detail"], "Model invalid-program not found in registry");
    }
    let reply = site.post("/execute", mail_with("program_id", json!("mail@9.9.9"))).await;
    let problem = reply.problem(404, "program-not-found");
    assert_eq!(problem["detail"], "Model mail@9.9.9 not found in registry");
}

#[tokio::test]
async fn missing_inputs_are_told_in_the_promised_words() {
    let site = Site::new().await;
    let body = json!({"program_id": "mail", "inputs": {"words": 1}});
    let problem = site.post("/execute", body).await.problem(422, "validation");
    assert_eq!(problem["detail"], "Missing required input fields: ['recipient', 'subject']");
    assert_eq!(problem["errors"][0]["pointer"], "/inputs/recipient");
    assert_eq!(problem["errors"][1]["pointer"], "/inputs/subject");
}

#[tokio::test]
async fn mistyped_input_is_pointed_at() {
    let site = Site::new().await;
    let inputs = json!({"recipient": "bob", "subject": "hi", "words": "many"});
    let reply = site.post("/execute", mail_with("inputs", inputs)).await;
    let problem = reply.problem(422, "validation");
    assert_eq!(problem["errors"][0]["pointer"], "/inputs/words");
}

#[tokio::test]
async fn deep_nesting_is_refused() {
    let site = Site::new().await;
    let nested = |levels| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    let body = |levels| {
        let inputs = format!(r#"{{"recipient": {}, "subject": "x"}}"#, nested(levels));
        format!(r#"{{"program_id": "mail", "inputs": {inputs}}}"#)
    };
    let problem = send(&site, body(65)).await.problem(422, "validation");
    assert_eq!(problem["errors"][0]["pointer"], "/inputs/recipient");
    send(&site, body(100_000)).await.problem(400, "malformed");
}

#[tokio::test]
async fn large_body_is_refused_whether_announced_or_not() {
    let config = Config { body_bytes_max: 1000, ..Config::default() };
    let site = Site::with(config, Limits::default()).await;
    let text = mail_with("inputs", json!({"recipient": "x".repeat(2000)})).to_string();
    let call = site.call("POST", "/execute").header("content-length", &text.len().to_string());
    call.body("application/json", text.clone()).send().await.problem(413, "body-too-large");

    let parts = text.into_bytes().chunks(100).map(<[u8]>::to_vec).collect::<Vec<_>>();
    let parts = stream::iter(parts.into_iter().map(Ok::<_, std::io::Error>));
    send(&site, Body::from_stream(parts)).await.problem(413, "body-too-large");
}

#[tokio::test]
async fn body_in_pieces_is_put_together() {
    let site = Site::new().await;
    let pieces: Vec<_> =
        mail().to_string().bytes().map(|it| Ok::<_, std::io::Error>(vec![it])).collect();
    assert_eq!(send(&site, Body::from_stream(stream::iter(pieces))).await.status, 202);
}

#[tokio::test]
async fn body_that_stops_is_not_waited_for() {
    let config = Config { body_idle_seconds_max: 0, ..Config::default() };
    let site = Site::with(config, Limits::default()).await;
    let body = Body::from_stream(stream::pending::<Result<Vec<u8>, std::io::Error>>());
    send(&site, body).await.problem(408, "body-too-slow");
}

#[tokio::test]
async fn body_that_breaks_off_is_malformed() {
    let site = Site::new().await;
    let parts = [Ok("{".to_owned()), Err(std::io::Error::other("gone"))];
    send(&site, Body::from_stream(stream::iter(parts))).await.problem(400, "malformed");
}

#[tokio::test]
async fn other_content_type_is_refused_with_the_right_one() {
    let site = Site::new().await;
    for media_type in ["text/plain", "application/x-www-form-urlencoded", ""] {
        let call = site.call("POST", "/execute").body(media_type, mail().to_string());
        let problem = call.send().await.problem(415, "unsupported-media-type");
        assert!(problem["detail"].as_str().unwrap().contains("application/json"));
    }
}

#[tokio::test]
async fn unknown_routes_and_methods_are_problems() {
    let site = Site::new().await;
    site.get("/nothing").await.problem(404, "not-found");
    for (method, path, allow) in
        [("GET", "/execute", "POST"), ("PATCH", "/programs/mail", "GET,HEAD,PUT,DELETE")]
    {
        let reply = site.call(method, path).send().await;
        reply.problem(405, "method-not-allowed");
        let mut allowed: Vec<&str> = reply.header("allow").split(',').collect();
        let mut expected: Vec<&str> = allow.split(',').collect();
        allowed.sort_unstable();
        expected.sort_unstable();
        assert_eq!(allowed, expected);
    }
}

#[tokio::test]
async fn options_tells_the_methods() {
    let site = Site::new().await;
    let reply = site.call("OPTIONS", "/execute").send().await;
    assert_eq!((reply.status, reply.header("allow")), (204, "POST"));
}

#[tokio::test]
async fn queries_are_checked() {
    let site = Site::new().await;
    let id = site.submit().await;
    for path in [
        "/executions?limit=0",
        "/executions?limit=1001",
        "/executions?limit=x",
        "/executions?status=done",
        "/executions?since=yesterday",
        "/executions?batch_id=1",
        "/executions?unknown=1",
        "/executions?cursor=%00",
        "/executions?cursor=no-such-cursor",
        "/batches?cursor=no-such-cursor",
        "/dead?cursor=no-such-cursor",
        "/stats?window=48h",
        "/stats?window=soon",
        &format!("/execution/{id}?wait=-1"),
        &format!("/execution/{id}?wait=x"),
    ] {
        let reply = site.get(path).await;
        assert_eq!(reply.status, 400, "{path}: {}", reply.text());
        reply.problem(400, "malformed");
    }
}

#[tokio::test]
async fn idempotency_keys_are_bounded() {
    let site = Site::new().await;
    for key in [String::new(), "k".repeat(256)] {
        let call = site.call("POST", "/execute").header("idempotency-key", &key).json(&mail());
        call.send().await.problem(400, "malformed");
    }
}

#[tokio::test]
async fn ids_that_are_none_name_nothing() {
    let site = Site::new().await;
    for id in ["1", "..%2f..%2fetc", "0195d3c8-7a3e-7c60-9d6e-0f6f4e0f9b3a", "%C3%A9", "x'--"] {
        site.get(&format!("/execution/{id}")).await.problem(404, "not-found");
        site.get(&format!("/batch/{id}")).await.problem(404, "not-found");
    }
    site.get("/execution/%ff").await.problem(400, "malformed");
}

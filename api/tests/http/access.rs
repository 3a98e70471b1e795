//! Who may do what.

use std::{num::NonZeroU32, time::Duration};

use api::{
    Config, SecretKey,
    token::{self, Scope, mint},
};
use chrono::Utc;
use queue::Limits;
use serde_json::json;

use crate::site::{Site, mail};

const DAY: Duration = Duration::from_hours(24);

#[tokio::test]
async fn without_a_token_nothing_is_open_but_health_and_description() {
    let site = Site::new().await;
    let contract = api::openapi();
    let mut closed = 0;
    for (path, item) in contract["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let path = path.strip_prefix(api::PREFIX).unwrap().replace("{id}", "x");
            let open = ["/health", "/health/live", "/health/ready", "/openapi.json", "/docs"];
            let reply = site.call(&method.to_uppercase(), &path).token(None).send().await;
            if open.contains(&path.as_str()) {
                assert_eq!(reply.status, 200, "{path}");
                continue;
            }
            reply.problem(401, "unauthorized");
            assert_eq!(reply.header("www-authenticate"), "Bearer");
            assert!(operation["security"][0]["token"].is_array(), "{path}");
            closed += 1;
        }
    }
    assert!(closed > 20, "{closed}");
}

#[tokio::test]
async fn every_operation_needs_the_scope_that_is_described() {
    let site = Site::new().await;
    let contract = api::openapi();
    for (path, item) in contract["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let Some(scope) = operation["security"][0]["token"][0].as_str() else { continue };
            let scope: Scope = scope.parse().unwrap();
            let others = [Scope::Execute, Scope::Read, Scope::Programs];
            let others: Vec<Scope> = others.into_iter().filter(|it| *it != scope).collect();
            let path = path.strip_prefix(api::PREFIX).unwrap().replace("{id}", "x");
            let call = site.call(&method.to_uppercase(), &path).by("alice", &others);
            let reply = call.send().await;
            reply.problem(403, "forbidden");
            assert!(reply.header("www-authenticate").contains("insufficient_scope"));
        }
    }
}

#[tokio::test]
async fn tokens_that_are_not_good_are_refused() {
    let site = Site::new().await;
    let scopes = [Scope::Read];
    let stranger = mint(&SecretKey::random(), "alice", &scopes, DAY, Utc::now()).unwrap();
    let old = mint(&site.key, "alice", &scopes, DAY, Utc::now() - 2 * DAY).unwrap();
    for (token, words) in
        [(stranger, "not valid"), (old, "expired"), ("x.y.z".to_owned(), "not valid")]
    {
        let reply = site.call("GET", "/stats").token(Some(&token)).send().await;
        let problem = reply.problem(401, "unauthorized");
        assert!(problem["detail"].as_str().unwrap().contains(words), "{problem}");
        assert!(reply.header("www-authenticate").contains("invalid_token"));
        assert!(!reply.text().contains(&token));
    }
    let basic = site.call("GET", "/stats").token(None).header("authorization", "Basic YTpi");
    basic.send().await.problem(401, "unauthorized");
}

#[tokio::test]
async fn revoked_token_is_refused() {
    let site = Site::new().await;
    let token = site.token("alice", &[Scope::Read]);
    let claims = token::read(&site.key, &token).unwrap();
    site.queue.revoke_token(&claims.id, claims.expires).await.unwrap();

    let reply = site.call("GET", "/stats").token(Some(&token)).send().await;

    reply.problem(401, "unauthorized");
    assert_eq!(site.get("/stats").await.status, 200);
}

#[tokio::test]
async fn work_of_others_is_not_there() {
    let site = Site::new().await;
    let id = site.submit().await;
    let body = json!({"program_id": "mail", "inputs_list": [mail()["inputs"]]});
    let batch = site.post("/execute/batch", body).await.json();
    let batch = batch["batch_id"].as_str().unwrap();
    let all = [Scope::Execute, Scope::Read, Scope::Programs];
    for (method, path) in [
        ("GET", format!("/execution/{id}")),
        ("GET", format!("/execution/{id}?wait=60")),
        ("GET", format!("/execution/{id}/why")),
        ("POST", format!("/execution/{id}/cancel")),
        ("POST", format!("/execution/{id}/retry")),
        ("GET", format!("/execution/{batch}-0")),
        ("GET", format!("/batch/{batch}")),
        ("GET", format!("/batch/{batch}/results")),
        ("POST", format!("/batch/{batch}/cancel")),
        ("POST", format!("/batch/{batch}/retry")),
    ] {
        let reply = site.call(method, &path).by("bob", &all).send().await;
        reply.problem(404, "not-found");
    }
    for path in ["/executions", "/executions?owner=alice", "/batches"] {
        let page = site.call("GET", path).by("bob", &all).send().await.json();
        let list = page.as_object().unwrap().values().next().unwrap();
        assert_eq!(list, &json!([]), "{path}");
    }
}

#[tokio::test]
async fn items_of_others_are_not_listed_by_batch() {
    let site = Site::new().await;
    let body = json!({"program_id": "mail", "inputs_list": [mail()["inputs"]]});
    let batch = site.post("/execute/batch", body).await.json();
    let path = format!("/executions?batch_id={}", batch["batch_id"].as_str().unwrap());

    let reply = site.call("GET", &path).by("bob", &[Scope::Read]).send().await;

    assert_eq!(reply.json()["executions"], json!([]));
    let own = site.get(&path).await.json();
    assert_eq!(own["executions"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn admin_sees_and_cancels_everybodys() {
    let site = Site::new().await;
    let id = site.submit().await;
    assert_eq!(site.admin("GET", &format!("/execution/{id}")).await.status, 200);
    let all = site.admin("GET", "/executions?owner=alice").await.json();
    assert_eq!(all["executions"].as_array().unwrap().len(), 1);
    assert_eq!(site.admin("POST", &format!("/execution/{id}/cancel")).await.status, 200);
}

#[tokio::test]
async fn owners_that_ask_too_often_are_told_when_to_come_back() {
    let config = Config { requests_per_owner_per_second: NonZeroU32::new(2), ..Config::default() };
    let site = Site::with(config, Limits::default()).await;
    let mut last = site.get("/programs").await;
    for _ in 0..20 {
        last = site.get("/programs").await;
    }
    last.problem(429, "rate-limited");
    assert_eq!(last.header("retry-after"), "1");
    let other = site.call("GET", "/programs").by("bob", &[Scope::Read]).send().await;
    assert_eq!(other.status, 200);
}

//! Who may do what.

use serde_json::json;
use testkit::until_true;

use crate::site::{SOON, Store};

pub(crate) async fn nobody_comes_in_without_a_good_token(store: Store) {
    let site = store.site().await;
    let up = site.up().await;
    let good = site.token(&["--subject", "bob"]).await;
    let brief = site.token(&["--subject", "bob", "--expires", "1s"]).await;
    let (head, tail) = good.rsplit_once('.').unwrap();
    let forged = format!("{head}.{}", tail.chars().rev().collect::<String>());
    let unsigned = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJib2IiLCJleHAiOjk5OTk5OTk5OTl9.";

    for token in ["", "x", &forged, unsigned, &good[1..]] {
        let answer = site.http.with_token(token).get("/stats").await.unwrap();
        assert_eq!(answer.status, 401, "{token}: {}", answer.body);
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert!(!answer.header("www-authenticate").is_empty());
    }
    let brief = site.http.with_token(&brief);
    until_true("the token expires", SOON, async || {
        brief.get("/stats").await.unwrap().status == 401
    })
    .await;
    assert_eq!(site.http.with_token(&good).get("/stats").await.unwrap().status, 200);
    assert_eq!(site.http.with_token("x").get("/health").await.unwrap().status, 200);
    site.check(up).await;
}

pub(crate) async fn scopes_are_kept_to(store: Store) {
    let site = store.site().await;
    let up = site.up().await;
    let reader = site.client("alice", "read").await;
    let runner = site.client("alice", "execute").await;
    let body = json!({ "program_id": "qa", "inputs": { "question": "?" } });

    let path = site.ask("?").await;
    assert_eq!(reader.post("/execute", &body).await.unwrap().status, 403);
    assert_eq!(reader.get(&path).await.unwrap().status, 200);
    assert_eq!(runner.post("/execute", &body).await.unwrap().status, 202);
    assert_eq!(runner.get("/stats").await.unwrap().status, 403);
    for operation in ["/cache/clear", "/queue/pause", "/queue/resume"] {
        let answer = site.http.post(operation, &json!({})).await.unwrap();
        assert_eq!(answer.status, 403, "{operation}: {}", answer.body);
    }
    let put = reader.send("PUT", "/programs/x", &[("content-type", "application/yaml")], b"").await;
    assert_eq!(put.unwrap().status, 403);
    site.check(up).await;
}

pub(crate) async fn owners_are_kept_apart(store: Store) {
    let site = store.site().await;
    let up = site.up().await;
    let bob = site.client("bob", "execute,read").await;
    let admin = site.client("root", "execute,read,admin").await;
    let path = site.ask("a secret").await;
    let batch = site.ask_many(3).await;
    site.succeeded(&path).await;
    site.ended(&batch).await;

    let mut denied = Vec::new();
    for path in [&path, &format!("{path}/why"), &batch, &format!("{batch}/results")] {
        denied.push((path.clone(), bob.get(path).await.unwrap()));
    }
    for path in [&path, &batch] {
        for action in ["cancel", "retry"] {
            let path = format!("{path}/{action}");
            let answer = bob.post(&path, &json!({})).await.unwrap();
            denied.push((path, answer));
        }
    }

    for (path, answer) in denied {
        assert!(matches!(answer.status, 403 | 404), "{path}: {} {}", answer.status, answer.body);
        assert!(!answer.body.contains("secret"));
    }
    let list = bob.get("/executions").await.unwrap();
    assert!(list.status == 200 && !list.body.contains("secret"), "{}", list.body);
    assert_eq!(admin.get(&path).await.unwrap().json()["status"], "succeeded");
    site.check(up).await;
}

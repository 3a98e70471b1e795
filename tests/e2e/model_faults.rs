//! Language models that do not answer as they should.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::Reply;

use crate::site::Store;

fn attempts(record: &Value) -> usize {
    record["attempts"].as_array().unwrap().len()
}

pub(crate) async fn throttled_execution_comes_back_when_asked(store: Store) {
    let site = store.site().await;
    site.lm.then(Reply::too_many(2));
    let up = site.up().await;

    let record = site.succeeded(&site.ask("?").await).await;

    assert_eq!(attempts(&record), 1, "being throttled uses no attempt: {record:#}");
    let calls = site.lm.requests();
    let waited = calls[1].at - calls[0].at;
    assert!((Duration::from_secs(2)..Duration::from_secs(6)).contains(&waited), "{waited:?}");
    site.check(up).await;
}

pub(crate) async fn failing_model_is_asked_again(store: Store) {
    let site = store.site().await;
    let up = site.up().await;

    for fault in [Reply::error(500), Reply::error(503), Reply::Cut, Reply::CutMidway] {
        let before = site.lm.calls();
        site.lm.then(fault.clone());
        let record = site.succeeded(&site.ask("?").await).await;
        assert_eq!((attempts(&record), site.lm.calls() - before), (2, 2), "{fault:?}: {record:#}");
        assert_eq!(record["attempts"][0]["error_kind"], "lm_error", "{fault:?}");
        assert_eq!(record["attempts"][1]["error"], Value::Null, "{fault:?}");
    }
    let stats = site.until("/stats", |_| true).await;
    assert_eq!(stats["statistics"]["retries"], 4);
    site.check(up).await;
}

pub(crate) async fn failing_model_fails_at_last(store: Store) {
    let site = store.site().await;
    site.lm.usually(Reply::error(500));
    let up = site.up().await;

    let record = site.ended(&site.ask("?").await).await;

    assert_eq!((&record["status"], &record["error_kind"]), (&json!("failed"), &json!("lm_error")));
    assert_eq!((attempts(&record), site.lm.calls()), (3, 3));
    site.check(up).await;
}

pub(crate) async fn refusing_model_fails_at_once(store: Store) {
    let site = store.site().await;
    let up = site.up().await;

    for status in [400, 401, 403, 404] {
        let before = site.lm.calls();
        site.lm.then(Reply::error(status));
        let record = site.ended(&site.ask("?").await).await;
        assert_eq!((&record["status"], attempts(&record)), (&json!("failed"), 1), "{status}");
        assert_eq!(record["error_kind"], "lm_error", "{status}");
        assert_eq!(site.lm.calls() - before, 1, "{status}");
        assert!(!record.to_string().contains("of-the-stub"), "the key is told: {record:#}");
    }
    site.check(up).await;
}

pub(crate) async fn nonsense_fails_in_words(store: Store) {
    let site = store.site().await;
    let up = site.up().await;

    for nonsense in [Reply::Garbage, Reply::Empty, Reply::Text("no fields".to_owned())] {
        site.lm.usually(nonsense.clone());
        let record = site.ended(&site.ask("?").await).await;
        assert_eq!(record["status"], "failed", "{nonsense:?}");
        let kind = record["error_kind"].as_str().unwrap();
        assert!(matches!(kind, "lm_error" | "parse_error"), "{nonsense:?}: {record:#}");
        assert!(record["error"].as_str().is_some_and(|it| !it.is_empty()));
    }
    site.lm.usually(Reply::Fitting);
    site.succeeded(&site.ask("and now?").await).await;
    site.check(up).await;
}

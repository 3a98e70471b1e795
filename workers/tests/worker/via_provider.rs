//! Batches that the model's provider runs by its own batch endpoint.

use std::time::Duration;

use queue::{BatchId, BatchItem, Class, Ended, Fields, NewBatch, Spec, Via};
use serde_json::{Value, json};
use testkit::{Course, Reply, StubLm, StubProvider};

use super::site::{SOON, Site, spec};

const DIRECT: &str = "POST /v1/chat/completions";

/// A site whose models are at the provider.
fn site(provider: &StubProvider) -> Site {
    let mut site = Site::new(StubLm::new(Reply::Nothing));
    site.gateway.api_base = Some(provider.url());
    site
}

async fn submit(site: &Site, questions: impl Iterator<Item = String>, lm: Value) -> BatchId {
    let Value::Object(lm) = lm else { panic!("settings by name") };
    site.submit_batch(Spec { via: Via::Provider, lm, ..spec("qa") }, questions).await
}

#[tokio::test]
async fn batch_too_large_for_one_file_is_several() {
    let provider = StubProvider::new(Course::Usual);
    let site = site(&provider);
    let worker = site.start();
    let questions = (0..40).map(|it| format!("{it} {}", "x".repeat(1_000_000)));

    let id = submit(&site, questions, json!({})).await;

    let batch = site.until_completed(id).await;
    assert_eq!(batch.ended, Ended { succeeded: 40, ..Ended::default() });
    assert_eq!((provider.batches().len(), provider.count(DIRECT)), (2, 0));
    let lines: Vec<usize> = provider.files().iter().map(Vec::len).collect();
    assert_eq!(lines, [33, 7]);
    worker.end().await;
}

#[tokio::test]
async fn several_completions_of_an_item_are_several_lines() {
    let provider = StubProvider::new(Course::Usual);
    let site = site(&provider);
    let worker = site.start();

    let id = submit(&site, ["one", "two"].map(str::to_owned).into_iter(), json!({"n": 3})).await;

    let batch = site.until_completed(id).await;
    assert_eq!(batch.ended, Ended { succeeded: 2, ..Ended::default() });
    assert_eq!((provider.files()[0].len(), provider.count(DIRECT)), (6, 0));
    let record = site.queue.execution(id.item(1)).await.unwrap();
    let extra = record.report.unwrap().extra;
    assert_eq!(extra["completions"].as_array().map(Vec::len), Some(3), "{extra:?}");
    worker.end().await;
}

#[tokio::test]
async fn what_no_provider_can_be_asked_fails_as_always() {
    let provider = StubProvider::new(Course::Usual);
    let mut site = site(&provider);
    site.gateway.model = None;
    let worker = site.start();

    let id = submit(&site, std::iter::once("one".to_owned()), json!({})).await;

    let batch = site.until_completed(id).await;
    assert_eq!(batch.ended, Ended { failed: 1, ..Ended::default() });
    let record = site.queue.execution(id.item(0)).await.unwrap();
    let failure = record.report.unwrap().failure.unwrap();
    assert!(failure.message.starts_with("no model is set"), "{}", failure.message);
    assert_eq!(provider.seen(), Vec::<String>::new());
    worker.end().await;
}

#[tokio::test]
async fn two_workers_send_a_batch_once() {
    let provider = StubProvider::new(Course::Usual);
    let site = site(&provider);
    let workers = [site.start(), site.start()];
    let mut batches = Vec::new();
    for n in 0..6 {
        let questions = (0..20).map(move |it| format!("{n} {it}"));
        batches.push(submit(&site, questions, json!({})).await);
    }

    for id in batches {
        let batch = site.until_completed(id).await;
        assert_eq!(batch.ended.succeeded, 20);
    }

    assert_eq!((provider.files().len(), provider.batches().len()), (6, 6));
    assert_eq!(provider.count(DIRECT), 0);
    for worker in workers {
        worker.end().await;
    }
}

#[tokio::test]
async fn deadline_calls_off_what_is_at_the_provider() {
    let provider = StubProvider::new(Course::Usual);
    let site = site(&provider);
    provider.hold();
    let worker = site.start();
    let mut spec = Spec { class: Class::Bulk, via: Via::Provider, ..spec("qa") };
    spec.deadline = Some(chrono::Utc::now() + Duration::from_secs(4));
    let item = BatchItem {
        inputs: Fields::from_iter([("question".to_owned(), json!("why?"))]),
        custom_id: None,
        fingerprint: None,
        invalid: None,
    };
    let new = NewBatch {
        id: BatchId::new(),
        spec,
        cache_ttl: None,
        policy: queue::Policy::default(),
        items: vec![item],
        idempotency: None,
    };

    let id = site.queue.submit_batch(new).await.unwrap().id;

    let batch = site.until_completed(id).await;
    assert_eq!(batch.ended, Ended { expired: 1, ..Ended::default() });
    let called_off = async || provider.batches() == ["cancelled"];
    testkit::until_true("it is called off there", SOON, called_off).await;
    worker.end().await;
}

//! Models of embeddings are paid for, bounded and paced as others are.

use std::time::Duration;

use queue::{ExecutionId, FailureKind, State};
use serde_json::{Value, json};
use testkit::{Reply, StubLm};
use tokio::time::Instant;
use workers::{Terms, TermsBook};

use super::site::Site;

/// A program that shows the nearest of two examples.
const NEAREST: &str = "
name: nearest
version: 1.0.0
cache: false
signatures:
  main:
    inputs: {question: str}
    outputs: {answer: str}
    module: {type: knn, k: 1, embedder: {model: openai/embedder}}
    examples:
      - {input: {question: Up?}, output: {answer: Down.}}
      - {input: {question: Left?}, output: {answer: Right.}}
";

fn site(terms: Terms) -> Site {
    let mut site = Site::new(StubLm::new(Reply::Fitting));
    let book = [("openai/embedder".to_owned(), terms), ("openai/*".to_owned(), free())];
    site.gateway.models = TermsBook(book.into());
    site.write_file("nearest.yaml", NEAREST);
    site
}

fn free() -> Terms {
    priced(0.0)
}

fn priced(dollars_a_million: f64) -> Terms {
    let price = Some(dollars_a_million);
    Terms { input_price: price, output_price: price, ..Terms::default() }
}

/// What the endpoint makes of so many texts.
fn embeds(site: &Site, count: usize) {
    let vector = |index| json!({"object": "embedding", "index": index, "embedding": [1.0, 0.0]});
    let data: Vec<Value> = (0..count).map(vector).collect();
    let usage = json!({"prompt_tokens": 3, "total_tokens": 3});
    let body = json!({"object": "list", "data": data, "usage": usage}).to_string();
    site.lm.then(Reply::Status(200, Vec::new(), body));
}

async fn ask(site: &Site, timeout: Duration) -> ExecutionId {
    let submitted = site.submit(|it| {
        "nearest".clone_into(&mut it.spec.program);
        it.spec.timeout = timeout;
        it.spec.max_retries = 1;
    });
    submitted.await
}

fn paths(site: &Site) -> Vec<String> {
    site.lm.requests().into_iter().map(|it| it.path).collect()
}

#[tokio::test]
async fn execution_that_is_tried_again_pays_for_no_vector_twice() {
    let site = site(priced(1e6));
    embeds(&site, 2);
    embeds(&site, 1);
    // The model hangs until the attempt is over.
    site.lm.then(Reply::Nothing);
    let worker = site.start();

    let id = ask(&site, Duration::from_millis(500)).await;

    let report = site.until(id, State::Succeeded).await.report.unwrap();
    let (vectors, chat) = ("/v1/embeddings", "/v1/chat/completions");
    assert_eq!(paths(&site), [vectors, vectors, chat, chat]);
    assert_eq!(worker.metrics.lm_replayed.get(), 1, "the examples are known since the first");
    assert_eq!(report.usage["openai/embedder"]["cost"], 3.0);
    worker.end().await;
}

#[tokio::test]
async fn budget_that_is_spent_on_vectors_is_spent() {
    let mut site = site(priced(1e6));
    site.config.owner_budget_micros = Some(3_000_000);
    embeds(&site, 2);
    let worker = site.start();

    let id = ask(&site, Duration::ZERO).await;

    let failure = site.until(id, State::Failed).await.report.unwrap().failure.unwrap();
    assert_eq!(failure.kind, FailureKind::BudgetExceeded);
    assert_eq!(paths(&site), ["/v1/embeddings"], "the examples took all of it");
    worker.end().await;
}

#[tokio::test]
async fn vectors_are_asked_for_at_the_endpoints_pace() {
    let (each_second, count) = (5.0, 8);
    let requests_per_minute = Some(each_second * 60.0);
    let site = site(Terms { requests_per_minute, ..free() });
    embeds(&site, 2);
    let worker = site.start();
    let begun = Instant::now();

    // One after the other, so that the stub's answers come to those that they are for.
    for _ in 0..count {
        embeds(&site, 1);
        let id = ask(&site, Duration::ZERO).await;
        site.until(id, State::Succeeded).await;
    }

    // A hundredth of a minute's calls may come at once; the others come evenly.
    let least = (f64::from(count + 1) - 0.6 * each_second - 1.0) / each_second;
    assert!(begun.elapsed() >= Duration::from_secs_f64(least), "{:?}", begun.elapsed());
    assert!(worker.metrics.lm_paced.get() > 0);
    worker.end().await;
}

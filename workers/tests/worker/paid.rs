//! What was paid for is not paid for again, and nobody spends or asks more than they may.

use std::{collections::BTreeMap, time::Duration};

use queue::{CacheKey, ExecutionId, FailureKind, NewExecution, State};
use testkit::{Reply, StubLm};
use tokio::time::Instant;
use workers::{Terms, TermsBook};

use super::site::{Site, inputs};

/// A request that may be served by an equal one's reply, but by no equal one's result.
fn shared(new: &mut NewExecution) {
    let fingerprint = ExecutionId::new().to_string();
    new.cache = Some(CacheKey { fingerprint, ttl: Duration::from_secs(60) });
}

fn terms(terms: Terms) -> TermsBook {
    TermsBook(BTreeMap::from([("openai/*".to_owned(), terms)]))
}

#[tokio::test]
async fn equal_calls_in_flight_cost_one() {
    let mut site = Site::new(StubLm::new(Reply::Fitting.at_gate()));
    site.config.slots = 50;
    let (one, other) = (site.start(), site.start());
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(site.submit(shared).await);
    }
    site.until_called(1).await;

    site.lm.open_gate();

    let mut tokens = 0;
    for id in ids {
        let report = site.until(id, State::Succeeded).await.report.unwrap();
        tokens += report.usage.values().filter_map(|it| it["total_tokens"].as_u64()).sum::<u64>();
    }
    assert_eq!((site.lm.calls(), tokens), (1, 12));
    one.end().await;
    other.end().await;
}

#[tokio::test]
async fn calls_that_may_not_be_shared_are_all_made() {
    let site = Site::new(StubLm::new(Reply::Fitting));
    let worker = site.start();

    let first = site.submit(|_| {}).await;
    site.until(first, State::Succeeded).await;
    let second = site.submit(|_| {}).await;
    site.until(second, State::Succeeded).await;

    assert_eq!(site.lm.calls(), 2);
    worker.end().await;
}

#[tokio::test]
async fn what_an_attempt_paid_for_the_next_one_has() {
    let site = Site::new(StubLm::new(Reply::Fitting));
    // The adapter asks again in another format, and that call hangs until the attempt is over.
    site.lm.then(Reply::Text("no field here".to_owned())).then(Reply::Nothing);
    let worker = site.start();

    let id = site
        .submit(|it| {
            it.spec.timeout = Duration::from_millis(500);
            it.spec.max_retries = 1;
        })
        .await;

    let report = site.until(id, State::Succeeded).await.report.unwrap();
    assert_eq!(site.lm.calls(), 3);
    assert_eq!(worker.metrics.lm_replayed.get(), 1);
    assert_eq!(report.usage["openai/stub"]["total_tokens"], 24);
    worker.end().await;
}

#[tokio::test]
async fn a_reply_that_cannot_be_read_is_asked_for_anew() {
    let site = Site::new(StubLm::new(Reply::Fitting));
    let garbage = || Reply::Text("no field here".to_owned());
    site.lm.then(garbage()).then(garbage());
    let worker = site.start();

    let id = site
        .submit(|it| {
            shared(it);
            it.spec.max_retries = 1;
        })
        .await;

    site.until(id, State::Succeeded).await;
    assert_eq!((site.lm.calls(), worker.metrics.lm_replayed.get()), (3, 0));
    worker.end().await;
}

#[tokio::test]
async fn an_owner_whose_budget_is_spent_gets_no_more_calls() {
    let mut site = Site::new(StubLm::new(Reply::Fitting));
    let dollar_a_token = Some(1e6);
    site.gateway.models = terms(Terms {
        input_price: dollar_a_token,
        output_price: dollar_a_token,
        ..Terms::default()
    });
    site.config.owner_budget_micros = Some(12_000_000);
    let worker = site.start();
    let first = site.submit(|_| {}).await;
    site.until(first, State::Succeeded).await;

    let second = site.submit(|it| it.inputs = inputs("how?")).await;
    let other = site.submit(|it| "somebody else".clone_into(&mut it.spec.owner)).await;

    site.until(other, State::Succeeded).await;
    let failure = site.until(second, State::Failed).await.report.unwrap().failure.unwrap();
    assert_eq!(failure.kind, FailureKind::BudgetExceeded);
    assert!(failure.message.contains("OWNER_BUDGET"), "{}", failure.message);
    assert_eq!(site.lm.calls(), 2);
    worker.end().await;
}

#[tokio::test]
async fn a_budget_holds_where_the_endpoint_counts_no_tokens() {
    let text = "[[ ## answer ## ]]\nyes";
    let body = serde_json::json!({"choices": [{"message": {"content": text}}]});
    let mut site = Site::new(StubLm::new(Reply::Status(200, Vec::new(), body.to_string())));
    let dollar_a_token = Some(1e6);
    site.gateway.models = terms(Terms {
        input_price: dollar_a_token,
        output_price: dollar_a_token,
        ..Terms::default()
    });
    site.config.owner_budget_micros = Some(1_000_000);
    let worker = site.start();
    let first = site.submit(|_| {}).await;
    site.until(first, State::Succeeded).await;

    let second = site.submit(|it| it.inputs = inputs("how?")).await;

    let failure = site.until(second, State::Failed).await.report.unwrap().failure.unwrap();
    assert_eq!(failure.kind, FailureKind::BudgetExceeded);
    assert_eq!(site.lm.calls(), 1);
    worker.end().await;
}

#[tokio::test]
async fn two_workers_keep_the_pace_of_one_endpoint() {
    let mut site = Site::new(StubLm::new(Reply::Fitting));
    site.config.slots = 50;
    let each_second = 100.0;
    let requests_per_minute = Some(each_second * 60.0);
    site.gateway.models = terms(Terms { requests_per_minute, ..Terms::default() });
    let (one, other) = (site.start(), site.start());
    let begun = Instant::now();

    let mut ids = Vec::new();
    for _ in 0..160 {
        ids.push(site.submit(|_| {}).await);
    }
    for id in ids {
        site.until(id, State::Succeeded).await;
    }

    // A hundredth of a minute's calls may come at once; the others come evenly.
    let least = Duration::from_secs_f64((160.0 - 0.6 * each_second - 1.0) / each_second);
    assert!(begun.elapsed() >= least, "{:?}", begun.elapsed());
    assert_eq!(site.lm.calls(), 160);
    one.end().await;
    other.end().await;
}

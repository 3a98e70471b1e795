//! How one execution ends.

use std::time::Duration;

use chrono::Utc;
use queue::{Execution, FailureKind, Mode, State};
use serde_json::json;
use testkit::{Reply, StubLm};

use super::site::{Site, inputs};

fn failure(execution: &Execution) -> (FailureKind, &str) {
    let failure = execution.report.as_ref().unwrap().failure.as_ref().unwrap();
    (failure.kind, &failure.message)
}

#[tokio::test]
async fn an_execution_succeeds_with_outputs_and_usage() {
    let site = Site::new(StubLm::new(Reply::Fitting));
    let worker = site.start();

    let id = site.submit(|_| {}).await;

    let report = site.until(id, State::Succeeded).await.report.unwrap();
    assert_eq!(json!(report.outputs), json!({"answer": "a answer"}));
    assert_eq!(report.usage["openai/stub"]["total_tokens"], 12);
    assert_eq!(report.debug_trace, None);
    worker.end().await;
}

#[tokio::test]
async fn a_debug_run_leaves_a_trace() {
    let site = Site::new(StubLm::new(Reply::Fitting));
    let worker = site.start();

    let id = site.submit(|it| it.spec.mode = Mode::Debug).await;

    let trace = site.until(id, State::Succeeded).await.report.unwrap().debug_trace.unwrap();
    assert_eq!(trace["steps"].as_array().unwrap().len(), 1);
    assert_eq!(trace["steps"][0]["outputs"]["answer"], "a answer");
    worker.end().await;
}

#[tokio::test]
async fn a_program_nobody_knows_is_not_found() {
    let site = Site::new(StubLm::new(Reply::Fitting));
    let worker = site.start();

    let id = site.submit(|it| it.spec.program = "gone".to_owned()).await;

    let execution = site.until(id, State::Failed).await;
    let expected = (FailureKind::ProgramNotFound, "Model gone not found in registry");
    assert_eq!(failure(&execution), expected);
    worker.end().await;
}

#[tokio::test]
async fn a_program_that_was_just_registered_is_found() {
    let site = Site::new(StubLm::new(Reply::Fitting));
    let worker = site.start();
    let first = site.submit(|_| {}).await;
    site.until(first, State::Succeeded).await;

    site.write("new", "inputs: {question: str}\n    outputs: {answer: str}");
    let id = site.submit(|it| it.spec.program = "new".to_owned()).await;

    site.until(id, State::Succeeded).await;
    worker.end().await;
}

#[tokio::test]
async fn missing_inputs_fail_without_a_call() {
    let site = Site::new(StubLm::new(Reply::Fitting));
    let worker = site.start();

    let id = site.submit(|it| it.inputs.clear()).await;

    let execution = site.until(id, State::Failed).await;
    let text = "Missing required input fields: ['question']";
    assert_eq!(failure(&execution), (FailureKind::Validation, text));
    assert_eq!(site.lm.calls(), 0);
    worker.end().await;
}

#[tokio::test]
async fn a_request_cannot_move_the_endpoint() {
    let site = Site::new(StubLm::new(Reply::Fitting));
    let worker = site.start();

    let id = site.submit(|it| drop(it.spec.lm.insert("api_base".into(), json!("http://x"))));

    let execution = site.until(id.await, State::Failed).await;
    assert_eq!(failure(&execution).0, FailureKind::Validation);
    assert_eq!(site.lm.calls(), 0);
    worker.end().await;
}

#[tokio::test]
async fn an_attempt_that_takes_too_long_says_how_long() {
    let site = Site::new(StubLm::new(Reply::Nothing));
    let worker = site.start();

    let id = site.submit(|it| it.spec.timeout = Duration::from_millis(200)).await;

    let execution = site.until(id, State::Failed).await;
    let text = "Execution timeout after 0.2 seconds";
    assert_eq!(failure(&execution), (FailureKind::Timeout, text));
    worker.end().await;
}

#[tokio::test]
async fn an_execution_expires_at_its_deadline() {
    let site = Site::new(StubLm::new(Reply::Nothing));
    let worker = site.start();

    let deadline = Utc::now() + Duration::from_millis(300);
    let id = site.submit(|it| it.spec.deadline = Some(deadline)).await;

    site.until(id, State::Expired).await;
    worker.end().await;
}

#[tokio::test]
async fn faults_of_the_model_are_tried_again_while_attempts_are_left() {
    let site = Site::new(StubLm::new(Reply::error(500)));
    let worker = site.start();

    let id = site.submit(|it| it.spec.max_retries = 2).await;

    let execution = site.until(id, State::Failed).await;
    assert_eq!((execution.attempts.len(), site.lm.calls()), (3, 3));
    assert_eq!(failure(&execution).0, FailureKind::LmError);
    worker.end().await;
}

#[tokio::test]
async fn being_throttled_uses_no_attempt() {
    let site = Site::new(StubLm::new(Reply::Fitting));
    site.lm.then(Reply::too_many(1));
    let worker = site.start();

    let id = site.submit(|_| {}).await;

    let execution = site.until(id, State::Succeeded).await;
    assert_eq!((execution.attempts.len(), site.lm.calls()), (1, 2));
    assert_eq!(worker.metrics.throttled.get(), 1);
    worker.end().await;
}

#[tokio::test]
async fn an_unreadable_reply_is_asked_for_again_at_once() {
    let site = Site::new(StubLm::new(Reply::Text("nonsense".to_owned())));
    let worker = site.start();

    let id = site.submit(|it| it.spec.max_retries = 9).await;

    let execution = site.until(id, State::Failed).await;
    assert_eq!(failure(&execution).0, FailureKind::ParseError);
    assert_eq!(execution.attempts.len(), 3);
    worker.end().await;
}

#[tokio::test]
async fn a_running_execution_is_called_off() {
    let site = Site::new(StubLm::new(Reply::Nothing));
    let worker = site.start();
    let id = site.submit(|_| {}).await;
    site.until_called(1).await;

    site.queue.cancel(id).await.unwrap();

    site.until(id, State::Cancelled).await;
    // It is counted when the store has answered, a moment after others can see it.
    let counted = async || worker.metrics.cancelled.get() == 1;
    testkit::until_true("it is counted", super::site::SOON, counted).await;
    worker.end().await;
}

#[tokio::test]
async fn nothing_is_claimed_while_the_queue_is_paused() {
    let site = Site::new(StubLm::new(Reply::Fitting));
    site.queue.pause().await.unwrap();
    let worker = site.start();
    let id = site.submit(|it| it.inputs = inputs("when?")).await;
    testkit::until_true("it is known", super::site::SOON, async || {
        let filter = queue::StatsFilter::default();
        !site.queue.stats(&filter).await.unwrap().workers.is_empty()
    })
    .await;
    assert_eq!(site.queue.execution(id).await.unwrap().state, State::Queued);

    site.queue.resume().await.unwrap();

    site.until(id, State::Succeeded).await;
    worker.end().await;
}

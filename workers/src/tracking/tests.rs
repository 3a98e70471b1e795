//! What the tracker does when MLflow takes one thing and not another.

use std::sync::atomic::{AtomicI64, Ordering};

use programs::Registry;
use queue::{
    BatchId, BatchItem, ChannelStats, Class, Clock, Durability, End, ExecutionId, Failure,
    FailureKind, Fields, Limits, NewBatch, NewExecution, Policy, Queue, Report, SqliteQueue,
};
use testkit::{Page, StubWeb};
use tokio::sync::mpsc;

use super::*;
use crate::{Config, Gateway, GatewayConfig, Keys, SourcesConfig, Worker};

const BY_NAME: &str = "/api/2.0/mlflow/experiments/get-by-name?experiment_name=dspy-execution";
const BY_ID: &str = "/api/2.0/mlflow/experiments/get?experiment_id=7";
const CREATE: &str = "/api/2.0/mlflow/runs/create";
const SEARCH: &str = "/api/2.0/mlflow/runs/search";
const LOG: &str = "/api/2.0/mlflow/runs/log-batch";
const UPDATE: &str = "/api/2.0/mlflow/runs/update";
const TRACES: &str = "/v1/traces";

const ACTIVE: &str = r#"{"experiment": {"experiment_id": "7", "lifecycle_stage": "active"}}"#;
const DELETED: &str = r#"{"experiment": {"experiment_id": "7", "lifecycle_stage": "deleted"}}"#;

/// A store whose clock the test turns, a server in the place of MLflow, and what records there.
struct Site {
    queue: Arc<dyn Queue>,
    clock: Arc<AtomicI64>,
    mlflow: StubWeb,
    tracker: Tracker,
    _folder: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        Self::sampling("1.0")
    }

    /// One where so many traces are recorded.
    fn sampling(ratio: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(AtomicI64::new(chrono::Utc::now().timestamp_millis()));
        let path = folder.path().join("queue.db");
        let time = Clock::Manual(Arc::clone(&clock));
        let queue: Arc<dyn Queue> =
            Arc::new(SqliteQueue::open(&path, Limits::default(), time).unwrap());
        let mlflow = StubWeb::new();
        for (path, body) in [
            (BY_NAME, ACTIVE),
            (BY_ID, ACTIVE),
            (CREATE, r#"{"run": {"info": {"run_id": "r"}}}"#),
            (SEARCH, "{}"),
            (LOG, "{}"),
            (UPDATE, "{}"),
            (TRACES, "{}"),
        ] {
            mlflow.put(path, Page::new(body));
        }
        let password = |name: &str| (name == "MLFLOW_TRACKING_PASSWORD").then(|| "pass".to_owned());
        let keys = Keys::new(password);
        let gateway = GatewayConfig { keys, ..GatewayConfig::default() };
        let gateway = Arc::new(Gateway::new(gateway).unwrap());
        let registry = Registry::load(&folder.path().join("programs"));
        let sources = SourcesConfig {
            mlflow_tracking: Some(mlflow.url()),
            mlflow_user: Some("ann".to_owned()),
            ..SourcesConfig::default()
        };
        let server = Mlflow::new(&sources, &gateway).unwrap();
        let worker = Worker::new(Arc::clone(&queue), registry, gateway, Config::default());
        let tracking =
            TrackingConfig { sampling: ratio.parse().unwrap(), ..TrackingConfig::default() };
        let worker = worker.with_sources(sources).with_tracking(tracking);
        let shift = Shift::new(worker, mpsc::unbounded_channel().0);
        let tracker = Tracker::new(Arc::new(shift), server);
        Self { queue, clock, mlflow, tracker, _folder: folder }
    }

    fn pass(&self, time: Duration) {
        self.clock.fetch_add(i64::try_from(time.as_millis()).unwrap(), Ordering::SeqCst);
    }

    fn answers(&self, path: &str, status: u16) {
        self.mlflow.put(path, Page::status(status, r#"{"message": "no"}"#));
    }

    fn requests(&self, path: &str) -> usize {
        self.mlflow.paths().iter().filter(|it| *it == path).count()
    }

    /// Puts in an execution that has ended.
    async fn end_one(&self) -> ExecutionId {
        let new = NewExecution {
            id: ExecutionId::new(),
            spec: spec(),
            inputs: Fields::new(),
            not_before: None,
            cache: None,
            idempotency: None,
            durability: Durability::Memory,
            ended: Some(End::Succeeded(Report::default())),
        };
        self.queue.submit(new).await.unwrap().id
    }

    /// Puts in a batch of items that have ended, or none of which has.
    async fn batch(&self, count: usize, has_ended: bool) -> BatchId {
        let failure = || Failure { kind: FailureKind::Validation, message: "odd".to_owned() };
        let item = || BatchItem {
            inputs: Fields::new(),
            custom_id: None,
            fingerprint: None,
            invalid: has_ended.then(failure),
        };
        let batch = NewBatch {
            id: BatchId::new(),
            spec: spec(),
            cache_ttl: None,
            policy: Policy::default(),
            items: (0..count).map(|_| item()).collect(),
            idempotency: None,
        };
        self.queue.submit_batch(batch).await.unwrap().id
    }

    async fn stats(&self) -> (u64, u64, u64) {
        let [_, ChannelStats { waiting, sent, dropped }, _] = self.queue.outbox().await.unwrap();
        (waiting, sent, dropped)
    }

    /// Records what is due until nothing is.
    async fn record(&mut self) -> Result<(), Problem> {
        while self.tracker.round().await? > 0 {}
        Ok(())
    }
}

fn spec() -> Spec {
    Spec {
        version: "1".to_owned(),
        class: Class::Interactive,
        tracked: true,
        ..Spec::new("qa", "me", Duration::from_secs(60))
    }
}

#[tokio::test]
async fn run_that_is_refused_holds_up_no_other() {
    for status in [400, 404, 413, 422, 500, 501] {
        let mut site = Site::new();
        site.end_one().await;
        site.answers(LOG, status);
        site.record().await.unwrap();
        assert_eq!(site.stats().await, (1, 0, 0), "{status}");

        site.mlflow.put(LOG, Page::new("{}"));
        site.end_one().await;
        site.record().await.unwrap();
        assert_eq!(site.stats().await, (1, 1, 0), "{status}: the second is recorded");

        site.pass(REFUSAL_PAUSES[0]);
        site.record().await.unwrap();
        assert_eq!(site.stats().await, (0, 2, 0), "{status}: the first is, too");
    }
}

#[tokio::test]
async fn run_that_is_refused_again_and_again_is_given_up() {
    let mut site = Site::new();
    site.end_one().await;
    site.answers(CREATE, 400);

    for pause in REFUSAL_PAUSES {
        site.record().await.unwrap();
        assert_eq!(site.stats().await, (1, 0, 0));
        site.pass(pause);
    }
    site.record().await.unwrap();

    assert_eq!(site.stats().await, (0, 0, 1));
    assert_eq!(site.requests(CREATE), REFUSAL_PAUSES.len() + 1);
}

#[tokio::test]
async fn all_wait_while_the_server_is_away_however_long() {
    for status in [302, 401, 403, 429, 502, 503, 504] {
        let mut site = Site::new();
        site.end_one().await;
        site.end_one().await;
        site.answers(CREATE, status);

        for _ in 0..10 {
            assert!(matches!(site.record().await, Err(Problem::Away(_))), "{status}");
            site.pass(LEASE);
        }
        assert_eq!(site.requests(CREATE), 10, "{status}: the second is not tried");
        site.answers(CREATE, 500);
        for pause in REFUSAL_PAUSES.into_iter().skip(1) {
            site.record().await.unwrap();
            site.pass(pause);
        }

        assert_eq!(site.stats().await, (2, 0, 0), "{status}: that it was away is no refusal");
    }
}

#[tokio::test]
async fn everything_is_asked_and_sent_as_the_user_that_is_named() {
    let mut site = Site::new();
    site.end_one().await;

    site.record().await.unwrap();

    let shown = site.mlflow.visits().into_iter().map(|it| (it.path, it.authorization));
    let basic = "Basic YW5uOnBhc3M=";
    let expected =
        [BY_NAME, CREATE, LOG, UPDATE, TRACES].map(|it| (it.to_owned(), basic.to_owned()));
    assert_eq!(shown.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn server_that_lets_nobody_in_is_said_to_want_a_password() {
    let mut site = Site::new();
    site.answers(BY_NAME, 401);
    site.end_one().await;

    let problem = site.record().await.unwrap_err().to_string();

    assert!(problem.contains("401") && problem.contains("MLFLOW_TRACKING_USERNAME"), "{problem}");
    assert_eq!(site.stats().await, (1, 0, 0));
}

#[tokio::test]
async fn batch_that_runs_for_long_may_be_refused_as_any_other() {
    let mut site = Site::new();
    site.batch(1, false).await;
    for _ in 0..10 {
        site.record().await.unwrap();
        site.pass(Duration::from_secs(5));
    }
    assert_eq!(site.requests(LOG), 10);

    site.answers(LOG, 500);
    site.record().await.unwrap();

    assert_eq!(site.stats().await, (1, 0, 0), "it is not given up at once");
}

#[tokio::test]
async fn trace_that_is_refused_is_missed_by_its_run_alone() {
    for status in [400, 413, 422, 500] {
        let mut site = Site::new();
        site.answers(TRACES, status);
        site.end_one().await;
        site.record().await.unwrap();
        site.mlflow.put(TRACES, Page::new("{}"));
        site.end_one().await;
        site.record().await.unwrap();

        assert_eq!(site.stats().await, (0, 2, 0), "{status}");
        assert_eq!(site.requests(TRACES), 2, "{status}");
        assert_eq!(site.tracker.shift.metrics.traces_refused.get(), 1, "{status}");
    }
}

#[tokio::test]
async fn server_without_traces_is_sent_no_more() {
    for status in [404, 405, 501] {
        let mut site = Site::new();
        site.answers(TRACES, status);
        for _ in 0..3 {
            site.end_one().await;
        }
        site.record().await.unwrap();

        assert_eq!((site.stats().await, site.requests(TRACES)), ((0, 3, 0), 1), "{status}");
    }
}

#[tokio::test]
async fn trace_for_a_deleted_experiment_is_sent_again_when_that_is_restored() {
    let mut site = Site::new();
    site.end_one().await;
    site.answers(TRACES, 404);
    site.mlflow.put(BY_ID, Page::new(DELETED));
    site.record().await.unwrap();
    assert_eq!(site.stats().await, (1, 0, 0));

    site.mlflow.put(TRACES, Page::new("{}"));
    site.pass(REFUSAL_PAUSES[0]);
    site.record().await.unwrap();

    assert_eq!((site.stats().await, site.requests(BY_NAME)), ((0, 1, 0), 2));
    assert_eq!(site.requests(TRACES), 2);
}

#[tokio::test]
async fn items_of_a_batch_are_recorded_once_each() {
    let mut site = Site::new();
    site.batch(25, true).await;

    site.record().await.unwrap();

    assert_eq!((site.stats().await, site.requests(CREATE)), ((0, 1, 0), 26));
}

#[tokio::test]
async fn item_that_is_refused_again_and_again_is_missed_by_its_batch_alone() {
    let mut site = Site::new();
    site.batch(3, true).await;
    site.answers(TRACES, 404);
    site.mlflow.put(BY_ID, Page::new(DELETED));
    for pause in REFUSAL_PAUSES {
        site.record().await.unwrap();
        assert_eq!(site.stats().await, (1, 0, 0));
        site.pass(pause);
    }

    site.record().await.unwrap();

    assert_eq!(site.stats().await, (0, 1, 0));
    assert_eq!(site.requests(TRACES), REFUSAL_PAUSES.len() + 3);
}

#[tokio::test]
async fn traces_are_sent_of_the_share_that_is_sampled() {
    for (ratio, sent) in [("1.0", 8), ("0", 0)] {
        let mut site = Site::sampling(ratio);
        for _ in 0..8 {
            site.end_one().await;
        }

        site.record().await.unwrap();

        assert_eq!((site.stats().await, site.requests(TRACES)), ((0, 8, 0), sent), "{ratio}");
    }
}

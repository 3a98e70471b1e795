//! A store, a model, programs that ask it, and a worker.

use std::{path::Path, sync::Arc, time::Duration};

use programs::{PythonAllow, Registry};
use queue::{
    Batch, BatchId, BatchItem, BatchState, Class, Clock, Durability, Execution, ExecutionId,
    Fields, Limits, NewBatch, NewExecution, Queue, Spec, SqliteQueue, State,
};
use serde_json::json;
use tempfile::TempDir;
use testkit::StubLm;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use workers::{Config, Gateway, GatewayConfig, Metrics, Places, PythonConfig, Worker};

/// As long as anything here may take.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// What a test of a worker needs.
pub(crate) struct Site {
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) lm: StubLm,
    pub(crate) config: Config,
    pub(crate) gateway: GatewayConfig,
    pub(crate) python: PythonConfig,
    pub(crate) allow: PythonAllow,
    pub(crate) folder: TempDir,
}

/// A worker that runs.
pub(crate) struct Working {
    pub(crate) stop: CancellationToken,
    pub(crate) hurry: CancellationToken,
    pub(crate) metrics: Arc<Metrics>,
    task: JoinHandle<()>,
}

impl Site {
    /// One with an embedded store.
    pub(crate) fn new(lm: StubLm) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queue.db");
        let queue = SqliteQueue::open(&path, Limits::default(), Clock::Store).unwrap();
        Self::with(lm, Arc::new(queue), folder)
    }

    /// One with a store of the test's own.
    pub(crate) fn with(lm: StubLm, queue: Arc<dyn Queue>, folder: TempDir) -> Self {
        let gateway = GatewayConfig {
            model: Some("openai/stub".to_owned()),
            api_base: Some(lm.url()),
            retries: 0,
            ..GatewayConfig::default()
        };
        let retry_base = Duration::from_millis(20);
        let config = Config { retry_base, ..Config::default() };
        let site = Self {
            queue,
            lm,
            config,
            gateway,
            python: python(),
            allow: PythonAllow::default(),
            folder,
        };
        site.write("qa", "inputs: {question: str}\n    outputs: {answer: str}");
        site
    }

    /// Writes a program of one signature.
    pub(crate) fn write(&self, name: &str, fields: &str) {
        let text = format!(
            "name: {name}\nversion: 1.0.0\nsource: {{type: native}}\n\
             signatures:\n  main:\n    {fields}\n"
        );
        std::fs::create_dir_all(self.programs()).unwrap();
        std::fs::write(self.programs().join(format!("{name}.yaml")), text).unwrap();
    }

    /// Writes a Python program, and further lines of its file.
    pub(crate) fn write_python(&self, name: &str, python: &str, lines: &str) {
        let file = format!(
            "name: {name}\nversion: 1.0.0\ncache: false\n\
             source: {{type: local, path: {name}.py}}\n{lines}"
        );
        std::fs::write(self.programs().join(format!("{name}.py")), python).unwrap();
        std::fs::write(self.programs().join(format!("{name}.yaml")), file).unwrap();
    }

    /// Writes a file of the folder of programs.
    pub(crate) fn write_file(&self, name: &str, text: &str) {
        let path = self.programs().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn programs(&self) -> std::path::PathBuf {
        Path::new(self.folder.path()).join("programs")
    }

    /// Starts a worker.
    pub(crate) fn start(&self) -> Working {
        let registry = Registry::load(&self.programs()).allowing(&self.allow);
        assert_eq!(registry.problems(), []);
        let ledger = Arc::clone(&self.queue) as Arc<dyn queue::Ledger>;
        let gateway = Arc::new(Gateway::new(self.gateway.clone()).unwrap().accounting(ledger));
        let worker = Worker::new(Arc::clone(&self.queue), registry, gateway, self.config.clone());
        let worker = worker.with_python(self.python.clone());
        let (stop, hurry) = (CancellationToken::new(), CancellationToken::new());
        let metrics = worker.metrics();
        let task = tokio::spawn(worker.run(stop.clone(), hurry.clone()));
        Working { stop, hurry, metrics, task }
    }

    /// Submits an execution of `qa`.
    pub(crate) async fn submit(&self, change: impl FnOnce(&mut NewExecution)) -> ExecutionId {
        let mut new = NewExecution {
            id: ExecutionId::new(),
            spec: spec("qa"),
            inputs: inputs("why?"),
            not_before: None,
            cache: None,
            idempotency: None,
            durability: Durability::Memory,
            ended: None,
        };
        change(&mut new);
        self.queue.submit(new).await.unwrap().id
    }

    /// Waits until an execution is in a state.
    pub(crate) async fn until(&self, id: ExecutionId, state: State) -> Execution {
        testkit::until(&format!("{id} is {state}"), SOON, async || {
            let it = self.queue.execution(id).await.unwrap();
            (it.state == state).then_some(it)
        })
        .await
    }

    /// Puts in a batch of questions.
    pub(crate) async fn submit_batch(
        &self,
        spec: Spec,
        questions: impl Iterator<Item = String>,
    ) -> BatchId {
        let item = |it: String| BatchItem { inputs: inputs(&it), ..BatchItem::default() };
        let new = NewBatch {
            id: BatchId::new(),
            spec: Spec { class: Class::Bulk, ..spec },
            cache_ttl: None,
            policy: queue::Policy::default(),
            items: questions.map(item).collect(),
            idempotency: None,
        };
        self.queue.submit_batch(new).await.unwrap().id
    }

    /// Waits until a batch is completed.
    pub(crate) async fn until_completed(&self, id: BatchId) -> Batch {
        testkit::until("the batch is completed", SOON, async || {
            let batch = self.queue.batch(id).await.unwrap();
            (batch.state == BatchState::Completed).then_some(batch)
        })
        .await
    }

    /// Waits until the model was called so often.
    pub(crate) async fn until_called(&self, times: usize) {
        let what = format!("{times} calls of the model");
        testkit::until_true(&what, SOON, async || self.lm.calls() >= times).await;
    }
}

impl Working {
    /// Waits until it has stopped.
    pub(crate) async fn stopped(self) {
        tokio::time::timeout(SOON, self.task).await.unwrap().unwrap();
    }

    /// Stops it, and waits until it has.
    pub(crate) async fn end(self) {
        self.stop.cancel();
        self.stopped().await;
    }
}

/// How Python programs run in these tests: by the real DSPy, with the least environment.
fn python() -> PythonConfig {
    let kept = |(name, _): &(String, String)| name == "PATH" || name == "HOME";
    PythonConfig {
        places: Places { configured: Some(testkit::python()), ..Places::default() },
        environment: std::env::vars().filter(kept).collect(),
        default_model: Some("openai/stub".to_owned()),
        ..PythonConfig::default()
    }
}

/// How a program runs in these tests.
pub(crate) fn spec(program: &str) -> Spec {
    Spec { class: Class::Interactive, ..Spec::new(program, "me", Duration::from_secs(60)) }
}

/// The inputs of `qa`.
pub(crate) fn inputs(question: &str) -> Fields {
    Fields::from_iter([("question".to_owned(), json!(question))])
}

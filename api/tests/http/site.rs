//! A front end on a store of its own, and short words for what tests do with it.

use std::{sync::Arc, time::Duration};

use api::{
    App, Config, PREFIX, SecretKey,
    token::{Scope, mint},
};
use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, Response},
};
use bytes::Bytes;
use chrono::Utc;
use http_body_util::BodyExt;
use queue::{
    Clock, End, Ending, FailureKind, Fields, Lease, Limits, Queue, RedisConfig, RedisQueue, Report,
    SqliteQueue, Want, WorkerId, WorkerInfo,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

/// A program with a required field, a typed one and one that may be left out.
const MAIL: &str = "
name: mail
version: 1.2.0
lm: {model: dummy/mail}
signatures:
  draft:
    description: Draft an email
    inputs: {recipient: str, subject: str, words: {type: int, default: 100}}
    outputs: {body: str}
";

const DAY: Duration = Duration::from_hours(24);
const SOON: Duration = Duration::from_secs(10);

pub(crate) struct Site {
    pub(crate) app: App,
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) key: SecretKey,
    router: Router,
    worker: WorkerId,
    _folder: TempDir,
}

/// A request that is being put together.
pub(crate) struct Call<'a> {
    site: &'a Site,
    request: axum::http::request::Builder,
    token: Option<String>,
    body: Body,
}

/// An answer that was read to its end.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Site {
    pub(crate) async fn new() -> Self {
        Self::with(Config::default(), Limits::default()).await
    }

    pub(crate) async fn with(config: Config, limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queue.db");
        let queue = SqliteQueue::open(&path, limits, Clock::Store).unwrap();
        Self::on(Arc::new(queue), config, folder).await
    }

    /// A front end to a store that can be lost.
    pub(crate) async fn on_redis(url: String) -> Self {
        let (queue, limits) = ("api".to_owned(), Limits::default());
        let config = RedisConfig {
            url,
            queue,
            limits,
            clock: Clock::Store,
            allow_eviction: false,
            objects: None,
        };
        let queue = RedisQueue::connect(config).await.unwrap();
        Self::on(Arc::new(queue), Config::default(), tempfile::tempdir().unwrap()).await
    }

    async fn on(queue: Arc<dyn Queue>, config: Config, folder: TempDir) -> Self {
        let programs = folder.path().join("programs");
        std::fs::create_dir(&programs).unwrap();
        std::fs::write(programs.join("mail.yaml"), MAIL).unwrap();
        let registry = programs::Registry::load(&programs);
        assert_eq!(registry.problems(), []);
        let key = config.secret_key.clone();
        let app = App::new(queue.clone(), registry, Arc::new(config));
        let router = api::router(app.clone());
        let worker = WorkerId::new("host", 1);
        let site = Self { app, queue, key, router, worker, _folder: folder };
        site.beat().await;
        site
    }

    async fn beat(&self) {
        let info = WorkerInfo {
            id: self.worker.clone(),
            host: "host".into(),
            pid: 1,
            version: "0.1.0".into(),
            slots: 10,
            running: 0,
            started_at: Utc::now(),
            programs: vec!["mail@1.2.0".into()],
        };
        self.queue.beat(&info).await.unwrap();
    }

    /// Runs so many items of batches, well.
    pub(crate) async fn run(&self, items: usize) {
        let mut left = items;
        while left > 0 {
            for lease in self.claim(64).await {
                self.finish(lease, succeeded()).await;
                left -= 1;
            }
        }
    }

    pub(crate) fn token(&self, subject: &str, scopes: &[Scope]) -> String {
        mint(&self.key, subject, scopes, DAY, Utc::now()).unwrap()
    }

    /// A request of alice, who may do everything with her own and nothing with others'.
    pub(crate) fn call(&self, method: &str, path: &str) -> Call<'_> {
        let request = Request::builder().method(method).uri(format!("{PREFIX}{path}"));
        let scopes = [Scope::Execute, Scope::Read, Scope::Programs];
        let token = Some(self.token("alice", &scopes));
        Call { site: self, request, token, body: Body::empty() }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.call("GET", path).send().await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        self.call("POST", path).json(&body).send().await
    }

    pub(crate) async fn admin(&self, method: &str, path: &str) -> Reply {
        self.call(method, path).by("root", &[Scope::Admin]).send().await
    }

    /// Submits inputs that fit, and gives the id.
    pub(crate) async fn submit(&self) -> String {
        let reply = self.post("/execute", mail()).await;
        assert_eq!(reply.status, 202, "{}", reply.text());
        reply.json()["execution_id"].as_str().unwrap().to_owned()
    }

    /// What waits, taken by the worker.
    pub(crate) async fn claim(&self, slots: usize) -> Vec<Lease> {
        let want = Want { slots, bulk: slots, suspect: true };
        self.beat().await;
        self.queue.claim(&self.worker, want, SOON).await.unwrap()
    }

    pub(crate) async fn finish(&self, lease: Lease, end: End) {
        let started_at = Utc::now();
        let run_time = Duration::from_millis(1500);
        self.queue.finish(Ending { lease, end, started_at, run_time }).await.unwrap();
    }

    /// Runs everything that waits at once, with one result for all.
    pub(crate) async fn work(&self, end: impl Fn() -> End) {
        for lease in self.claim(10).await {
            self.finish(lease, end()).await;
        }
    }

    pub(crate) async fn router_call(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }
}

pub(crate) fn mail() -> Value {
    json!({"program_id": "mail", "inputs": {"recipient": "bob", "subject": "hi"}})
}

/// `mail()` with a field set to something else.
pub(crate) fn mail_with(name: &str, value: Value) -> Value {
    let mut body = mail();
    body[name] = value;
    body
}

pub(crate) fn succeeded() -> End {
    let mut outputs = Fields::new();
    outputs.insert("body".into(), json!("Dear Bob"));
    End::Succeeded(Report::outputs(outputs))
}

pub(crate) fn failed() -> End {
    End::Failed(Report::failure(FailureKind::ProgramError, "it broke"))
}

impl Call<'_> {
    pub(crate) fn by(mut self, subject: &str, scopes: &[Scope]) -> Self {
        self.token = Some(self.site.token(subject, scopes));
        self
    }

    pub(crate) fn token(mut self, token: Option<&str>) -> Self {
        self.token = token.map(str::to_owned);
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    pub(crate) fn body(mut self, media_type: &str, body: impl Into<Body>) -> Self {
        self.request = self.request.header("content-type", media_type);
        self.body = body.into();
        self
    }

    pub(crate) async fn open(mut self) -> Response<Body> {
        if let Some(token) = &self.token {
            self.request = self.request.header("authorization", format!("Bearer {token}"));
        }
        self.site.router_call(self.request.body(self.body).unwrap()).await
    }

    pub(crate) async fn send(self) -> Reply {
        let (parts, body) = self.open().await.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Reply { status: parts.status.as_u16(), headers: parts.headers, body }
    }
}

impl Reply {
    pub(crate) fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|it| it.to_str().unwrap()).unwrap_or_default()
    }

    /// The problem that it is, which has the status and word given.
    pub(crate) fn problem(&self, status: u16, word: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text());
        let problem = self.json();
        assert_eq!(problem["type"], format!("{PREFIX}/docs#{word}"));
        assert_eq!(problem["status"], status);
        assert!(problem["title"].is_string() && problem["detail"].is_string());
        let id = self.header("x-request-id");
        assert_eq!(problem["instance"], format!("urn:request:{id}"));
        problem
    }
}

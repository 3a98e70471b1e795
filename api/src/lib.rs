//! The HTTP front door: checks what comes in, puts it on the queue, and shows what came of it.
//!
//! One file a resource; each has its types, its handlers and their tests. Handlers check and
//! translate, and decide nothing else. This crate never runs a program; it knows no store but the
//! [`queue::Queue`] that it is given, and reads no environment.
//!
//! ```text
//!  request ─▶ observe ─▶ caller ─▶ body ─▶ accept ─▶ queue
//!  (serve)    id, log,   token,    bounds,  program's
//!             panics     scope,    JSON     rules
//!                        rate
//! ```

mod accept;
mod answer;
mod batch;
mod body;
mod bounds;
mod caller;
mod catalogue;
mod config;
mod dead;
mod decoding;
mod docs;
mod encoding;
mod error;
mod events;
mod execute;
mod execution;
mod health;
mod item;
mod line;
mod metrics;
mod ndjson;
mod observe;
mod page;
mod parts;
mod prefer;
mod problem;
mod program;
mod rate;
mod record;
mod request;
mod results;
mod revoked;
mod routes;
mod schema;
mod serve;
mod stats;
mod steer;
mod summary;
mod telemetry;
mod time;
pub mod token;
mod upload;
mod worker_numbers;

use std::sync::Arc;

use bytes::Bytes;
use programs::Registry;
use queue::Queue;
use tokio_util::sync::CancellationToken;

pub use batch::view as batch_view;
pub use config::{Config, KeyTooShort, SecretKey};
pub use record::view as execution_view;
pub use routes::{openapi, router};
pub use serve::{serve, serve_numbers};
pub use telemetry::Spans;
pub use worker_numbers::{Reading, Readings};

/// The path that all routes of this version of the contract begin with.
pub const PREFIX: &str = "/api/v1/dspy";

/// What every handler may use. Cheap to clone.
#[derive(Clone)]
pub struct App {
    /// Where executions go.
    pub queue: Arc<dyn Queue>,
    /// The programs that can be asked for.
    pub registry: Registry,
    /// How the front end behaves.
    pub config: Arc<Config>,
    /// Cancelled when the server stops: who waits for something stops waiting.
    pub(crate) stop: Arc<CancellationToken>,
    pub(crate) local: Arc<Local>,
    /// Absent where nothing is traced.
    pub(crate) spans: Option<Arc<Spans>>,
    /// Where a worker runs in the same process.
    pub(crate) worker: Option<Readings>,
}

/// What one process keeps for itself: nothing that an answer depends on for long.
pub(crate) struct Local {
    tokens: token::Verifier,
    revoked: revoked::Revoked,
    rate: Option<rate::Rate>,
    numbers: metrics::Numbers,
    health: health::LastHealth,
    openapi: Bytes,
    uploads: upload::Uploads,
}

impl App {
    /// A front end to a queue and the programs that may be put on it.
    pub fn new(queue: Arc<dyn Queue>, registry: Registry, config: Arc<Config>) -> Self {
        let local = Local {
            tokens: token::Verifier::new(&config.secret_key),
            revoked: revoked::Revoked::default(),
            rate: config.requests_per_owner_per_second.map(rate::Rate::new),
            numbers: metrics::Numbers::default(),
            health: health::LastHealth::default(),
            openapi: openapi().to_string().into(),
            uploads: upload::Uploads::at_once(config.uploads_max),
        };
        let stop = Arc::default();
        Self { queue, registry, config, stop, local: Arc::new(local), spans: None, worker: None }
    }

    /// The same, making spans of the requests that put work in.
    #[must_use]
    pub fn traced(self, spans: Spans) -> Self {
        Self { spans: Some(Arc::new(spans)), ..self }
    }

    /// The same, showing the numbers of the worker in this process beside its own.
    #[must_use]
    pub fn showing(self, worker: Readings) -> Self {
        Self { worker: Some(worker), ..self }
    }
}

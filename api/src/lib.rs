//! The HTTP front door: checks what comes in, puts it on the queue, and shows what came of it.
//!
//! One file a resource; each has its types, its handlers and their tests. Handlers check and
//! translate, and decide nothing else. This crate never runs a program; it knows no store but the
//! [`queue::Queue`] that it is given, and reads no environment.

mod config;
mod serve;
pub mod token;

use std::sync::Arc;

use axum::{Router, routing::get};
use programs::Registry;
use queue::Queue;
use tokio_util::sync::CancellationToken;

pub use config::{Config, KeyTooShort, SecretKey};
pub use serve::serve;

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
    pub(crate) stop: CancellationToken,
}

impl App {
    /// A front end to a queue and the programs that may be put on it.
    pub fn new(queue: Arc<dyn Queue>, registry: Registry, config: Arc<Config>) -> Self {
        Self { queue, registry, config, stop: CancellationToken::new() }
    }
}

/// All routes.
pub fn router(app: App) -> Router {
    let routes = Router::new().route("/health/live", get(|| async { "" }));
    Router::new().nest(PREFIX, routes).with_state(app)
}

/// The contract as an OpenAPI 3.1 document.
pub fn openapi() -> serde_json::Value {
    serde_json::json!({})
}

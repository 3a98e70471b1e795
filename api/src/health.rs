//! Whether the service can do its work.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use queue::StatsFilter;
use serde::Serialize;
use tokio::{sync::Mutex, time::timeout};
use tracing::warn;
use utoipa::ToSchema;

use crate::{App, stats::success_rate};

/// Whether the service is healthy.
#[derive(Clone, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `healthy` or `unhealthy`.
    #[schema(example = "healthy")]
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_executions: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    success_rate: Option<f64>,
    /// The part that fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    failing: Option<&'static str>,
}

/// How long an answer stands: anybody may ask, and asking costs the store something.
const FRESH: Duration = Duration::from_secs(1);

/// How long the store may take before it counts as gone.
const PATIENCE: Duration = Duration::from_secs(2);

/// The last answer, and when it was found.
#[derive(Clone, Default)]
pub(crate) struct LastHealth(Arc<Mutex<Option<(Instant, Health)>>>);

/// Whether the service can do its work.
#[utoipa::path(
    get, path = "/health", tag = "Operation", security(()),
    responses(
        (status = 200, description = "It can", body = Health),
        (status = 503, description = "It cannot", body = Health),
    )
)]
pub(crate) async fn show(State(app): State<App>) -> Response {
    let health = app.health().await;
    let status =
        if health.failing.is_none() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(health)).into_response()
}

/// Whether to send requests here: not while the store is gone, nor when the server stops.
#[utoipa::path(
    get, path = "/health/ready", tag = "Operation", security(()),
    responses((status = 200, description = "Yes"), (status = 503, description = "No"))
)]
pub(crate) async fn ready(State(app): State<App>) -> StatusCode {
    let ready = !app.stop.is_cancelled() && app.health().await.failing.is_none();
    if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

/// Whether the process answers at all; it asks nobody else.
#[utoipa::path(
    get, path = "/health/live", tag = "Operation", security(()),
    responses((status = 200, description = "Yes"))
)]
pub(crate) async fn live() -> StatusCode {
    StatusCode::OK
}

impl App {
    async fn health(&self) -> Health {
        let mut last = self.local.health.0.lock().await;
        if let Some((_, health)) = last.as_ref().filter(|(at, _)| at.elapsed() < FRESH) {
            return health.clone();
        }
        let health = self.look().await;
        *last = Some((Instant::now(), health.clone()));
        health
    }

    async fn look(&self) -> Health {
        let all = StatsFilter::default();
        let asked = async { self.queue.ping().await.and(self.queue.stats(&all).await) };
        match timeout(PATIENCE, asked).await {
            Ok(Ok(stats)) => Health {
                status: "healthy",
                total_executions: Some(stats.ended.total()),
                success_rate: Some(success_rate(&stats)),
                failing: None,
            },
            lost => {
                warn!(?lost, "unhealthy: the store does not answer");
                Health {
                    status: "unhealthy",
                    total_executions: None,
                    success_rate: None,
                    failing: Some("store"),
                }
            }
        }
    }
}

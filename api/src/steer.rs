//! Steering the fleet: its caches, and whether work is handed out.

use axum::extract::State;
use programs::Registry;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{App, answer::BadQuery, body::Query, catalogue::blocking, error::Result};

/// What was forgotten.
#[derive(Serialize, ToSchema)]
pub(crate) struct Cleared {
    #[schema(example = "Cache cleared successfully")]
    message: &'static str,
    cleared: ClearedCounts,
}

/// How much was forgotten.
#[derive(Serialize, ToSchema)]
pub(crate) struct ClearedCounts {
    /// Programs that this process had loaded; the workers drop theirs too.
    programs: usize,
    /// Results, in the whole fleet.
    results: u64,
}

/// Which caches to clear.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ClearQuery {
    /// Only results of this program; all if absent.
    program_id: Option<String>,
}

/// Forget cached results and loaded programs, in the whole fleet.
#[utoipa::path(
    post, path = "/cache/clear", tag = "Operation", params(ClearQuery),
    responses((status = 200, description = "They are forgotten", body = Cleared), BadQuery)
)]
pub(crate) async fn clear_cache(
    State(app): State<App>,
    Query(query): Query<ClearQuery>,
) -> Result<axum::Json<Cleared>> {
    let results = app.queue.clear_cache(query.program_id.as_deref()).await?;
    let programs = blocking(&app.registry, Registry::clear).await.unwrap_or_default();
    let cleared = ClearedCounts { programs, results };
    Ok(axum::Json(Cleared { message: "Cache cleared successfully", cleared }))
}

/// Whether work is handed out.
#[derive(Serialize, ToSchema)]
pub(crate) struct Paused {
    paused: bool,
}

/// Hand nothing out until resumed. What runs goes on, and submissions are accepted.
#[utoipa::path(
    post, path = "/queue/pause", tag = "Operation",
    responses((status = 200, description = "It is paused", body = Paused))
)]
pub(crate) async fn pause(State(app): State<App>) -> Result<axum::Json<Paused>> {
    app.queue.pause().await?;
    Ok(axum::Json(Paused { paused: true }))
}

/// Hand work out again.
#[utoipa::path(
    post, path = "/queue/resume", tag = "Operation",
    responses((status = 200, description = "It goes on", body = Paused))
)]
pub(crate) async fn resume(State(app): State<App>) -> Result<axum::Json<Paused>> {
    app.queue.resume().await?;
    Ok(axum::Json(Paused { paused: false }))
}

//! The dead list: executions that failed for good, and that nobody has retried.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use queue::PAGE_MAX;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{
    App,
    answer::BadQuery,
    batch::{PageQuery, Retried},
    body::Query,
    caller::Caller,
    error::Result,
    execution::ExecutionPage,
    page::{cursor, limit},
};

/// Executions that failed for good and that nobody has retried, oldest first.
#[utoipa::path(
    get, path = "/dead", tag = "Executions", params(PageQuery),
    responses((status = 200, description = "A page", body = ExecutionPage), BadQuery)
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<ExecutionPage>> {
    let (max, from) = (limit(query.limit, PAGE_MAX)?, cursor(query.cursor.as_deref())?);
    let page = app.queue.dead(caller.only(), from, max).await?;
    Ok(axum::Json(ExecutionPage::new(&app, page).await?))
}

/// How many to retry.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RetryQuery {
    /// How many at most, the oldest first; 100 if absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// Run executions of the dead list again, oldest first: your own, or as an admin everybody's.
#[utoipa::path(
    post, path = "/dead/retry", tag = "Executions", params(RetryQuery),
    responses((status = 202, description = "They wait again", body = Retried), BadQuery)
)]
pub(crate) async fn retry(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<RetryQuery>,
) -> Result<Response> {
    let max = limit(query.limit, PAGE_MAX)?;
    let retried = app.queue.retry_dead(caller.only(), max).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(Retried { retried })).into_response())
}

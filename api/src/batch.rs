//! Batches: how far they have come, calling them off, running what failed again.

use std::sync::Arc;

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use chrono::Utc;
use queue::{Batch, BatchId, BatchState, Mode, PAGE_MAX, Subject, Used, Via};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    App,
    answer::{BadQuery, NotThere},
    body::{Id, Query},
    caller::Caller,
    error::Result,
    execute::{BatchLinks, batch_links, location},
    page::{cursor, limit},
    schema,
    time::Time,
};

/// How far a batch has come.
#[derive(Serialize, ToSchema)]
pub(crate) struct BatchView {
    batch_id: String,
    #[schema(schema_with = schema::batch_state)]
    status: BatchState,
    program_id: String,
    program_version: String,
    #[schema(schema_with = schema::mode)]
    mode: Mode,
    /// How many items it has; of one that is `uploading`, with which one it goes on.
    total: u64,
    /// How many of its items may be with workers at once; null for any number.
    concurrency: Option<u32>,
    /// How many items may fail before the rest is called off; null for any number.
    max_errors: Option<u64>,
    /// Dollars that its items together may spend on models; null for any number.
    budget: Option<f64>,
    counts: Counts,
    /// The share of items that have ended, from 0 to 1.
    #[schema(example = 0.42)]
    progress: f64,
    /// Items ended a second, on average so far.
    rate: Option<f64>,
    /// How many seconds the rest takes at that rate; null when nothing is left or known.
    eta: Option<f64>,
    usage: Usage,
    created_at: Time,
    finished_at: Option<Time>,
    owner: String,
    /// What the request gave as `metadata`.
    metadata: std::collections::BTreeMap<String, String>,
    /// Who asks the model.
    #[schema(schema_with = schema::via)]
    via: Via,
    /// The batches that its model's provider makes of it, as they stood when they were looked at
    /// last; absent where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<ProviderView>,
    links: BatchLinks,
}

/// What a model's provider makes of a batch.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProviderView {
    batches: Vec<ProviderBatchView>,
}

/// A batch of a provider.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct ProviderBatchView {
    /// Its id there.
    id: String,
    /// Its status there.
    #[schema(example = "in_progress")]
    status: String,
    /// Its requests.
    total: u64,
    completed: u64,
    failed: u64,
}

/// A batch's items by status.
#[derive(Serialize, ToSchema)]
pub(crate) struct Counts {
    /// Not ended: scheduled, queued or running.
    pending: u64,
    succeeded: u64,
    failed: u64,
    cancelled: u64,
    expired: u64,
}

/// What a batch's items used.
#[derive(Serialize, ToSchema)]
pub(crate) struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    /// Dollars, as far as the prices of its models are known.
    cost: f64,
}

impl From<Batch> for BatchView {
    fn from(batch: Batch) -> Self {
        let ended = batch.ended.total();
        let pending = batch.total.saturating_sub(ended);
        let until = batch.finished_at.unwrap_or_else(Utc::now);
        let took = (until - batch.created_at).as_seconds_f64();
        let rate = (ended > 0 && took > 0.0).then(|| ended as f64 / took);
        let Used { prompt_tokens, completion_tokens, cost_micros } = batch.used;
        let total_tokens = prompt_tokens + completion_tokens;
        let cost = cost_micros as f64 / 1e6;
        let batch_id = batch.id.to_string();
        let spec = Arc::unwrap_or_clone(batch.spec);
        Self {
            links: batch_links(&batch_id),
            batch_id,
            status: batch.state,
            program_id: spec.program,
            program_version: spec.version,
            mode: spec.mode,
            total: batch.total,
            concurrency: batch.policy.concurrency,
            max_errors: batch.policy.errors_max,
            budget: spec.allowance.batch_micros.map(|micros| micros as f64 / 1e6),
            counts: Counts {
                pending,
                succeeded: batch.ended.succeeded,
                failed: batch.ended.failed,
                cancelled: batch.ended.cancelled,
                expired: batch.ended.expired,
            },
            progress: if batch.total == 0 { 1.0 } else { ended as f64 / batch.total as f64 },
            rate,
            eta: rate.filter(|_| pending > 0).map(|rate| pending as f64 / rate),
            usage: Usage { prompt_tokens, completion_tokens, total_tokens, cost },
            created_at: Time(batch.created_at),
            finished_at: batch.finished_at.map(Time),
            owner: spec.owner,
            metadata: spec.metadata,
            via: spec.via,
            provider: None,
        }
    }
}

/// A batch as a client sees it, for those who tell it elsewhere.
pub fn view(batch: Batch) -> serde_json::Value {
    serde_json::to_value(BatchView::from(batch)).unwrap_or_default()
}

/// How far a batch has come.
#[utoipa::path(
    get, path = "/batch/{id}", tag = "Batches", params(("id" = String, Path)),
    responses((status = 200, description = "Its counts", body = BatchView), NotThere)
)]
pub(crate) async fn show(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<BatchId>,
) -> Result<axum::Json<BatchView>> {
    let mut view = BatchView::from(app.own_batch(&caller, id).await?);
    if view.via == Via::Provider {
        view.provider = app.provider_view(id).await?;
    }
    Ok(axum::Json(view))
}

/// Call off every item of a batch that has not ended. Repeating it is no error.
#[utoipa::path(
    post, path = "/batch/{id}/cancel", tag = "Batches", params(("id" = String, Path)),
    responses((status = 202, description = "It is called off", body = BatchView), NotThere)
)]
pub(crate) async fn cancel(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<BatchId>,
) -> Result<Response> {
    app.own_batch(&caller, id).await?;
    app.queue.cancel_batch(id).await?;
    let view = BatchView::from(app.queue.batch(id).await?);
    Ok((StatusCode::ACCEPTED, axum::Json(view)).into_response())
}

/// How many executions were put back.
#[derive(Serialize, ToSchema)]
pub(crate) struct Retried {
    pub(crate) retried: u64,
}

/// Run the items of a batch again that failed, were cancelled or expired.
#[utoipa::path(
    post, path = "/batch/{id}/retry", tag = "Batches", params(("id" = String, Path)),
    responses((status = 202, description = "They wait again", body = Retried), NotThere)
)]
pub(crate) async fn retry(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<BatchId>,
) -> Result<Response> {
    app.own_batch(&caller, id).await?;
    let retried = app.queue.retry_batch(id).await?;
    let location = location("batch", &id.to_string());
    Ok((StatusCode::ACCEPTED, location, axum::Json(Retried { retried })).into_response())
}

/// Which page to read.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// How many at most, 100 if absent.
    #[param(minimum = 1, maximum = 1000)]
    pub(crate) limit: Option<usize>,
    /// The `next_cursor` of the page before.
    pub(crate) cursor: Option<String>,
}

/// A page of batches.
#[derive(Serialize, ToSchema)]
pub(crate) struct BatchPage {
    batches: Vec<BatchView>,
    /// What to send as `cursor` for the next page; null at the end.
    next_cursor: Option<String>,
}

/// Batches, newest first.
#[utoipa::path(
    get, path = "/batches", tag = "Batches", params(PageQuery),
    responses((status = 200, description = "A page", body = BatchPage), BadQuery)
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<BatchPage>> {
    let (max, from) = (limit(query.limit, PAGE_MAX)?, cursor(query.cursor.as_deref())?);
    let page = app.queue.batches(caller.only(), from, max).await?;
    let batches = page.items.into_iter().map(BatchView::from).collect();
    Ok(axum::Json(BatchPage { batches, next_cursor: page.next }))
}

impl App {
    /// What was last heard of a batch's provider.
    async fn provider_view(&self, id: BatchId) -> Result<Option<ProviderView>> {
        let mut words = self.queue.notes(&[Subject::Execution(id.whole())]).await?;
        let read = |it: String| serde_json::from_str(&it).ok();
        Ok(words.pop().flatten().and_then(read).map(|batches| ProviderView { batches }))
    }

    /// A batch that the caller may know of.
    pub(crate) async fn own_batch(&self, caller: &Caller, id: BatchId) -> Result<Batch> {
        Ok(caller.sees_batch(self.queue.batch(id).await?)?)
    }
}

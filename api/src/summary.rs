//! What came of a batch, in one answer: counts, why items failed, what it used.

use axum::extract::State;
use queue::{BatchId, Execution, FailureKind, PAGE_MAX, State as Stand};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    App, answer::NotThere, batch::BatchView, body::Id, caller::Caller, error::Result,
    record::ExecutionRecord, schema,
};

/// How many characters of an example's error are shown.
const EXAMPLE_CHARS: usize = 500;

/// A batch, and why its items failed.
#[derive(Serialize, ToSchema)]
pub(crate) struct Summary {
    #[serde(flatten)]
    batch: BatchView,
    /// The kinds of failure, the commonest first.
    errors: Vec<Failures>,
}

/// The items that failed for one kind of reason.
#[derive(Serialize, ToSchema)]
pub(crate) struct Failures {
    #[schema(schema_with = schema::error_kind)]
    error_kind: FailureKind,
    count: u64,
    /// The place of the first of them in the batch.
    first_index: Option<u32>,
    /// What it says.
    example: String,
}

/// What came of a batch so far: its counts, and why items failed.
///
/// Reads all that have failed: of a large batch that failed as a whole, this takes seconds.
#[utoipa::path(
    get, path = "/batch/{id}/summary", tag = "Batches", params(("id" = String, Path)),
    responses((status = 200, description = "What came of it", body = Summary), NotThere)
)]
pub(crate) async fn show(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<BatchId>,
) -> Result<axum::Json<Summary>> {
    let batch = app.own_batch(&caller, id).await?;
    let mut errors: Vec<Failures> = Vec::new();
    let mut from = (batch.ended.failed > 0).then_some(0_u32);
    while let Some(first) = from {
        let page = app.queue.batch_results(id, first, PAGE_MAX, Some(Stand::Failed)).await?;
        from = page.next.and_then(|next| next.parse().ok()).filter(|next| *next > first);
        for execution in page.items {
            count(&mut errors, execution);
        }
    }
    errors.sort_by_key(|it| std::cmp::Reverse(it.count));
    Ok(axum::Json(Summary { batch: batch.into(), errors }))
}

fn count(errors: &mut Vec<Failures>, execution: Execution) {
    let record = ExecutionRecord::from(execution);
    let Some(error_kind) = record.error_kind else { return };
    if let Some(known) = errors.iter_mut().find(|it| it.error_kind == error_kind) {
        known.count += 1;
        return;
    }
    let said = record.error.unwrap_or_default();
    errors.push(Failures {
        error_kind,
        count: 1,
        first_index: record.batch_index,
        example: said.chars().take(EXAMPLE_CHARS).collect(),
    });
}

//! What came of a batch, in one answer: counts, why items failed, what it used.

use std::time::Duration;

use axum::extract::State;
use queue::{Batch, BatchId, Execution, FailureKind, PAGE_MAX, Queue, State as Stand, Which};
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;

use crate::{
    App, answer::NotThere, batch::BatchView, body::Id, caller::Caller, error::Result, record::why,
    schema,
};

/// How many failures are counted, and how long they are looked for.
const FAILURES_MAX: u64 = 10_000;
const TIME_MAX: Duration = Duration::from_secs(5);
/// How many characters of an example's error are shown.
const EXAMPLE_CHARS: usize = 500;

/// A batch, and why its items failed.
#[derive(Serialize, ToSchema)]
pub(crate) struct Summary {
    #[serde(flatten)]
    batch: BatchView,
    /// The kinds of failure, the commonest first.
    errors: Vec<Failures>,
    /// Whether more items failed than `errors` counts.
    partial: bool,
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
/// Counts the first 10,000 that failed, as far as they are found within 5 seconds.
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
    let mut errors = Vec::new();
    let counting = count_failed(&*app.queue, &batch, &mut errors);
    let all = timeout(TIME_MAX, counting).await.unwrap_or(Ok(false))?;
    errors.sort_by_key(|it| std::cmp::Reverse(it.count));
    Ok(axum::Json(Summary { batch: batch.into(), errors, partial: !all }))
}

/// Counts the items that failed by their kinds, and says whether those are all.
async fn count_failed(
    queue: &dyn Queue,
    batch: &Batch,
    errors: &mut Vec<Failures>,
) -> queue::Result<bool> {
    let (mut from, mut left) = (0, batch.ended.failed.min(FAILURES_MAX));
    while left > 0 {
        let max = usize::try_from(left).map_or(PAGE_MAX, |left| left.min(PAGE_MAX));
        let page = queue.batch_results(batch.id, from, max, Which::Only(Stand::Failed)).await?;
        left = left.saturating_sub(page.items.len() as u64);
        page.items.into_iter().for_each(|execution| count(errors, execution));
        let next = page.next.and_then(|next| next.parse().ok()).filter(|next| *next > from);
        let Some(next) = next else { return Ok(true) };
        from = next;
    }
    Ok(batch.ended.failed <= FAILURES_MAX)
}

fn count(errors: &mut Vec<Failures>, mut execution: Execution) {
    let deadline = execution.spec.deadline;
    let (said, kind) = why(execution.state, execution.report.as_mut(), deadline);
    let Some(error_kind) = kind else { return };
    if let Some(known) = errors.iter_mut().find(|it| it.error_kind == error_kind) {
        known.count += 1;
        return;
    }
    errors.push(Failures {
        error_kind,
        count: 1,
        first_index: execution.id.item_of().map(|(_, index)| index),
        example: said.unwrap_or_default().chars().take(EXAMPLE_CHARS).collect(),
    });
}

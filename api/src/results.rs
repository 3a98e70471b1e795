//! A batch's results as lines of JSON, read from the store page by page as the client takes them.

use axum::{
    body::Body,
    extract::State,
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::stream;
use queue::{BatchId, Execution, State as Stand};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{
    App,
    answer::{BadQuery, NotThere},
    body::{Id, Query},
    caller::Caller,
    error::{Error, Result},
    page::bad_cursor,
    record::ExecutionRecord,
    schema,
};

/// How many items are in memory at once.
const PAGE: usize = 128;

/// Which results to read.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ResultsQuery {
    /// Only items that ended so.
    #[param(schema_with = schema::state)]
    status: Option<Stand>,
    /// The `batch_index` to begin at. To go on after a line, send its `batch_index` and 1.
    #[param(value_type = Option<u32>)]
    cursor: Option<String>,
    /// How many lines at most; all if absent.
    #[param(minimum = 1)]
    limit: Option<u64>,
}

/// The records of a batch's items that have ended, in the order of the items.
///
/// Readable while the batch runs: items that have not ended are left out. A connection that ends
/// early ends without the last chunk of HTTP: the client notices, and goes on with `cursor`.
#[utoipa::path(
    get, path = "/batch/{id}/results", tag = "Batches",
    params(("id" = String, Path), ResultsQuery),
    responses(
        (status = 200, description = "One execution record a line",
            body = ExecutionRecord, content_type = "application/x-ndjson"),
        BadQuery, NotThere,
    )
)]
pub(crate) async fn results(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<BatchId>,
    Query(query): Query<ResultsQuery>,
) -> Result<Response> {
    let from = query.cursor.map(|it| it.parse().map_err(|_| bad_cursor())).transpose()?;
    if query.status.is_some_and(|state| !state.is_terminal()) {
        return Err(Error::Malformed("`status` is one that ends: `succeeded` and so on".into()));
    }
    app.own_batch(&caller, id).await?;
    let left = query.limit.unwrap_or(u64::MAX);
    let rest = Rest { app, id, from: Some(from.unwrap_or(0)), state: query.status, left };
    let body = Body::from_stream(stream::unfold(rest, Rest::page));
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

/// What is still to be sent.
struct Rest {
    app: App,
    id: BatchId,
    /// The index to go on from; none at the end.
    from: Option<u32>,
    state: Option<Stand>,
    left: u64,
}

impl Rest {
    /// The next lines. An error ends the body before its time, so that it is not taken for whole.
    async fn page(mut self) -> Option<(queue::Result<Bytes>, Self)> {
        let from = self.from.filter(|_| self.left > 0)?;
        let max = usize::try_from(self.left).map_or(PAGE, |left| left.min(PAGE));
        match self.app.queue.batch_results(self.id, from, max, self.state).await {
            Ok(page) => {
                let next = page.next.as_deref().and_then(|next| next.parse().ok());
                // Going on from the same place would never end.
                self.from = next.filter(|next| *next > from);
                self.left -= page.items.len() as u64;
                Some((Ok(lines(page.items)), self))
            }
            Err(error) => {
                tracing::warn!(%error, "a stream of results lost its store");
                self.from = None;
                Some((Err(error), self))
            }
        }
    }
}

fn lines(items: Vec<Execution>) -> Bytes {
    let mut lines = Vec::new();
    for execution in items {
        // A record is plain data: writing it into memory cannot fail.
        let _ = serde_json::to_writer(&mut lines, &ExecutionRecord::from(execution));
        lines.push(b'\n');
    }
    lines.into()
}

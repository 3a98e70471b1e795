//! A batch's results as lines of JSON, read from the store page by page as the client takes them.

use std::{io, time::Duration};

use axum::{
    body::Body,
    extract::State,
    http::{
        HeaderName, HeaderValue,
        header::{CONTENT_ENCODING, CONTENT_TYPE, VARY},
    },
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use queue::{BatchId, Execution, State as Stand, Which};
use serde::Deserialize;
use tokio::time::{Instant, sleep};
use utoipa::IntoParams;

use crate::{
    App,
    answer::{BadQuery, NotThere},
    body::{Id, Query},
    caller::Caller,
    encoding::{Encoder, Encoding},
    error::{Error, Result},
    line::{Format, OpenAiLine, Outcome},
    page::bad_cursor,
    record::ExecutionRecord,
    time::wait,
};

/// How many items are in memory at once.
const PAGE: usize = 128;

/// How often it is looked whether an upload has brought more.
const LOOK: Duration = Duration::from_millis(100);

/// How long more items are waited for when one has ended that was waited for.
const GATHER: Duration = Duration::from_millis(20);

/// Which results to read.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ResultsQuery {
    /// Only items that ended so; several with commas.
    #[param(value_type = Option<String>, example = "failed,expired")]
    status: Option<String>,
    /// The `batch_index` to begin at. To go on after a line, send its `batch_index` and 1.
    #[param(value_type = Option<u32>)]
    cursor: Option<String>,
    /// How many lines at most; all if absent.
    #[param(minimum = 1)]
    limit: Option<u64>,
    /// Leave none out: wait so many seconds, at most 60, for each item that has not ended, and stop
    /// before it if that does not suffice.
    #[param(minimum = 0, maximum = 60)]
    wait: Option<f64>,
    /// What a line tells: the whole `record` (if absent), its `outcome`, or what OpenAI's batches
    /// tell (`openai`).
    #[serde(default)]
    #[param(inline)]
    format: Format,
}

/// The records of a batch's items that have ended, in the order of the items.
///
/// Readable while the batch runs: items that have not ended are left out, or waited for with
/// `wait`. A connection that ends early ends without the last chunk of HTTP: the client notices,
/// and goes on with `cursor`. Compressed as `Accept-Encoding` asks: `zstd` or `gzip`.
#[utoipa::path(
    get, path = "/batch/{id}/results", tag = "Batches",
    params(("id" = String, Path), ResultsQuery),
    responses(
        (status = 200, description = "A line for each item", content(
            (ExecutionRecord = "application/x-ndjson"),
            (Outcome = "application/x-ndjson; format=outcome"),
            (OpenAiLine = "application/x-ndjson; format=openai"),
        )),
        BadQuery, NotThere,
    )
)]
pub(crate) async fn results(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<BatchId>,
    Query(query): Query<ResultsQuery>,
    encoding: Encoding,
) -> Result<Response> {
    let from = query.cursor.as_deref().map(|it| it.parse().map_err(|_| bad_cursor()));
    let states = query.status.as_deref().map(states).transpose()?.unwrap_or_default();
    let wait = query.wait.map(wait).transpose()?;
    let from = Some(from.transpose()?.unwrap_or(0));
    app.own_batch(&caller, id).await?;
    let left = query.limit.unwrap_or(u64::MAX);
    let rest = Rest { app, id, from, states, left, wait, format: query.format };
    let body = Body::from_stream(encoded(rest, encoding));
    let kind = [
        (CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson")),
        (VARY, HeaderValue::from_static("accept-encoding")),
    ];
    let coded = encoding.name().map(|name| [(CONTENT_ENCODING, HeaderValue::from_static(name))]);
    let coded: Option<[(HeaderName, HeaderValue); 1]> = coded;
    Ok((kind, coded.map(axum::response::AppendHeaders), body).into_response())
}

/// The ends that a query names.
fn states(text: &str) -> Result<Vec<Stand>> {
    let state = |word: &str| {
        let named = Stand::ALL.into_iter().find(|it| it.as_str() == word.trim());
        named.filter(|it| it.is_terminal()).ok_or_else(|| {
            let ends = Stand::ALL.into_iter().filter(|it| it.is_terminal()).map(Stand::as_str);
            let ends: Vec<&str> = ends.collect();
            Error::Malformed(format!("`status` is of {}, with commas", ends.join(", ")))
        })
    };
    text.split(',').map(state).collect()
}

/// The pages, encoded. What is empty is no piece of a body.
fn encoded(rest: Rest, encoding: Encoding) -> impl Stream<Item = io::Result<Bytes>> {
    let begun = async move { Encoder::new(encoding).map(|encoder| pieces(rest, encoder)) };
    let pieces = stream::once(begun).try_flatten();
    let told = pieces.inspect_err(|error| tracing::warn!(%error, "a stream of results was cut"));
    told.filter(|piece| std::future::ready(!piece.as_ref().is_ok_and(Bytes::is_empty)))
}

/// The pages, and what their encoding has to say at the end.
fn pieces(rest: Rest, encoder: Encoder) -> impl Stream<Item = io::Result<Bytes>> {
    stream::try_unfold(Some((rest, encoder)), |left| async {
        let Some((rest, mut encoder)) = left else { return Ok(None) };
        Ok(Some(match rest.page().await? {
            Some((lines, rest)) => (encoder.piece(lines)?, Some((rest, encoder))),
            None => (encoder.finish()?, None),
        }))
    })
}

/// What is still to be sent.
struct Rest {
    app: App,
    id: BatchId,
    /// The index to go on from; none at the end.
    from: Option<u32>,
    /// The ends to tell of; all if none.
    states: Vec<Stand>,
    left: u64,
    /// How long to wait for an item that has not ended; none to leave it out.
    wait: Option<Duration>,
    format: Format,
}

impl Rest {
    /// The next lines. An error ends the body before its time, so that it is not taken for whole.
    async fn page(mut self) -> io::Result<Option<(Vec<u8>, Self)>> {
        let Some(from) = self.from.filter(|_| self.left > 0) else { return Ok(None) };
        let max = usize::try_from(self.left).map_or(PAGE, |left| left.min(PAGE));
        let (items, next) = match self.wait {
            Some(wait) => self.in_turn(from, max, wait).await,
            None => self.there(from, max).await,
        }
        .map_err(io::Error::other)?;
        // Going on from the same place would never end.
        self.from = next.filter(|next| *next > from);
        let wanted = |it: &Execution| self.states.is_empty() || self.states.contains(&it.state);
        let items: Vec<Execution> = items.into_iter().filter(wanted).collect();
        self.left -= items.len() as u64;
        let mut lines = Vec::new();
        for execution in items {
            self.format.write(execution, &mut lines)?;
        }
        Ok(Some((lines, self)))
    }

    /// What has ended from a place on, whatever lies between.
    async fn there(&self, from: u32, max: usize) -> queue::Result<(Vec<Execution>, Option<u32>)> {
        // The store looks for one state; for several, the rest are left out here.
        let which = match self.states.as_slice() {
            [only] => Which::Only(*only),
            [] | [..] => Which::All,
        };
        let page = self.app.queue.batch_results(self.id, from, max, which).await?;
        Ok((page.items, page.next.and_then(|next| next.parse().ok())))
    }

    /// Whether the batch has an item, or gets it in time from whoever uploads it.
    async fn has_come(&self, index: u32, until: Instant) -> queue::Result<bool> {
        loop {
            let batch = self.app.queue.batch(self.id).await?;
            if u64::from(index) < batch.total {
                return Ok(true);
            }
            let pause = self.app.stop.run_until_cancelled(sleep(LOOK));
            if !batch.open || Instant::now() >= until || pause.await.is_none() {
                return Ok(false);
            }
        }
    }

    /// What has ended from a place on without a gap, waiting for the first of it.
    async fn in_turn(
        &self,
        from: u32,
        max: usize,
        wait: Duration,
    ) -> queue::Result<(Vec<Execution>, Option<u32>)> {
        let in_turn = || self.app.queue.batch_results(self.id, from, max, Which::InTurn);
        let mut items = in_turn().await?.items;
        if items.is_empty() {
            let until = Instant::now() + self.app.bounded(wait);
            if !self.has_come(from, until).await? {
                return Ok((Vec::new(), None));
            }
            let left = until.saturating_duration_since(Instant::now());
            let first = self.app.wait(self.id.item(from), left).await?;
            if !first.state.is_terminal() {
                return Ok((Vec::new(), None));
            }
            // Others end close behind it, and one page is for them all.
            let _stopped = self.app.stop.run_until_cancelled(sleep(GATHER)).await;
            items = in_turn().await?.items;
        }
        let next = u32::try_from(items.len()).ok().and_then(|count| from.checked_add(count));
        Ok((items, next))
    }
}

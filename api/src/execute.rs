//! Putting work in: `POST /execute` and `POST /execute/batch`.

use std::time::Duration;

use axum::{
    extract::{FromRequest, Request, State},
    http::{
        HeaderName, HeaderValue, StatusCode,
        header::{LOCATION, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use queue::{BatchId, Execution, ExecutionId, Mode, Submitted};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    App, PREFIX, accept,
    answer::{Misread, NotThere},
    body::{self, Json, media_type},
    caller::Caller,
    error::Result,
    events, parts,
    prefer::{Follow, Key, Wait},
    record::ExecutionRecord,
    request::{BatchRequest, ExecuteRequest},
    schema,
    telemetry::Cause,
    time::Time,
};

/// An execution that was accepted.
#[derive(Serialize, ToSchema)]
pub(crate) struct Accepted {
    execution_id: String,
    #[schema(schema_with = schema::state)]
    status: &'static str,
    program_id: String,
    #[schema(schema_with = schema::mode)]
    mode: Mode,
    created_at: Time,
    links: Links,
}

/// A batch that was accepted.
#[derive(Serialize, ToSchema)]
pub(crate) struct AcceptedBatch {
    batch_id: String,
    #[schema(schema_with = schema::state)]
    status: &'static str,
    program_id: String,
    #[schema(schema_with = schema::mode)]
    mode: Mode,
    /// How many items it has.
    total: usize,
    /// How many of them do not fit the program, and have failed already.
    invalid: usize,
    created_at: Time,
    links: BatchLinks,
}

/// Where to go on.
#[derive(Serialize, ToSchema)]
pub(crate) struct Links {
    #[serde(rename = "self")]
    record: String,
    cancel: String,
    why: String,
}

/// Where to go on.
#[derive(Serialize, ToSchema)]
pub(crate) struct BatchLinks {
    #[serde(rename = "self")]
    batch: String,
    results: String,
    cancel: String,
}

const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
pub(crate) const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// Enqueue one execution.
///
/// The answer is `202` with its id, or `200` with the whole record if it has ended already: a dry
/// run, a result from the cache, or one that came within `Prefer: wait=SECONDS`. With
/// `Accept: text/event-stream` it is what happens until the end, as events.
#[utoipa::path(
    post, path = "/execute", tag = "Submission", request_body = ExecuteRequest,
    params(
        ("Prefer" = Option<String>, Header, description = "`wait=SECONDS`: wait for the result"),
        ("Idempotency-Key" = Option<String>, Header,
            description = "Your name for the request: repeated within 24 h, it runs once"),
    ),
    responses(
        (status = 200, description = "It has ended, or is followed", content(
            (ExecutionRecord = "application/json"), (String = "text/event-stream"),
        )),
        (status = 202, description = "It was accepted", body = Accepted,
            headers(("Location" = String), ("Retry-After" = u64))),
        Misread, NotThere,
    )
)]
pub(crate) async fn execute(
    State(app): State<App>,
    caller: Caller,
    (wait, follow): (Wait, Follow),
    key: Key,
    cause: Cause,
    Json { mut value, bytes }: Json<ExecuteRequest>,
) -> Result<Response> {
    let program = app.program(&value.program_id).await?;
    let key = key.of("/execute", &bytes);
    value.stream |= follow.wanted;
    let mut new = accept::execution(value, &program, &caller.subject, key, &app.config)?;
    new.spec.trace = cause.0;
    let (mode, program_id) = (new.spec.mode, new.spec.program.clone());
    let submitted = app.queue.submit(new).await?;
    if follow.wanted {
        let execution = app.queue.execution(submitted.id).await?;
        let location = location("execution", &submitted.id.to_string());
        let response = (location, events::stream(app, execution, follow.after)).into_response();
        return Ok(mark(response, submitted.replayed, None));
    }
    let response = match ended(&app, submitted, wait.0, mode).await? {
        Some(execution) => record(execution),
        None => accepted(submitted, program_id, mode),
    };
    Ok(mark(response, submitted.replayed, wait.0.map(|it| app.bounded(it))))
}

/// The execution if the answer is its record: it has ended, and not in an earlier request.
async fn ended(
    app: &App,
    submitted: Submitted,
    wait: Option<Duration>,
    mode: Mode,
) -> Result<Option<Execution>> {
    let Submitted { id, state, replayed } = submitted;
    if let Some(wait) = wait {
        let execution = app.wait(id, wait).await?;
        return Ok(execution.state.is_terminal().then_some(execution));
    }
    if !state.is_terminal() {
        return Ok(None);
    }
    let execution = app.queue.execution(id).await?;
    // A repeated request gets the first answer again, which was a record in two cases only.
    let at_once = !replayed || execution.cache_hit || mode == Mode::DryRun;
    Ok(at_once.then_some(execution))
}

fn record(execution: Execution) -> Response {
    let location = location("execution", &execution.id.to_string());
    (StatusCode::OK, location, axum::Json(ExecutionRecord::from(execution))).into_response()
}

fn accepted(submitted: Submitted, program_id: String, mode: Mode) -> Response {
    let execution_id = submitted.id.to_string();
    let path = format!("{PREFIX}/execution/{execution_id}");
    let links =
        Links { cancel: format!("{path}/cancel"), why: format!("{path}/why"), record: path };
    let location = location("execution", &execution_id);
    let (status, created_at) = (submitted.state.as_str(), created_at(&execution_id));
    let body = Accepted { execution_id, status, program_id, mode, created_at, links };
    (StatusCode::ACCEPTED, location, soon(), axum::Json(body)).into_response()
}

/// Enqueue many executions of one program: as a JSON list, or as lines of JSON of any number.
///
/// A line is an item's inputs, or `{"custom_id": …, "inputs": {…}}`. A line that cannot be run
/// fails alone, and its record says which it was. Nothing runs before the upload is whole; one that
/// is cut off leaves nothing behind. How the items of an upload run, its query says.
#[utoipa::path(
    post, path = "/execute/batch", tag = "Submission",
    request_body(content(
        (BatchRequest = "application/json"), (String = "application/x-ndjson"),
    )),
    params(
        ("program_id" = Option<String>, Query, description = "Of an upload: its program. It takes \
            the other options of `POST /batch` too"),
        ("Content-Encoding" = Option<String>, Header, description = "Of an upload: `gzip`, `zstd`"),
        ("Idempotency-Key" = Option<String>, Header,
            description = "Your name for the request: repeated within 24 h, it runs once"),
    ),
    responses(
        (status = 202, description = "It was accepted", body = AcceptedBatch,
            headers(("Location" = String), ("Retry-After" = u64))),
        Misread, NotThere,
    )
)]
pub(crate) async fn execute_batch(
    State(app): State<App>,
    caller: Caller,
    key: Key,
    cause: Cause,
    request: Request,
) -> Result<Response> {
    if body::is_lines(media_type(request.headers())) {
        return parts::whole(&app, &caller, key, cause, request).await;
    }
    let Json { value, bytes } = Json::<BatchRequest>::from_request(request, &app).await?;
    let program = app.program(&value.program_id).await?;
    let key = key.of("/execute/batch", &bytes);
    let mut new = accept::batch(value, &program, &caller.subject, key, &app.config)?;
    new.spec.trace = cause.0;
    let (mode, program_id, total) = (new.spec.mode, new.spec.program.clone(), new.items.len());
    let invalid = new.items.iter().filter(|item| item.invalid.is_some()).count();
    let submitted = app.queue.submit_batch(new).await?;
    Ok(accepted_batch(submitted, program_id, mode, total, invalid))
}

pub(crate) fn accepted_batch(
    submitted: Submitted<BatchId>,
    program_id: String,
    mode: Mode,
    total: usize,
    invalid: usize,
) -> Response {
    let (batch_id, status) = (submitted.id.to_string(), submitted.state.as_str());
    let (created_at, links) = (created_at(&batch_id), batch_links(&batch_id));
    let location = location("batch", &batch_id);
    let body =
        AcceptedBatch { batch_id, status, program_id, mode, total, invalid, created_at, links };
    let response = (StatusCode::ACCEPTED, location, soon(), axum::Json(body)).into_response();
    mark(response, submitted.replayed, None)
}

pub(crate) fn batch_links(batch_id: &str) -> BatchLinks {
    let path = format!("{PREFIX}/batch/{batch_id}");
    let (results, cancel) = (format!("{path}/results"), format!("{path}/cancel"));
    BatchLinks { batch: path, results, cancel }
}

/// When an id was made, which is when its request was accepted: ids carry their time.
fn created_at(id: &str) -> Time {
    let uuid = id.get(..36).and_then(|text| Uuid::try_parse(text).ok());
    let made = uuid.and_then(|it| it.get_timestamp()).map(|it| it.to_unix());
    let made =
        made.and_then(|(seconds, nanos)| DateTime::from_timestamp(seconds.try_into().ok()?, nanos));
    Time(made.unwrap_or_else(Utc::now))
}

pub(crate) fn location(noun: &str, id: &str) -> [(HeaderName, String); 1] {
    [(LOCATION, format!("{PREFIX}/{noun}/{id}"))]
}

/// Tells when asking makes sense.
pub(crate) fn soon() -> [(HeaderName, HeaderValue); 1] {
    [(RETRY_AFTER, HeaderValue::from_static("1"))]
}

pub(crate) fn mark(mut response: Response, replayed: bool, waited: Option<Duration>) -> Response {
    let headers = response.headers_mut();
    if replayed {
        headers.insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
    let applied = waited.map(|it| format!("wait={}", it.as_secs()));
    let applied = applied.and_then(|it| HeaderValue::try_from(it).ok());
    headers.extend(applied.map(|it| (PREFERENCE_APPLIED, it)));
    response
}

impl App {
    /// A wait that one request may take.
    pub(crate) fn bounded(&self, wait: Duration) -> Duration {
        wait.min(Duration::from_secs(self.config.wait_seconds_max))
    }

    /// The execution when it has ended, or as it stands after the wait or when the server stops.
    pub(crate) async fn wait(&self, id: ExecutionId, wait: Duration) -> queue::Result<Execution> {
        let waiting = self.queue.wait(id, self.bounded(wait));
        match self.stop.run_until_cancelled(waiting).await {
            Some(execution) => execution,
            None => self.queue.execution(id).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_tell_when_they_were_made() {
        let before = Utc::now().timestamp_millis();
        let made = created_at(&ExecutionId::new().to_string()).0.timestamp_millis();
        assert!((before..=Utc::now().timestamp_millis()).contains(&made));
    }
}

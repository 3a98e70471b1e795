//! Single executions: reading them, calling them off, running them again.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use queue::{BatchId, Execution, ExecutionId, Filter, PAGE_MAX, State as Stand, Subject, Why};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    App,
    answer::{BadQuery, Ended, NotThere},
    body::{Id, Query},
    caller::Caller,
    error::Result,
    events,
    execute::location,
    page::{cursor, limit},
    prefer::Follow,
    record::ExecutionRecord,
    schema, time,
};

/// How to read an execution.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ShowQuery {
    /// How many seconds to wait for its end, at most 60.
    #[param(minimum = 0, maximum = 60)]
    wait: Option<f64>,
}

/// The whole record of an execution.
///
/// With `wait` it comes when the execution has ended, or as it stands then. With
/// `Accept: text/event-stream` it comes at every change, until the end, and between them what the
/// execution tells, if it was submitted with `stream`.
#[utoipa::path(
    get, path = "/execution/{id}", tag = "Executions",
    params(
        ("id" = String, Path), ShowQuery,
        ("Last-Event-ID" = Option<String>, Header,
            description = "The last event that you have seen: what was told after it comes"),
    ),
    responses(
        (status = 200, description = "The record", content(
            (ExecutionRecord = "application/json"), (String = "text/event-stream"),
        )),
        BadQuery, NotThere,
    )
)]
pub(crate) async fn show(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<ExecutionId>,
    Query(query): Query<ShowQuery>,
    follow: Follow,
) -> Result<Response> {
    let mut execution = app.own(&caller, id).await?;
    if follow.wanted {
        return Ok(events::stream(app, execution, follow.after));
    }
    let wait = query.wait.map(time::wait).transpose()?.filter(|_| !execution.state.is_terminal());
    if let Some(wait) = wait {
        execution = app.wait(id, wait).await?;
    }
    let run = app.runs(&[&execution]).await?.pop().flatten();
    Ok(axum::Json(ExecutionRecord::from(execution).with_run(run)).into_response())
}

/// Call an execution off.
///
/// One that waits ends at once (`200`). One that runs is told to stop, and ends when its worker
/// has heard of it (`202`). Repeating it is no error.
#[utoipa::path(
    post, path = "/execution/{id}/cancel", tag = "Executions", params(("id" = String, Path)),
    responses(
        (status = 200, description = "It was called off", body = ExecutionRecord),
        (status = 202, description = "It was told to stop", body = ExecutionRecord),
        NotThere, Ended,
    )
)]
pub(crate) async fn cancel(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<ExecutionId>,
) -> Result<Response> {
    app.own(&caller, id).await?;
    let state = app.queue.cancel(id).await?;
    let status = if state.is_terminal() { StatusCode::OK } else { StatusCode::ACCEPTED };
    let execution = app.queue.execution(id).await?;
    Ok((status, axum::Json(ExecutionRecord::from(execution))).into_response())
}

/// Run an execution again that failed, was cancelled or expired.
#[utoipa::path(
    post, path = "/execution/{id}/retry", tag = "Executions", params(("id" = String, Path)),
    responses(
        (status = 202, description = "It waits again", body = ExecutionRecord),
        NotThere, Ended,
    )
)]
pub(crate) async fn retry(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<ExecutionId>,
) -> Result<Response> {
    app.own(&caller, id).await?;
    app.queue.retry(id).await?;
    let execution = app.queue.execution(id).await?;
    let (location, record) =
        (location("execution", &id.to_string()), ExecutionRecord::from(execution));
    Ok((StatusCode::ACCEPTED, location, axum::Json(record)).into_response())
}

/// What an execution waits for.
#[derive(Serialize, ToSchema)]
pub(crate) struct WhyView {
    execution_id: String,
    /// The same for programs: `ended`, `running`, `not_due`, `paused`, `no_worker` or `turn`,
    /// with what belongs to it.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    why: Why,
    /// In a sentence.
    message: String,
}

/// What an execution waits for.
#[utoipa::path(
    get, path = "/execution/{id}/why", tag = "Executions", params(("id" = String, Path)),
    responses((status = 200, description = "The reason", body = WhyView), NotThere)
)]
pub(crate) async fn why(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<ExecutionId>,
) -> Result<axum::Json<WhyView>> {
    app.own(&caller, id).await?;
    let why = app.queue.why(id).await?;
    let (execution_id, message) = (id.to_string(), sentence(&why));
    Ok(axum::Json(WhyView { execution_id, why, message }))
}

fn sentence(why: &Why) -> String {
    match why {
        Why::Ended { state } => format!("It waits for nothing: it is {state}."),
        Why::Running { cancel_requested: true, .. } => {
            "It runs, and its worker is about to hear that it was called off.".to_owned()
        }
        Why::Running { worker: Some(worker), .. } => format!("It runs on {worker}."),
        Why::Running { worker: None, .. } => "It runs.".to_owned(),
        Why::NotDue { due_at } => {
            format!("It is not due before {}.", due_at.format("%Y-%m-%dT%H:%M:%S%.3fZ"))
        }
        Why::Paused => "The queue is paused.".to_owned(),
        Why::NoWorker => "No worker is alive.".to_owned(),
        Why::Turn { ahead, lanes, slots } => format!(
            "It waits for its turn: {ahead} before it in its lane, {lanes} lanes taking turns, \
             {slots} slots on all workers."
        ),
    }
}

/// Which executions to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Only in this state.
    #[param(schema_with = schema::state)]
    status: Option<Stand>,
    /// Only of this program.
    program_id: Option<String>,
    /// Only items of this batch.
    #[param(value_type = Option<String>)]
    batch_id: Option<BatchId>,
    /// Only accepted at or after this time.
    since: Option<DateTime<Utc>>,
    /// Only of this owner; of use to an admin.
    owner: Option<String>,
    /// How many at most, 100 if absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page of executions.
#[derive(Serialize, ToSchema)]
pub(crate) struct ExecutionPage {
    executions: Vec<ExecutionRecord>,
    /// What to send as `cursor` for the next page; null at the end.
    next_cursor: Option<String>,
}

impl ExecutionPage {
    /// A page, with what is known of it elsewhere.
    pub(crate) async fn new(app: &App, page: queue::Page<Execution>) -> Result<Self> {
        let runs = app.runs(&page.items.iter().collect::<Vec<_>>()).await?;
        let both = page.items.into_iter().zip(runs);
        let executions = both.map(|(it, run)| ExecutionRecord::from(it).with_run(run)).collect();
        Ok(Self { executions, next_cursor: page.next })
    }
}

/// Executions, newest first; the items of a batch in their order.
#[utoipa::path(
    get, path = "/executions", tag = "Executions", params(ListQuery),
    responses((status = 200, description = "A page", body = ExecutionPage), BadQuery)
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<axum::Json<ExecutionPage>> {
    let owner = caller.only().map(str::to_owned).or(query.owner);
    let filter = Filter {
        owner,
        program: query.program_id,
        state: query.status,
        batch: query.batch_id,
        since: query.since,
    };
    let (max, from) = (limit(query.limit, PAGE_MAX)?, cursor(query.cursor.as_deref())?);
    let page = app.queue.executions(&filter, from, max).await?;
    Ok(axum::Json(ExecutionPage::new(&app, page).await?))
}

impl App {
    /// An execution that the caller may know of.
    pub(crate) async fn own(&self, caller: &Caller, id: ExecutionId) -> Result<Execution> {
        Ok(caller.sees(self.queue.execution(id).await?)?)
    }

    /// The runs in MLflow that stand for executions, as far as there are any yet.
    async fn runs(&self, executions: &[&Execution]) -> Result<Vec<Option<String>>> {
        if !executions.iter().any(|it| it.spec.tracked) {
            return Ok(vec![None; executions.len()]);
        }
        let subjects: Vec<_> = executions.iter().map(|it| Subject::Execution(it.id)).collect();
        let notes = self.queue.notes(&subjects).await?.into_iter();
        // The generation that it is of follows the run's id.
        let first = |it: String| it.split(' ').next().map(str::to_owned);
        Ok(notes.map(|words| words.and_then(first)).collect())
    }
}

//! The execution record: an execution as a client sees it.

use chrono::{DateTime, Utc};
use queue::{Attempt, Class, Execution, ExecutionId, FailureKind, Fields, Mode, Report, State};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::{schema, time::Time};

/// What was asked for, and what came of it.
#[derive(Serialize, ToSchema)]
pub(crate) struct ExecutionRecord {
    /// A UUIDv7; of an item of a batch `{batch_id}-{index}`.
    #[schema(example = "0195d3c8-7a3e-7c60-9d6e-0f6f4e0f9b3a")]
    pub(crate) execution_id: String,
    #[schema(schema_with = schema::state)]
    pub(crate) status: &'static str,
    /// Whether it gave outputs; null until it has ended.
    pub(crate) success: Option<bool>,
    /// What the program gave; null without success.
    #[schema(schema_with = schema::fields_or_null)]
    pub(crate) outputs: Option<Fields>,
    /// Why there are no outputs.
    pub(crate) error: Option<String>,
    /// The same, for programs.
    #[schema(schema_with = schema::error_kind_or_null)]
    pub(crate) error_kind: Option<FailureKind>,
    /// How many seconds the last attempt ran.
    #[schema(example = 1.042)]
    execution_time: Option<f64>,
    #[schema(example = "email-assistant")]
    program_name: String,
    program_id: String,
    /// The version that was the newest when the execution was accepted, or that was asked for.
    program_version: String,
    #[schema(schema_with = schema::mode)]
    mode: Mode,
    #[schema(schema_with = schema::class)]
    priority: Class,
    #[schema(schema_with = schema::fields)]
    inputs: Fields,
    /// Every attempt that failed for good or for now, and the one that gave the result.
    attempts: Vec<AttemptRecord>,
    /// How often it was started anew by hand.
    generation: u32,
    /// Whether it was called off and its worker has not stopped yet.
    cancel_requested: bool,
    created_at: Time,
    /// When it may start, while it is scheduled.
    due_at: Option<Time>,
    started_at: Option<Time>,
    finished_at: Option<Time>,
    /// When it is given up.
    deadline: Option<Time>,
    /// How many seconds one attempt may take.
    timeout: f64,
    max_retries: u32,
    /// The subject of the token that asked for it.
    owner: String,
    /// The batch that it is an item of.
    batch_id: Option<String>,
    /// Its place in the batch, from 0.
    pub(crate) batch_index: Option<u32>,
    /// The client's name for the item.
    pub(crate) custom_id: Option<String>,
    /// What the request gave as `metadata`, and beside it: `mode`, `cache_hit`, `usage` (tokens
    /// and cost by model), `mlflow_run_id`, `trace_id` (of the OpenTelemetry trace, if there is
    /// one), `worker`; of a dry run `validation_passed`; of a debug run `debug_trace`.
    #[schema(schema_with = schema::fields)]
    metadata: Fields,
}

/// One attempt.
#[derive(Serialize, ToSchema)]
pub(crate) struct AttemptRecord {
    started_at: Time,
    finished_at: Time,
    worker: String,
    /// Why it failed; null if it gave outputs.
    error: Option<String>,
    #[schema(schema_with = schema::error_kind_or_null)]
    error_kind: Option<FailureKind>,
    /// The generation it belongs to.
    generation: u32,
}

/// The names in `metadata` that are ours; a request may not use them.
pub(crate) const RESERVED: [&str; 8] = [
    "mode",
    "cache_hit",
    "usage",
    "mlflow_run_id",
    "trace_id",
    "worker",
    "validation_passed",
    "debug_trace",
];

impl ExecutionRecord {
    /// The same, with the run in MLflow that stands for it.
    pub(crate) fn with_run(mut self, run: Option<String>) -> Self {
        let run = run.map_or(Value::Null, Value::from);
        self.metadata.insert("mlflow_run_id".to_owned(), run);
        self
    }
}

impl From<Execution> for ExecutionRecord {
    fn from(execution: Execution) -> Self {
        let Execution { id, state, spec, mut report, .. } = execution;
        let (error, error_kind) = why(state, report.as_mut(), spec.deadline);
        let (batch_id, batch_index) = id.item_of().unzip();
        let seconds = execution.run_time.map(|took| took.as_secs_f64());
        let worker = execution.worker.as_ref().map(queue::WorkerId::as_str);
        let mut metadata = metadata(&spec, execution.cache_hit, worker, report.as_mut());
        // An equal execution's result tells of that one's trace.
        if execution.cache_hit || metadata["trace_id"].is_null() {
            metadata.insert("trace_id".to_owned(), json!(trace_id(id, &spec)));
        }
        Self {
            execution_id: id.to_string(),
            status: state.as_str(),
            success: state.is_terminal().then_some(state == State::Succeeded),
            outputs: report.and_then(|report| report.outputs),
            error,
            error_kind,
            // Of what no worker ran, nothing took time.
            execution_time: seconds.or((state == State::Succeeded).then_some(0.0)),
            program_name: spec.program.clone(),
            program_id: spec.program.clone(),
            program_version: spec.version.clone(),
            mode: spec.mode,
            priority: spec.class,
            inputs: execution.inputs,
            attempts: execution.attempts.into_iter().map(AttemptRecord::from).collect(),
            generation: execution.generation,
            cancel_requested: execution.cancel_requested,
            created_at: Time(execution.created_at),
            due_at: execution.due_at.map(Time),
            started_at: execution.started_at.map(Time),
            finished_at: execution.finished_at.map(Time),
            deadline: spec.deadline.map(Time),
            timeout: spec.timeout.as_secs_f64(),
            max_retries: spec.max_retries,
            owner: spec.owner.clone(),
            batch_id: batch_id.map(|id| id.to_string()),
            batch_index,
            custom_id: execution.custom_id,
            metadata,
        }
    }
}

impl ExecutionRecord {
    /// Takes out the tokens and cost by model.
    pub(crate) fn take_usage(&mut self) -> Value {
        self.metadata.get_mut("usage").map(Value::take).unwrap_or_default()
    }
}

/// The record of an execution as a client sees it, for those who tell it elsewhere.
pub fn view(execution: Execution) -> Value {
    serde_json::to_value(ExecutionRecord::from(execution)).unwrap_or_default()
}

/// Why there are no outputs, in words and as a kind.
pub(crate) fn why(
    state: State,
    report: Option<&mut Report>,
    deadline: Option<DateTime<Utc>>,
) -> (Option<String>, Option<FailureKind>) {
    if let Some(failure) = report.and_then(|report| report.failure.take()) {
        return (Some(failure.message), Some(failure.kind));
    }
    match state {
        State::Scheduled | State::Queued | State::Running | State::Succeeded => (None, None),
        State::Failed => (Some("Execution failed".to_owned()), Some(FailureKind::ProgramError)),
        State::Cancelled => (Some("Execution cancelled".to_owned()), Some(FailureKind::Cancelled)),
        State::Expired => {
            let at = deadline.map(|at| at.format(" %Y-%m-%dT%H:%M:%SZ").to_string());
            let words = format!("Execution deadline{} passed", at.unwrap_or_default());
            (Some(words), Some(FailureKind::Timeout))
        }
    }
}

/// The trace of the request that asked, if it is recorded. An item of a batch has one of its own,
/// which its worker tells.
fn trace_id(id: ExecutionId, spec: &queue::Spec) -> Option<String> {
    let trace = spec.trace.filter(|it| it.is_sampled() && id.item_of().is_none())?;
    Some(format!("{:032x}", trace.trace()))
}

fn metadata(
    spec: &queue::Spec,
    cache_hit: bool,
    worker: Option<&str>,
    report: Option<&mut Report>,
) -> Fields {
    let client = spec.metadata.iter();
    let mut all: Fields =
        client.map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
    let mut add = |name: &str, value: Value| all.insert(name.to_owned(), value);
    add("mode", json!(spec.mode));
    add("cache_hit", json!(cache_hit));
    add("worker", json!(worker));
    add("usage", json!({}));
    add("mlflow_run_id", Value::Null);
    add("trace_id", Value::Null);
    let Some(report) = report else { return all };
    add("usage", Value::Object(std::mem::take(&mut report.usage)));
    // Others may keep one for MLflow.
    if let Some(trace) = report.debug_trace.take().filter(|_| spec.mode == Mode::Debug) {
        add("debug_trace", trace);
    }
    all.extend(std::mem::take(&mut report.extra));
    all
}

impl From<Attempt> for AttemptRecord {
    fn from(attempt: Attempt) -> Self {
        let (error, error_kind) = attempt.error.map(|it| (it.message, it.kind)).unzip();
        Self {
            started_at: Time(attempt.started_at),
            finished_at: Time(attempt.finished_at),
            worker: attempt.worker.to_string(),
            error,
            error_kind,
            generation: attempt.generation,
        }
    }
}

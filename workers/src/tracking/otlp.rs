//! Spans as an OTLP request in JSON, with the attributes by which MLflow shows them.
//!
//! All ids follow from the execution's, so that a trace that is sent twice is the same.

use chrono::{DateTime, Utc};
use queue::{Execution, ExecutionId, State, Used};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::spans::Span;

/// The longest value of an attribute.
const VALUE_BYTES_MAX: usize = 64 * 1024;

/// OTLP's codes of a span's status.
const OK: u8 = 1;
const ERROR: u8 = 2;

/// The id of an execution's trace.
pub(super) fn trace_id(id: ExecutionId, generation: u32) -> u128 {
    let digest = Sha256::digest(trace_name(id, generation));
    digest.iter().take(16).fold(0, |id, byte| id << 8 | u128::from(*byte))
}

/// What its ids follow from.
fn trace_name(id: ExecutionId, generation: u32) -> String {
    format!("{id}:{generation}")
}

/// A request with the one trace of an execution.
pub(super) fn request(execution: &Execution, spans: &[Span]) -> Value {
    let name = trace_name(execution.id, execution.generation);
    let trace = format!("{:032x}", trace_id(execution.id, execution.generation));
    let began = began(execution);
    let id = |at: usize| format!("{:.16x}", Sha256::digest(format!("{name}:{at}")));
    let spans: Vec<Value> = spans
        .iter()
        .enumerate()
        .map(|(at, span)| {
            let mut attributes = attributes(span);
            if span.parent.is_none() {
                attributes.extend(of_root(execution, span));
            }
            let (code, message) = match &span.error {
                Some(why) => (ERROR, why.as_str()),
                None => (OK, ""),
            };
            json!({
                "traceId": trace,
                "spanId": id(at),
                "parentSpanId": span.parent.map(id).unwrap_or_default(),
                "name": span.name,
                "kind": 1,
                "startTimeUnixNano": nanos(began, span.from_ms),
                "endTimeUnixNano": nanos(began, span.to_ms),
                "attributes": attributes,
                "status": { "code": code, "message": message },
            })
        })
        .collect();
    let service = json!({ "key": "service.name", "value": { "stringValue": "dspyx" } });
    json!({ "resourceSpans": [{
        "resource": { "attributes": [service] },
        "scopeSpans": [{ "scope": { "name": "dspyx" }, "spans": spans }],
    }] })
}

/// What every span says.
fn attributes(span: &Span) -> Vec<Value> {
    let mut all = vec![attribute("mlflow.spanType", &json!(span.kind))];
    all.extend(span.inputs.iter().map(|it| attribute("mlflow.spanInputs", it)));
    all.extend(span.outputs.iter().map(|it| attribute("mlflow.spanOutputs", it)));
    all.extend(span.attributes.iter().map(|(name, value)| attribute(name, value)));
    all
}

/// What the first span says of the whole.
fn of_root(execution: &Execution, root: &Span) -> Vec<Value> {
    let spec = &execution.spec;
    let tag = |name: &str, value: &str| plain(&format!("mlflow.traceTag.{name}"), value);
    let mut all = vec![
        tag("mlflow.traceName", &root.name),
        tag("execution_id", &execution.id.to_string()),
        tag("program", &spec.program),
        tag("program_version", &spec.version),
        tag("owner", &spec.owner),
        plain("user.id", &spec.owner),
    ];
    if let Some((batch, _)) = execution.id.item_of() {
        all.push(plain("session.id", &batch.to_string()));
    }
    // What an equal execution used, this one did not.
    if let Some(report) = execution.report.as_ref().filter(|_| !execution.cache_hit) {
        let Used { prompt_tokens, completion_tokens, .. } = Used::of(report);
        if prompt_tokens + completion_tokens > 0 {
            let usage = json!({
                "input_tokens": prompt_tokens,
                "output_tokens": completion_tokens,
                "total_tokens": prompt_tokens + completion_tokens,
            });
            all.push(attribute("mlflow.chat.tokenUsage", &usage));
        }
    }
    if execution.state == State::Cancelled {
        all.push(tag("status", "cancelled"));
    }
    all
}

/// A value as MLflow keeps them: in JSON, and not too long. It takes the JSON of numbers for texts.
fn attribute(name: &str, value: &Value) -> Value {
    if let Some(number) = value.as_i64() {
        return json!({ "key": name, "value": { "intValue": number.to_string() } });
    }
    if let Some(number) = value.as_f64() {
        return json!({ "key": name, "value": { "doubleValue": number } });
    }
    if let Some(is) = value.as_bool() {
        return json!({ "key": name, "value": { "boolValue": is } });
    }
    let text = value.to_string();
    if text.len() <= VALUE_BYTES_MAX {
        return plain(name, &text);
    }
    let mut end = VALUE_BYTES_MAX;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    plain(name, &json!(format!("{}…", &text[..end])).to_string())
}

fn plain(name: &str, text: &str) -> Value {
    json!({ "key": name, "value": { "stringValue": text } })
}

fn began(execution: &Execution) -> DateTime<Utc> {
    let ended = execution.finished_at.unwrap_or(execution.created_at);
    execution.started_at.unwrap_or(ended - execution.run_time.unwrap_or_default())
}

#[expect(clippy::cast_possible_truncation, reason = "a duration in nanoseconds")]
fn nanos(began: DateTime<Utc>, after_ms: f64) -> String {
    let began = began.timestamp_nanos_opt().unwrap_or_default();
    began.saturating_add((after_ms * 1e6) as i64).to_string()
}

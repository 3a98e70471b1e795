//! How records of the API look to people.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Map, Value};

use crate::{
    output::{self, BAD, BOLD, DIM, paint},
    values,
};

/// A text of a record; empty if it is not there.
pub(super) fn text<'a>(record: &'a Value, key: &str) -> &'a str {
    record.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// A number of a record; 0 if it is not there.
pub(super) fn number(record: &Value, pointer: &str) -> u64 {
    record.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
}

/// Whether an execution or a batch has ended.
pub(super) fn is_ended(record: &Value) -> bool {
    let ends = ["succeeded", "failed", "cancelled", "expired", "completed"];
    ends.contains(&text(record, "status"))
}

/// What was accepted, and how to go on.
pub(super) fn accepted(record: &Value, json: bool) -> Result<()> {
    if json {
        return output::value(record);
    }
    let id = text(record, "execution_id");
    output::line(format!("{id}  {}", output::state(text(record, "status"))))?;
    output::note(paint(DIM, format!("follow it with: dspyx status {id} --watch")));
    Ok(())
}

/// An execution: how it stands, and what it gave.
pub(super) fn execution(record: &Value, json: bool) -> Result<()> {
    if json {
        return output::value(record);
    }
    output::line(headline(record))?;
    if let Some(outputs) = record.get("outputs").and_then(Value::as_object) {
        output::line(fields(outputs))?;
    }
    if let Some(error) = record.get("error").filter(|it| !it.is_null()) {
        let kind = text(record, "error_kind");
        output::line(format!("  {} {}", paint(BAD, kind), output::plain(error)))?;
    }
    Ok(())
}

/// One line about an execution.
pub(super) fn headline(record: &Value) -> String {
    let mut parts =
        vec![paint(BOLD, text(record, "execution_id")), output::state(text(record, "status"))];
    if let Some(seconds) = record.get("execution_time").and_then(Value::as_f64) {
        let time = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        parts.push(format!("in {}", values::glance(time)));
    }
    let version = text(record, "program_version");
    let at = if version.is_empty() { "" } else { "@" };
    let mut notes = vec![format!("{}{at}{version}", text(record, "program_id"))];
    let mode = text(record, "mode");
    if !matches!(mode, "" | "normal") {
        notes.push(mode.to_owned());
    }
    if record.pointer("/metadata/cache_hit").and_then(Value::as_bool) == Some(true) {
        notes.push("from the cache".to_owned());
    }
    let attempts = record.get("attempts").and_then(Value::as_array).map_or(0, Vec::len);
    if attempts > 1 {
        notes.push(format!("{attempts} attempts"));
    }
    parts.push(paint(DIM, notes.join(", ")));
    parts.join("  ")
}

/// Fields by name, texts of many lines indented.
pub(super) fn fields(fields: &Map<String, Value>) -> String {
    let width = fields.keys().map(|it| it.chars().count()).max().unwrap_or_default();
    let line = |(name, value): (&String, &Value)| {
        let pad = " ".repeat(width - name.chars().count());
        let indent = format!("\n{:1$}", "", width + 4);
        let value = output::plain(value).replace('\n', &indent);
        format!("  {}{pad}  {value}", paint(DIM, name))
    };
    fields.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A batch: how it stands, and how its items ended.
pub(super) fn batch(record: &Value, json: bool) -> Result<()> {
    if json {
        return output::value(record);
    }
    let ended = |state: &str| number(record, &format!("/counts/{state}"));
    let total = number(record, "/total");
    let mut counts = vec![format!("{total} items")];
    for state in ["queued", "running", "succeeded", "failed", "cancelled", "expired"] {
        if ended(state) > 0 {
            counts.push(format!("{} {}", ended(state), output::state(state)));
        }
    }
    let id = paint(BOLD, text(record, "batch_id"));
    let state = output::state(text(record, "status"));
    output::line(format!("{id}  {state}  {}", counts.join(", ")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_execution_is_a_line_with_its_notes() {
        let record = json!({"execution_id": "e1", "status": "succeeded", "execution_time": 0.0123,
            "program_id": "qa", "program_version": "1.0.0", "mode": "debug",
            "attempts": [{}, {}], "metadata": {"cache_hit": true}});
        let line = anstream::adapter::strip_str(&headline(&record)).to_string();
        assert_eq!(line, "e1  succeeded  in 12.3 ms  qa@1.0.0, debug, from the cache, 2 attempts");
    }

    #[test]
    fn fields_are_aligned_and_indented() {
        let record = json!({"a": "x\ny", "long": [1]});
        let text = fields(record.as_object().unwrap());
        let text = anstream::adapter::strip_str(&text).to_string();
        assert_eq!(text, "  a     x\n        y\n  long  [1]");
    }
}

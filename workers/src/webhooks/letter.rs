//! What a webhook is told: `{"type": "execution.completed", "timestamp": "…", "data": {…}}`, where
//! `data` is the record that the API shows.

use chrono::{DateTime, SecondsFormat, Utc};
use queue::{Batch, Execution};
use serde_json::{Value, json};

use super::Views;

/// The longest record that is sent whole.
const BYTES_MAX: usize = 512 * 1024;

/// The parts of a record that are left out of one that is longer; the API has them.
const LONG: [&str; 3] = ["outputs", "inputs", "attempts"];

/// One message to one receiver.
pub(super) struct Letter {
    /// The same for every try, and another for every message.
    pub(super) id: String,
    pub(super) url: String,
    pub(super) body: Vec<u8>,
}

impl Letter {
    /// Of an execution; none if it has not ended, or nobody is to be told.
    pub(super) fn of_execution(execution: Execution, views: &Views) -> Option<Self> {
        let (id, ended) = (execution.id.to_string(), execution.finished_at?);
        let url = execution.spec.webhook.clone()?;
        Some(Self::new(&id, url, "execution.completed", ended, &(views.execution)(execution)))
    }

    /// Of a batch; none if it has not ended, or nobody is to be told.
    pub(super) fn of_batch(batch: Batch, views: &Views) -> Option<Self> {
        let (id, ended) = (batch.id.to_string(), batch.finished_at?);
        let url = batch.spec.webhook.clone()?;
        Some(Self::new(&id, url, "batch.completed", ended, &(views.batch)(batch)))
    }

    fn new(name: &str, url: String, kind: &str, ended: DateTime<Utc>, data: &Value) -> Self {
        let timestamp = ended.to_rfc3339_opts(SecondsFormat::Millis, true);
        // What is run again by hand ends again, and that is another message.
        let id = format!("msg_{name}_{}", ended.timestamp_millis());
        let body = json!({ "type": kind, "timestamp": timestamp, "data": data });
        Self { id, url, body: short(body).to_string().into_bytes() }
    }
}

/// The message without what makes it too long.
fn short(mut message: Value) -> Value {
    if message.to_string().len() <= BYTES_MAX {
        return message;
    }
    if let Some(data) = message["data"].as_object_mut() {
        for name in LONG {
            data.remove(name);
        }
        if let Some(metadata) = data.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("debug_trace");
        }
        data.insert("truncated".to_owned(), true.into());
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_messages_lose_what_is_long() {
        let data = json!({ "status": "succeeded", "outputs": { "text": "x".repeat(BYTES_MAX) } });

        let message = short(json!({ "type": "execution.completed", "data": data }));

        assert_eq!(message["data"], json!({ "status": "succeeded", "truncated": true }));
    }
}

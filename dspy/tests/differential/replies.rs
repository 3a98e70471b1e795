//! A model that gives the replies of a case and keeps what it was asked.

use std::sync::Mutex;

use async_trait::async_trait;
use dspy::{Capabilities, Lm, LmError, LmReply, LmRequest};
use serde_json::Value;

pub(crate) struct Replies {
    replies: Vec<Value>,
    requests: Mutex<Vec<LmRequest>>,
}

impl Replies {
    pub(crate) fn of(case: &Value) -> Self {
        let replies = case["replies"].as_array().unwrap().clone();
        Self { replies, requests: Mutex::default() }
    }

    /// What was asked.
    pub(crate) fn into_requests(self) -> Vec<LmRequest> {
        self.requests.into_inner().unwrap()
    }
}

/// A reply of a case: its text, or the message of which that is a part.
fn read(reply: &Value) -> LmReply {
    let text = |it: &Value| it.as_str().map(ToOwned::to_owned);
    if !reply.is_object() {
        return LmReply { text: text(reply), ..LmReply::default() };
    }
    LmReply {
        text: text(&reply["content"]),
        reasoning: text(&reply["reasoning_content"]).filter(|it| !it.is_empty()),
        tool_calls: serde_json::from_value(reply["tool_calls"].clone()).unwrap_or_default(),
        finish_reason: text(&reply["finish_reason"]),
        ..LmReply::default()
    }
}

#[async_trait]
impl Lm for Replies {
    async fn complete(&self, request: &LmRequest) -> Result<LmReply, LmError> {
        let mut requests = self.requests.lock().unwrap();
        let reply = &self.replies[requests.len().min(self.replies.len() - 1)];
        requests.push(request.clone());
        let model = request.settings.model.clone().unwrap_or_default();
        Ok(LmReply { model, ..read(reply) })
    }

    fn capabilities(&self, model: &str) -> Capabilities {
        Capabilities::of(model)
    }
}

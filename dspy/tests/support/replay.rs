//! A model that gives recorded replies and keeps what it was asked.

use std::sync::Mutex;

use async_trait::async_trait;
use dspy::{Capabilities, Lm, LmError, LmReply, LmRequest, Usage};
use serde_json::Value;

/// The recorded replies of a case, in order.
pub(crate) struct Replay {
    replies: Vec<Value>,
    /// How often a request that failed for a passing reason is sent again.
    retries: u64,
    /// What was asked.
    pub(crate) requests: Mutex<Vec<LmRequest>>,
}

impl Replay {
    pub(crate) fn new(case: &Value) -> Self {
        let replies = case["replies"].as_array().unwrap().clone();
        let retries = case["lm_kwargs"]["num_retries"].as_u64().unwrap_or(0);
        Self { replies, retries, requests: Mutex::new(Vec::new()) }
    }

    fn next(&self, request: &LmRequest) -> Result<LmReply, LmError> {
        let mut requests = self.requests.lock().unwrap();
        requests.push(request.clone());
        let reply = self.replies.get(requests.len() - 1).or(self.replies.last());
        let reply = reply.ok_or_else(|| LmError::Transport("no reply was recorded".to_owned()))?;
        let status = u16::try_from(reply["status"].as_u64().unwrap()).unwrap();
        let (body, error) = (&reply["body"], &reply["body"]["error"]);
        if status != 200 {
            let code = error["code"].as_str().unwrap_or_default();
            let said = error["message"].as_str().unwrap_or_default().to_owned();
            return Err(LmError::answered(status, code, said, None));
        }
        match body["choices"].as_array().map(Vec::as_slice) {
            Some([choice]) => Ok(read(choice, body, request)),
            _ => Err(LmError::InvalidResponse(body.to_string())),
        }
    }
}

fn read(choice: &Value, body: &Value, request: &LmRequest) -> LmReply {
    let message = &choice["message"];
    let text = |it: &Value| it.as_str().map(ToOwned::to_owned);
    LmReply {
        text: text(&message["content"]),
        reasoning: text(&message["reasoning_content"]),
        tool_calls: serde_json::from_value(message["tool_calls"].clone()).unwrap_or_default(),
        finish_reason: text(&choice["finish_reason"]),
        usage: serde_json::from_value::<Usage>(body["usage"].clone()).unwrap_or_default(),
        model: request.settings.model.clone().unwrap_or_default(),
        ..LmReply::default()
    }
}

#[async_trait]
impl Lm for Replay {
    async fn complete(&self, request: &LmRequest) -> Result<LmReply, LmError> {
        let mut reply = self.next(request);
        for _ in 0..self.retries {
            match reply {
                Err(error) if error.is_retryable() => reply = self.next(request),
                reply => return reply,
            }
        }
        reply
    }

    fn capabilities(&self, model: &str) -> Capabilities {
        Capabilities::of(model)
    }
}

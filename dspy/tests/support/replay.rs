//! A model that gives recorded replies and keeps what it was asked.

use std::sync::Mutex;

use async_trait::async_trait;
use dspy::{Capabilities, Lm, LmError, LmReply, LmRequest, Usage};
use serde_json::Value;

/// The recorded replies of a case, in order.
pub(crate) struct Replay {
    replies: Vec<Value>,
    /// What was asked.
    pub(crate) requests: Mutex<Vec<LmRequest>>,
}

impl Replay {
    pub(crate) fn new(replies: &Value) -> Self {
        let replies = replies.as_array().unwrap().iter().map(|it| it["body"].clone()).collect();
        Self { replies, requests: Mutex::new(Vec::new()) }
    }
}

#[async_trait]
impl Lm for Replay {
    async fn complete(&self, request: &LmRequest) -> Result<LmReply, LmError> {
        let mut requests = self.requests.lock().unwrap();
        requests.push(request.clone());
        let Some(body) = self.replies.get(requests.len() - 1).or(self.replies.last()) else {
            return Err(LmError::Transport("no reply was recorded".to_owned()));
        };
        if body["error"]["code"] == "context_length_exceeded" {
            let message = body["error"]["message"].as_str().unwrap_or_default();
            return Err(LmError::ContextWindowExceeded(message.to_owned()));
        }
        let choice = &body["choices"][0];
        let message = &choice["message"];
        let text = |it: &Value| it.as_str().map(ToOwned::to_owned);
        Ok(LmReply {
            text: text(&message["content"]),
            reasoning: text(&message["reasoning_content"]),
            tool_calls: serde_json::from_value(message["tool_calls"].clone()).unwrap_or_default(),
            finish_reason: text(&choice["finish_reason"]),
            usage: serde_json::from_value::<Usage>(body["usage"].clone()).unwrap_or_default(),
            model: request.settings.model.clone().unwrap_or_default(),
            ..LmReply::default()
        })
    }

    fn capabilities(&self, model: &str) -> Capabilities {
        match model {
            "openai/gpt-4o-mini" => Capabilities {
                response_format: true,
                response_schema: true,
                function_calling: true,
                reasoning: false,
            },
            "openai/o3-mini" | "openai/gpt-5-mini" => Capabilities {
                response_format: true,
                response_schema: true,
                function_calling: true,
                reasoning: true,
            },
            "openai/gpt-3.5-turbo" => Capabilities {
                response_format: true,
                function_calling: true,
                ..Capabilities::default()
            },
            _ => Capabilities::default(),
        }
    }
}

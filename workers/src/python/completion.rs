//! A model's reply as a body of the OpenAI protocol, which DSPy's engine reads as it is.

use dspy::{LmReply, ToolCall, Usage};
use serde::Serialize;

/// What an endpoint would have answered.
#[derive(Debug, Serialize)]
pub(super) struct Completion<'a> {
    object: &'static str,
    choices: [Choice<'a>; 1],
    usage: &'a Usage,
    model: &'a str,
}

#[derive(Debug, Serialize)]
struct Choice<'a> {
    index: u32,
    message: Said<'a>,
    finish_reason: &'a str,
}

#[derive(Debug, Serialize)]
struct Said<'a> {
    role: &'static str,
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "<[ToolCall]>::is_empty")]
    tool_calls: &'a [ToolCall],
}

impl<'a> Completion<'a> {
    /// The body of a reply.
    pub(super) fn of(reply: &'a LmReply) -> Self {
        let filled = |it: &'a Option<String>| it.as_deref().filter(|it| !it.is_empty());
        let message = Said {
            role: "assistant",
            content: reply.text.as_deref(),
            reasoning_content: filled(&reply.reasoning),
            tool_calls: &reply.tool_calls,
        };
        let finish_reason = filled(&reply.finish_reason).unwrap_or("stop");
        Self {
            object: "chat.completion",
            choices: [Choice { index: 0, message, finish_reason }],
            usage: &reply.usage,
            // Without the provider, of which the endpoint does not know that we call it so.
            model: reply.model.split_once('/').map_or(reply.model.as_str(), |(_, it)| it),
        }
    }
}

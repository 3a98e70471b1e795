//! A model's reply as a body of the OpenAI protocol, which DSPy's engine, or another client,
//! reads as it is.

use dspy::{LmError, LmReply, ToolCall, Usage};
use serde::Serialize;

use crate::gateway::vectors_of;

/// What an endpoint would have answered.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Body<'a> {
    /// To a call of a model.
    Completion(Completion<'a>),
    /// To a call of a model of embeddings.
    Embeddings(Embeddings<'a>),
}

/// The vectors of texts, in their order.
#[derive(Debug, Serialize)]
pub(super) struct Embeddings<'a> {
    object: &'static str,
    data: Vec<Item>,
    usage: &'a Usage,
    model: &'a str,
}

#[derive(Debug, Serialize)]
struct Item {
    object: &'static str,
    index: usize,
    embedding: Vec<f32>,
}

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

impl<'a> Body<'a> {
    /// The body of a model's reply.
    pub(super) fn of(reply: &'a LmReply) -> Self {
        Self::Completion(Completion::of(reply))
    }

    /// The body of a reply that says vectors.
    pub(super) fn of_vectors(reply: &'a LmReply) -> Result<Self, LmError> {
        let vectors = vectors_of(reply)?.into_iter().enumerate();
        let data = vectors
            .map(|(index, embedding)| Item { object: "embedding", index, embedding })
            .collect();
        let (usage, model) = (&reply.usage, name(reply));
        Ok(Self::Embeddings(Embeddings { object: "list", data, usage, model }))
    }
}

/// The model without the provider, of which the endpoint does not know that we call it so.
fn name(reply: &LmReply) -> &str {
    reply.model.split_once('/').map_or(reply.model.as_str(), |(_, it)| it)
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
            model: name(reply),
        }
    }
}

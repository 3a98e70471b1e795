//! A language model as the modules see it: messages and settings in, one reply out.
//!
//! Knows no protocol: who implements [`Lm`] owns transport, retries, limits and caches.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Capabilities, Listener, LmError, ToolCall, python::repr, reasoning_model};

/// A language model. One call is one completion.
#[async_trait]
pub trait Lm: Send + Sync {
    /// The model's reply to one request.
    async fn complete(&self, request: &LmRequest) -> Result<LmReply, LmError>;

    /// The same, telling the listener how the reply grows. Of a model that does not, the reply
    /// comes whole.
    async fn complete_aloud(
        &self,
        request: &LmRequest,
        _listener: &Listener<'_>,
    ) -> Result<LmReply, LmError> {
        self.complete(request).await
    }

    /// What the model can be asked for besides text; nothing, unless it is known.
    fn capabilities(&self, _model: &str) -> Capabilities {
        Capabilities::default()
    }
}

/// One call of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LmRequest {
    /// The conversation, system message first.
    pub messages: Vec<Message>,
    /// How the model is to answer.
    pub settings: LmSettings,
    /// The `response_format` of the OpenAI protocol, when the adapter asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_format: Option<Value>,
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// The call that a message of a tool answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// A string, a list of content parts as in the OpenAI protocol, or nothing beside calls.
    pub content: Value,
    /// The calls of tools that the model made in this message.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// The name of the tool that answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Who speaks in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The task.
    System,
    /// A question.
    User,
    /// An answer of the model.
    Assistant,
    /// What a tool gave.
    Tool,
}

/// How the model is to answer. What is absent is not sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LmSettings {
    /// The model, with its provider's prefix: `openai/gpt-4o-mini`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The sampling temperature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// The longest reply, in tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// The nucleus of sampling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Texts that end a reply.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<Vec<String>>,
    /// The seed of sampling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// How many completions to make; each is a call of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<u32>,
    /// Tells apart cached replies to one and the same request; never sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout_id: Option<i64>,
    /// Where the model is asked, where that is not where the program's is; never sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Box<LmEndpoint>>,
    /// Everything else, sent as it is.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

/// Where a model is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LmEndpoint {
    /// The base URL; the provider's own if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_base: Option<String>,
    /// The environment variable that holds the key; the provider's own if none. The key itself is
    /// never in a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key_env: Option<String>,
}

/// What a model answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LmReply {
    /// The text; `None` when the reply had no content.
    pub text: Option<String>,
    /// The reasoning, when the provider returns it apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// The calls of tools that the model asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// What the model quotes from the documents it was given, as the provider says it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub citations: Vec<Value>,
    /// Why the model stopped: `stop`, `length`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<String>,
    /// What the call used.
    pub usage: Usage,
    /// The model that answered, as the request named it.
    pub model: String,
    /// The model that answered, as its endpoint names it; of a reply that was just given.
    #[serde(skip)]
    pub served_by: Option<String>,
}

/// Tokens used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Tokens read.
    pub prompt_tokens: u64,
    /// Tokens written.
    pub completion_tokens: u64,
    /// Tokens together.
    pub total_tokens: u64,
    /// Those of the tokens read that the provider had in a cache of its own, and sells cheaper.
    #[serde(skip_serializing_if = "is_zero")]
    pub cached_tokens: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Message {
    /// A message of text.
    pub fn text(role: Role, text: String) -> Self {
        Self {
            role,
            tool_call_id: None,
            content: Value::String(text),
            tool_calls: Vec::new(),
            name: None,
        }
    }
}

impl LmSettings {
    /// Refuses what `dspy.LM(…)` itself refuses, in its words: a model without a name, and settings
    /// that OpenAI's reasoning models do not take.
    pub fn check(&self) -> Result<(), LmError> {
        self.check_for(self.model.as_deref())
    }

    /// The same for another model.
    pub(crate) fn check_for(&self, model: Option<&str>) -> Result<(), LmError> {
        let Some(model) = model else { return Ok(()) };
        if model.is_empty() {
            let text = "model must be a non-empty string";
            return Err(LmError::Configuration(text.to_owned()));
        }
        if model.split_once('/').is_some_and(|(_, rest)| rest.is_empty()) {
            let model = repr::string(model);
            return Err(LmError::Configuration(format!(
                "model {model} has a provider prefix but no model id after it"
            )));
        }
        reasoning_model::check(model, self.temperature, self.max_tokens)
    }

    /// These settings with `over` laid on top: what `over` says wins.
    #[must_use]
    pub fn overlaid(&self, over: &Self) -> Self {
        let mut extra = self.extra.clone();
        extra.extend(over.extra.clone());
        Self {
            model: over.model.clone().or_else(|| self.model.clone()),
            temperature: over.temperature.or(self.temperature),
            max_tokens: over.max_tokens.or(self.max_tokens),
            top_p: over.top_p.or(self.top_p),
            stop: over.stop.clone().or_else(|| self.stop.clone()),
            seed: over.seed.or(self.seed),
            n: over.n.or(self.n),
            rollout_id: over.rollout_id.or(self.rollout_id),
            endpoint: over.endpoint.clone().or_else(|| self.endpoint.clone()),
            extra,
        }
    }
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.prompt_tokens += other.prompt_tokens;
        self.completion_tokens += other.completion_tokens;
        self.total_tokens += other.total_tokens;
        self.cached_tokens += other.cached_tokens;
    }
}

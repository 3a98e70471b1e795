//! How the steps of an execution are kept with it until they are recorded. Every execution pays
//! for what is written here, so it is little: what spans show, under short names; times in whole
//! microseconds; outputs that are the execution's own by a mark; and by its name a text, or the
//! last paragraph of one, that came before.

use std::sync::Arc;

use dspy::{Fields, LmSettings, LmStep, Message, Role, Step, ToolCall, ToolStep};
use queue::{Queue, RawJson};
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::texts::Texts;

/// The longest trace that is kept, in bytes of JSON.
const BYTES_MAX: usize = 256 * 1024;

/// A step; [`super::steps::Step`] reads it.
#[derive(Serialize)]
#[serde(tag = "k", rename_all = "snake_case")]
enum Kept<'a> {
    Lm {
        #[serde(rename = "p")]
        predictor: &'a str,
        #[serde(rename = "a", skip_serializing_if = "str::is_empty")]
        adapter: &'a str,
        #[serde(rename = "q")]
        request: Request<'a>,
        #[serde(rename = "r", skip_serializing_if = "Option::is_none")]
        reply: Option<Reply<'a>>,
        #[serde(rename = "o", skip_serializing_if = "Option::is_none")]
        outputs: Option<&'a Fields>,
        #[serde(rename = "s", skip_serializing_if = "std::ops::Not::not")]
        is_result: bool,
        #[serde(rename = "e", skip_serializing_if = "Option::is_none")]
        error: Option<&'a str>,
        /// When rendering, the model and parsing began, and how long each took.
        #[serde(rename = "t")]
        micros: [u64; 6],
    },
    Tool {
        #[serde(rename = "p")]
        predictor: &'a str,
        #[serde(rename = "n")]
        name: &'a str,
        #[serde(rename = "g")]
        args: &'a Fields,
        #[serde(rename = "v", skip_serializing_if = "Option::is_none")]
        result: Option<&'a Value>,
        #[serde(rename = "e", skip_serializing_if = "Option::is_none")]
        error: Option<&'a str>,
        /// When it began, and how long it took.
        #[serde(rename = "t")]
        micros: [u64; 2],
    },
}

#[derive(Serialize)]
struct Request<'a> {
    #[serde(rename = "m")]
    messages: Vec<Told<'a>>,
    #[serde(rename = "s")]
    settings: &'a LmSettings,
}

/// Of a reply spans show its text.
#[derive(Serialize)]
struct Reply<'a> {
    text: Option<&'a str>,
}

/// A message, as it is in a debug trace but for its content.
#[derive(Serialize)]
struct Told<'a> {
    role: Role,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
    content: Content<'a>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tool_calls: &'a [ToolCall],
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

/// A content is a text, a list of objects, or null: so what stands for a text can be told apart.
enum Content<'a> {
    Whole(&'a Value),
    Named(Arc<RawJson>),
    /// A text whose last paragraph is named.
    Ended(&'a str, Arc<RawJson>),
}

impl Serialize for Content<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Whole(value) => value.serialize(serializer),
            Self::Named(name) => name.as_ref().serialize(serializer),
            Self::Ended(before, name) => (before, name.as_ref()).serialize(serializer),
        }
    }
}

/// The steps as they are kept, of an execution with that result; none if they are too long.
pub(super) async fn write(
    steps: &[Step],
    result: Option<&Fields>,
    texts: &Texts,
    queue: &dyn Queue,
) -> Option<RawJson> {
    let mut contents = Vec::new();
    for message in steps.iter().filter_map(Step::lm).flat_map(|it| &it.request.messages) {
        contents.push(content(&message.content, texts, queue).await);
    }
    let mut contents = contents.into_iter();
    let kept: Vec<_> = steps.iter().map(|it| Kept::of(it, result, &mut contents)).collect();
    RawJson::write(&kept).ok().filter(|it| it.size_bytes() <= BYTES_MAX)
}

async fn content<'a>(content: &'a Value, texts: &Texts, queue: &dyn Queue) -> Content<'a> {
    let Value::String(all) = content else { return Content::Whole(content) };
    if let Some(name) = texts.name(queue, all).await {
        return Content::Named(name);
    }
    // Adapters end what they ask with what they ask for: a paragraph that is always the same.
    let Some((before, last)) = all.rsplit_once("\n\n") else { return Content::Whole(content) };
    match texts.name(queue, last).await {
        Some(name) => Content::Ended(&all[..before.len() + 2], name),
        None => Content::Whole(content),
    }
}

impl<'a> Kept<'a> {
    fn of(
        step: &'a Step,
        result: Option<&Fields>,
        contents: &mut impl Iterator<Item = Content<'a>>,
    ) -> Self {
        match step {
            Step::Lm(step) => Self::call(step, result, contents),
            Step::Tool(step) => Self::tool(step),
        }
    }

    fn call(
        step: &'a LmStep,
        result: Option<&Fields>,
        contents: &mut impl Iterator<Item = Content<'a>>,
    ) -> Self {
        let messages = step.request.messages.iter().zip(contents);
        let messages = messages.map(|(it, content)| Told::of(it, content)).collect();
        let is_result = step.outputs.is_some() && step.outputs.as_ref() == result;
        Self::Lm {
            predictor: &step.predictor,
            adapter: &step.adapter,
            request: Request { messages, settings: &step.request.settings },
            reply: step.reply.as_ref().map(|it| Reply { text: it.text.as_deref() }),
            outputs: step.outputs.as_ref().filter(|_| !is_result),
            is_result,
            error: step.error.as_deref(),
            micros: [
                micros(step.render_at_ms),
                micros(step.render_ms),
                micros(step.lm_at_ms),
                micros(step.lm_ms),
                micros(step.parse_at_ms),
                micros(step.parse_ms),
            ],
        }
    }

    fn tool(step: &'a ToolStep) -> Self {
        Self::Tool {
            predictor: &step.predictor,
            name: &step.name,
            args: &step.args,
            result: step.result.as_ref(),
            error: step.error.as_deref(),
            micros: [micros(step.at_ms), micros(step.ms)],
        }
    }
}

impl<'a> Told<'a> {
    fn of(message: &'a Message, content: Content<'a>) -> Self {
        Self {
            role: message.role,
            tool_call_id: message.tool_call_id.as_deref(),
            content,
            tool_calls: &message.tool_calls,
            name: message.name.as_deref(),
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time, above 0")]
fn micros(ms: f64) -> u64 {
    (ms * 1000.0).round() as u64
}

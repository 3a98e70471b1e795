//! The span of a call of a model, by OpenTelemetry's conventions for generative AI: its settings,
//! and what came of it. What was said is in it only where the operator asks for that.
//!
//! Source of the names: <https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/>. Beyond
//! them, `dspyx.reply.source` tells who gave the reply, and `gen_ai.usage.cost` dollars.

use dspy::{LmError, LmReply, LmRequest};
use opentelemetry::{
    Array, KeyValue, StringValue, Value,
    trace::{SpanBuilder, SpanKind},
};

use super::{Child, Parent, content};

/// Settings that the engine does not name, by their names in the conventions.
const FURTHER: [(&str, &str); 3] = [
    ("frequency_penalty", "gen_ai.request.frequency_penalty"),
    ("presence_penalty", "gen_ai.request.presence_penalty"),
    ("top_k", "gen_ai.request.top_k"),
];

/// The span of a call that is being made.
pub(crate) struct ModelSpan {
    span: Child,
    /// Whether what is said is shown.
    content: bool,
}

/// Who is asked for what.
pub(crate) struct Asked<'a> {
    /// The model, with its provider's prefix.
    pub(crate) model: &'a str,
    /// The host and the port of the endpoint; none if the model is not behind one.
    pub(crate) server: Option<(String, u16)>,
    /// What it is asked.
    pub(crate) work: Work<'a>,
}

/// What a model is asked for.
#[derive(Clone, Copy)]
pub(crate) enum Work<'a> {
    /// The next message.
    Chat(&'a LmRequest),
    /// The vectors of texts, which no span shows.
    Embeddings,
}

impl ModelSpan {
    /// Begins it.
    pub(crate) fn begin(parent: Parent<'_>, asked: Asked<'_>) -> Self {
        let (chat, operation) = match asked.work {
            Work::Chat(request) => (Some(request), "chat"),
            Work::Embeddings => (None, "embeddings"),
        };
        let (provider, model) = asked.model.split_once('/').unwrap_or(("openai", asked.model));
        let mut attributes = chat.map(settings).unwrap_or_default();
        attributes.push(KeyValue::new("gen_ai.operation.name", operation));
        attributes.push(KeyValue::new("gen_ai.provider.name", provider_name(provider)));
        attributes.push(KeyValue::new("gen_ai.request.model", model.to_owned()));
        if let Some((host, port)) = asked.server {
            attributes.push(KeyValue::new("server.address", host));
            attributes.push(KeyValue::new("server.port", i64::from(port)));
        }
        let shown = chat.filter(|_| parent.spans.content);
        if let Some(request) = shown {
            let messages = content::input(&request.messages);
            attributes.push(KeyValue::new("gen_ai.input.messages", messages));
        }
        let builder = SpanBuilder::from_name(format!("{operation} {model}"))
            .with_kind(SpanKind::Client)
            .with_attributes(attributes);
        Self { span: parent.begin(builder), content: shown.is_some() }
    }

    /// Ends it with a reply, who gave it, and what it cost in dollars if that is known.
    pub(crate) fn answered(mut self, reply: &LmReply, source: &'static str, cost: Option<f64>) {
        let span = &mut self.span;
        span.add(KeyValue::new("dspyx.reply.source", source));
        if let Some(reason) = &reply.finish_reason {
            span.add(KeyValue::new("gen_ai.response.finish_reasons", list([reason])));
        }
        if let Some(model) = &reply.served_by {
            span.add(KeyValue::new("gen_ai.response.model", model.clone()));
        }
        if reply.usage.total_tokens > 0 {
            let (read, written) = (reply.usage.prompt_tokens, reply.usage.completion_tokens);
            span.add(KeyValue::new("gen_ai.usage.input_tokens", whole(read)));
            if written > 0 {
                span.add(KeyValue::new("gen_ai.usage.output_tokens", whole(written)));
            }
            if reply.usage.cached_tokens > 0 {
                let cached = whole(reply.usage.cached_tokens);
                span.add(KeyValue::new("gen_ai.usage.cache_read.input_tokens", cached));
            }
        }
        if let Some(cost) = cost {
            span.add(KeyValue::new("gen_ai.usage.cost", cost));
        }
        if self.content {
            span.add(KeyValue::new("gen_ai.output.messages", content::output(reply)));
        }
        self.span.end();
    }

    /// Ends it without a reply.
    pub(crate) fn failed(mut self, error: &LmError) {
        self.span.fail(error.code());
        self.span.end();
    }
}

fn settings(request: &LmRequest) -> Vec<KeyValue> {
    let it = &request.settings;
    let further = FURTHER
        .iter()
        .filter_map(|(ours, theirs)| Some(KeyValue::new(*theirs, it.extra.get(*ours)?.as_f64()?)));
    let named = [
        it.temperature.map(|it| KeyValue::new("gen_ai.request.temperature", it)),
        it.top_p.map(|it| KeyValue::new("gen_ai.request.top_p", it)),
        it.max_tokens.map(|it| KeyValue::new("gen_ai.request.max_tokens", whole(it))),
        it.seed.map(|it| KeyValue::new("gen_ai.request.seed", it)),
        it.stop.as_ref().map(|it| KeyValue::new("gen_ai.request.stop_sequences", list(it))),
        request.response_format.as_ref().map(|_| KeyValue::new("gen_ai.output.type", "json")),
    ];
    named.into_iter().flatten().chain(further).collect()
}

/// The conventions' name for a provider, where they have one.
fn provider_name(prefix: &str) -> String {
    let known = match prefix {
        "azure" => "azure.ai.openai",
        "gemini" => "gcp.gemini",
        "xai" => "x_ai",
        "mistral" => "mistral_ai",
        other => other,
    };
    known.to_owned()
}

fn list<'a>(texts: impl IntoIterator<Item = &'a String>) -> Value {
    Value::Array(Array::String(texts.into_iter().cloned().map(StringValue::from).collect()))
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

//! A reply that comes in pieces, as server-sent events, put together as one that comes whole.
//!
//! The format is OpenAI's: events with `chat.completion.chunk` objects, and `[DONE]` at the end.
//! Who listens hears the texts as they come; what is accounted for and read is the whole reply.

use std::time::Duration;

use dspy::{Growth, Listener, LmError, LmReply};
use reqwest::{Response, header::CONTENT_TYPE};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time;

use super::{
    client::failed,
    reply::{self, Choice, Completion, Message, Tokens},
};

/// How much longer than its reply a stream may be: the frame around a token of a few bytes.
const OVERHEAD: usize = 200;

/// The most calls of tools in a reply.
const CALLS_MAX: usize = 1000;

/// How long to wait for the end of a stream that has said it is over, to use its connection again.
const END_WAIT: Duration = Duration::from_millis(100);

/// What makes a request one for a stream: before the brace that ends its body.
const ASKING: &[u8] = br#","stream":true,"stream_options":{"include_usage":true}}"#;

/// The body of a request, as one for a stream.
pub(super) fn asking(mut body: Vec<u8>) -> Vec<u8> {
    body.pop();
    body.extend_from_slice(ASKING);
    body
}

/// Whether an answer is a stream. Endpoints that have none answer plainly.
pub(super) fn is_stream(response: &Response) -> bool {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
    kind.is_some_and(|it| it.trim_start().starts_with("text/event-stream"))
}

/// Reads a stream to its end.
pub(super) async fn read(
    mut response: Response,
    model: &str,
    bytes_max: usize,
    listener: &Listener<'_>,
) -> Result<LmReply, LmError> {
    let mut events = Events::new(bytes_max);
    let mut partial = Partial::new(bytes_max);
    while let Some(bytes) = response.chunk().await.map_err(|error| failed(&error))? {
        for event in events.push(&bytes)? {
            partial.take(&event, listener)?;
        }
        if partial.is_over {
            drop(time::timeout(END_WAIT, response.chunk()).await);
            break;
        }
    }
    if let Some(event) = events.end() {
        partial.take(&event, listener)?;
    }
    partial.close(model)
}

/// The data of server-sent events, out of bytes cut anywhere.
struct Events {
    rest: Vec<u8>,
    data: String,
    bytes_left: usize,
    bytes_max: usize,
}

impl Events {
    fn new(bytes_max: usize) -> Self {
        let bytes_left = bytes_max.saturating_mul(OVERHEAD);
        Self { rest: Vec::new(), data: String::new(), bytes_left, bytes_max }
    }

    /// The data of the events that these bytes complete.
    fn push(&mut self, bytes: &[u8]) -> Result<Vec<String>, LmError> {
        self.bytes_left =
            self.bytes_left.checked_sub(bytes.len()).ok_or_else(|| too_long(self.bytes_max))?;
        self.rest.extend_from_slice(bytes);
        let mut whole = Vec::new();
        let mut start = 0;
        while let Some(length) = self.rest[start..].iter().position(|it| *it == b'\n') {
            let line = String::from_utf8_lossy(&self.rest[start..start + length]).into_owned();
            start += length + 1;
            whole.extend(self.line(line.trim_end_matches('\r')));
        }
        self.rest.drain(..start);
        if self.rest.len() + self.data.len() > self.bytes_max {
            return Err(too_long(self.bytes_max));
        }
        Ok(whole)
    }

    fn line(&mut self, line: &str) -> Option<String> {
        if let Some(data) = line.strip_prefix("data:") {
            if !self.data.is_empty() {
                self.data.push('\n');
            }
            self.data.push_str(data.strip_prefix(' ').unwrap_or(data));
        }
        let is_end = line.is_empty() && !self.data.is_empty();
        is_end.then(|| std::mem::take(&mut self.data))
    }

    /// The data of an event that nothing ends.
    fn end(mut self) -> Option<String> {
        let rest = String::from_utf8_lossy(&std::mem::take(&mut self.rest)).into_owned();
        self.line(&rest);
        Some(self.data).filter(|it| !it.is_empty())
    }
}

fn too_long(bytes_max: usize) -> LmError {
    LmError::InvalidResponse(format!("the model's answer is longer than {bytes_max} bytes"))
}

/// A piece of a reply.
#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Piece>,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    usage: Option<Tokens>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Piece {
    #[serde(default)]
    index: u64,
    #[serde(default)]
    delta: Option<Message>,
    #[serde(default)]
    finish_reason: Option<String>,
}

/// A reply as far as it has come.
#[derive(Default)]
struct Partial {
    bytes_max: usize,
    bytes: usize,
    text: Option<String>,
    reasoning: String,
    calls: Vec<Map<String, Value>>,
    citations: Vec<Value>,
    finish_reason: Option<String>,
    model: Option<String>,
    usage: Option<Tokens>,
    /// Whether anything came.
    is_begun: bool,
    is_over: bool,
}

impl Partial {
    fn new(bytes_max: usize) -> Self {
        Self { bytes_max, ..Self::default() }
    }

    /// Notes that it gets longer by so much.
    fn lengthen(&mut self, bytes: usize) -> Result<(), LmError> {
        self.bytes += bytes;
        if self.bytes > self.bytes_max { Err(too_long(self.bytes_max)) } else { Ok(()) }
    }

    fn take(&mut self, event: &str, listener: &Listener<'_>) -> Result<(), LmError> {
        if event.trim() == "[DONE]" {
            self.is_over = true;
            return Ok(());
        }
        let chunk: Chunk = serde_json::from_str(event)
            .map_err(|error| reply::no_completion(&error, event.as_bytes()))?;
        if let Some(error) = chunk.error.filter(|it| !it.is_null()) {
            return Err(reply::inner_error(&error));
        }
        self.usage = chunk.usage.or(self.usage.take());
        self.model = chunk.model.or(self.model.take());
        for piece in chunk.choices {
            if piece.index > 0 {
                return Err(reply::not_one_choice());
            }
            self.is_begun = true;
            self.finish_reason = piece.finish_reason.or(self.finish_reason.take());
            if let Some(delta) = piece.delta {
                self.grow(delta, listener)?;
            }
        }
        Ok(())
    }

    fn grow(&mut self, delta: Message, listener: &Listener<'_>) -> Result<(), LmError> {
        let reasoning = delta.reasoning_content.or(delta.reasoning).unwrap_or_default();
        self.lengthen(reasoning.len())?;
        if !reasoning.is_empty() {
            listener.hear(Growth::Reasoning(&reasoning));
            self.reasoning.push_str(&reasoning);
        }
        if let Some(text) = reply::text(delta.content)? {
            self.lengthen(text.len())?;
            listener.hear(Growth::Text(&text));
            self.text.get_or_insert_default().push_str(&text);
        }
        for call in delta.tool_calls.into_iter().flatten() {
            for name in ["name", "arguments"] {
                self.lengthen(call["function"][name].as_str().map_or(0, str::len))?;
            }
            self.grow_call(&call)?;
        }
        self.citations.extend(reply::citations(delta.provider_specific_fields.as_ref()));
        Ok(())
    }

    /// Takes a piece of a call of a tool. Some endpoints do not say of which, and send calls whole.
    fn grow_call(&mut self, piece: &Value) -> Result<(), LmError> {
        let last = self.calls.len().saturating_sub(1);
        let is_new = piece["function"]["name"].is_string();
        let index = piece["index"].as_u64().and_then(|it| usize::try_from(it).ok());
        let index = index.unwrap_or(if is_new { self.calls.len() } else { last });
        if index >= CALLS_MAX {
            let text = format!("the model's answer calls more than {CALLS_MAX} tools");
            return Err(LmError::InvalidResponse(text));
        }
        if self.calls.len() <= index {
            self.calls.resize_with(index + 1, Map::new);
        }
        let call = &mut self.calls[index];
        for name in ["id", "type"] {
            if let Some(text) = piece[name].as_str().filter(|it| !it.is_empty()) {
                call.insert(name.to_owned(), text.into());
            }
        }
        let function = call.entry("function").or_insert_with(|| json!({}));
        for name in ["name", "arguments"] {
            match (piece["function"][name].as_str(), &mut function[name]) {
                // In its place: a long text comes in many pieces.
                (Some(more), Value::String(text)) => text.push_str(more),
                (Some(more), empty) => *empty = more.into(),
                (None, _) => {}
            }
        }
        Ok(())
    }

    /// The whole reply, read as one that came so. A stream that breaks off has no end.
    fn close(self, model: &str) -> Result<LmReply, LmError> {
        if !self.is_over && self.finish_reason.is_none() {
            let text = "the model's answer broke off before its end";
            return Err(LmError::Transport(text.to_owned()));
        }
        let calls: Vec<_> = self.calls.into_iter().map(Value::Object).collect();
        // Some begin with an empty text where a whole reply would have none.
        let text = self.text.filter(|it| !it.is_empty() || calls.is_empty());
        let message = Message {
            content: text.map(Value::String),
            reasoning_content: Some(self.reasoning),
            reasoning: None,
            tool_calls: Some(calls),
            provider_specific_fields: Some(json!({ "citations": self.citations })),
        };
        let choice = Choice { message: Some(message), finish_reason: self.finish_reason };
        let choices = if self.is_begun { vec![choice] } else { Vec::new() };
        let (answerer, usage) = (self.model, self.usage);
        reply::of(Completion { choices, model: answerer, usage, error: None }, model)
    }
}

#[cfg(test)]
mod tests {
    use dspy::{Asker, Progress};

    use super::*;

    const LIMIT: usize = 4096;

    /// The reply of a stream that comes in pieces of so many bytes.
    fn assembled(stream: &str, size: usize) -> Result<LmReply, LmError> {
        let progress = Progress::new(|_| {});
        let listener = Listener::new(&progress, Asker::default());
        let (mut events, mut partial) = (Events::new(LIMIT), Partial::new(LIMIT));
        for bytes in stream.as_bytes().chunks(size) {
            for event in events.push(bytes)? {
                partial.take(&event, &listener)?;
            }
        }
        if let Some(event) = events.end() {
            partial.take(&event, &listener)?;
        }
        partial.close("openai/m")
    }

    fn stream(chunks: &[Value]) -> String {
        chunks.iter().map(|it| format!("data: {it}\n\n")).collect::<Vec<_>>().concat()
    }

    fn delta(delta: &Value) -> Value {
        json!({"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta}]})
    }

    fn finish(reason: &str) -> Value {
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
    }

    #[test]
    fn a_streamed_reply_is_the_same_as_a_whole_one() {
        let call = |it: Value| delta(&json!({"tool_calls": [it]}));
        let usage = json!({"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12});
        let chunks = [
            delta(&json!({"role": "assistant", "content": "", "reasoning_content": "hm"})),
            delta(&json!({"content": "grü", "reasoning_content": ", so"})),
            delta(&json!({"content": "ße"})),
            call(json!({"index": 0, "id": "c1", "type": "function",
                "function": {"name": "search", "arguments": ""}})),
            call(json!({"index": 0, "function": {"arguments": "{\"q\""}})),
            call(json!({"index": 0, "function": {"arguments": ": 1}"}})),
            call(json!({"index": 1, "id": "c2", "function": {"name": "stop", "arguments": "{}"}})),
            finish("tool_calls"),
            json!({"choices": [], "usage": usage}),
        ];
        let text = format!(": hello\n\n{}data: [DONE]\n\n", stream(&chunks));
        let whole = json!({"choices": [{"finish_reason": "tool_calls", "message": {
            "content": "grüße", "reasoning_content": "hm, so", "tool_calls": [
                {"id": "c1", "type": "function",
                    "function": {"name": "search", "arguments": "{\"q\": 1}"}},
                {"id": "c2", "type": "function", "function": {"name": "stop", "arguments": "{}"}},
            ]}}], "usage": usage});
        let whole = reply::read(whole.to_string().as_bytes(), "openai/m").unwrap();

        for size in [1, 2, 3, 7, 64, 100_000] {
            assert_eq!(assembled(&text, size).unwrap(), whole, "in pieces of {size}");
            let windows = text.replace('\n', "\r\n");
            assert_eq!(assembled(&windows, size).unwrap(), whole, "in pieces of {size}");
        }
    }

    #[test]
    fn calls_that_come_whole_and_without_a_number_are_apart() {
        let call = |name: &str| {
            let function = json!({"name": name, "arguments": "{}"});
            delta(&json!({"tool_calls": [{"function": function}]}))
        };
        let reply = assembled(&stream(&[call("a"), call("b"), finish("stop")]), 9).unwrap();

        let names: Vec<_> = reply.tool_calls.iter().map(|it| &*it.name).collect();
        assert_eq!((names, reply.text), (vec!["a", "b"], None));
    }

    #[test]
    fn a_stream_without_an_end_is_a_lost_connection() {
        let text = delta(&json!({"content": "half"}));
        let done = "data: [DONE]\n\n";

        let broken = assembled(&stream(std::slice::from_ref(&text)), 8).unwrap_err();
        assert!(broken.is_retryable() && broken.code() == "transport", "{broken:?}");
        assert_eq!(assembled("", 8).unwrap_err().code(), "transport");
        let ended = assembled(&(stream(std::slice::from_ref(&text)) + done), 8).unwrap();
        assert_eq!(ended.text.as_deref(), Some("half"));
        let unterminated = stream(&[text, finish("stop")]);
        assert_eq!(assembled(unterminated.trim_end(), 8).unwrap().text.as_deref(), Some("half"));
    }

    #[test]
    fn what_is_no_stream_of_a_reply_is_refused_in_words() {
        let two = json!({"choices": [{"index": 1, "delta": {"content": "b"}}]});
        let slow = json!({"error": {"code": 429, "message": "slow down"}});
        let long = delta(&json!({"content": "x".repeat(LIMIT)}));
        let cases = [
            ("data: <html>\n\n".to_owned(), "provider"),
            ("data: [DONE]\n\n".to_owned(), "provider"),
            (stream(&[two]), "provider"),
            (stream(&[delta(&json!({"content": "a"})), slow]), "rate_limit"),
            (format!("event: error\n{}", stream(&[json!({"error": "broken"})])), "server"),
            (stream(&[long]), "provider"),
        ];
        for (text, code) in cases {
            assert_eq!(assembled(&text, 50).unwrap_err().code(), code, "{text:.60}");
        }
    }

    #[test]
    fn a_request_for_a_stream_is_the_same_but_for_that() {
        let body: Value = serde_json::from_slice(&asking(br#"{"model":"m"}"#.to_vec())).unwrap();

        let options = json!({"include_usage": true});
        assert_eq!(body, json!({"model": "m", "stream": true, "stream_options": options}));
    }
}

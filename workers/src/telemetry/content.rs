//! What models and tools are told and say, as attributes of spans: in the JSON that OpenTelemetry's
//! conventions for generative AI describe, and never longer than a span should be.
//!
//! Source: <https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/>, "Capturing
//! instructions, inputs, and outputs".

use dspy::{LmReply, Message, Role, ToolCall};
use serde::Serialize;
use serde_json::{Value, json};

/// The longest text of one part of a message.
const PART_CHARS_MAX: usize = 16_384;

/// The messages of a request.
pub(super) fn input(messages: &[Message]) -> String {
    let message = |it: &Message| json!({ "role": role(it.role), "parts": parts(it) });
    messages.iter().map(message).collect::<Value>().to_string()
}

/// The one message of a reply.
pub(super) fn output(reply: &LmReply) -> String {
    let reasoning = reply.reasoning.iter().map(|it| part("reasoning", it));
    let said = reply.text.iter().map(|it| part("text", it));
    let parts: Vec<Value> = reasoning.chain(said).chain(calls(&reply.tool_calls)).collect();
    let reason = reply.finish_reason.as_deref().unwrap_or_default();
    json!([{ "role": "assistant", "parts": parts, "finish_reason": reason }]).to_string()
}

/// What a tool is given, or gives.
pub(super) fn tool(value: &impl Serialize) -> String {
    cut(&serde_json::to_string(value).unwrap_or_default())
}

fn parts(message: &Message) -> Vec<Value> {
    if let Some(id) = &message.tool_call_id {
        let response = message.content.as_str().map_or(Value::Null, |it| cut(it).into());
        return vec![json!({ "type": "tool_call_response", "id": id, "response": response })];
    }
    let said = match &message.content {
        Value::String(text) => vec![part("text", text)],
        Value::Array(parts) => parts.iter().map(shown).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    };
    said.into_iter().chain(calls(&message.tool_calls)).collect()
}

/// A part of a message of the OpenAI protocol; of pictures and the like that there is one.
fn shown(it: &Value) -> Value {
    match it["text"].as_str() {
        Some(text) => part("text", text),
        None => json!({ "type": it["type"] }),
    }
}

fn calls(calls: &[ToolCall]) -> impl Iterator<Item = Value> {
    calls.iter().map(
        |it| json!({ "type": "tool_call", "id": it.id, "name": it.name, "arguments": it.args }),
    )
}

fn part(kind: &str, text: &str) -> Value {
    json!({ "type": kind, "content": cut(text) })
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(PART_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn messages_have_parts() {
        let picture = json!([
            { "type": "text", "text": "what is it?" },
            { "type": "image_url", "image_url": { "url": "data:image/png;base64,AAAA" } },
        ]);
        let asked = Message { content: picture, ..Message::text(Role::User, String::new()) };
        let answered = Message {
            tool_call_id: Some("c1".to_owned()),
            ..Message::text(Role::Tool, "found".to_owned())
        };

        let shown = read(&input(&[asked, answered]));

        let parts = json!([{ "type": "text", "content": "what is it?" }, { "type": "image_url" }]);
        assert_eq!(shown[0], json!({ "role": "user", "parts": parts }));
        let part = json!({ "type": "tool_call_response", "id": "c1", "response": "found" });
        assert_eq!(shown[1]["parts"], json!([part]));
    }

    #[test]
    fn a_reply_shows_its_calls() {
        let args = json!({ "q": "rust" }).as_object().unwrap().clone();
        let call = ToolCall { id: "c1".to_owned(), name: "search".to_owned(), args };
        let reply = LmReply {
            tool_calls: vec![call],
            finish_reason: Some("tool_calls".to_owned()),
            ..LmReply::default()
        };

        let shown = read(&output(&reply));

        assert_eq!(shown[0]["finish_reason"], "tool_calls");
        assert_eq!(shown[0]["parts"][0]["arguments"], json!({ "q": "rust" }));
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let text = "ü".repeat(PART_CHARS_MAX + 1);

        let shown = cut(&text);

        assert_eq!(shown.chars().count(), PART_CHARS_MAX + 1);
        assert!(shown.ends_with("ü…"));
    }
}

//! Parts of a message that stand in its text between markers: images, audio, files, documents.
//!
//! DSPy writes such a value as JSON between markers into the text, and takes it out again when the
//! whole message is written. Who writes the markers into an input has them taken for parts, too.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a value of any other of JSON's types goes one and the same way"
)]

use serde_json::{Value, json};

use crate::{
    Message, Role, json_repair,
    python::{object::Object, repr},
    types::dspy_value::{MARKER_END, MARKER_START},
};

/// Makes parts of the markers in a user's message.
pub(super) fn expand(message: &mut Message) {
    let Some(text) = message.content.as_str().filter(|_| message.role == Role::User) else {
        return;
    };
    if !text.contains(MARKER_START) {
        return;
    }
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, marked)) = rest.split_once(MARKER_START) {
        let Some((payload, after)) = marked.split_once(MARKER_END) else { break };
        put_text(&mut parts, before);
        parts.extend(blocks(payload.trim_matches(crate::python::text::is_space)));
        rest = after;
    }
    put_text(&mut parts, rest);
    message.content = match parts.as_slice() {
        // Its client writes a text that is alone as a text.
        [only] if only["type"] == "text" => only["text"].clone(),
        _ => Value::Array(parts),
    };
}

fn put_text(parts: &mut Vec<Value>, text: &str) {
    if !text.is_empty() {
        parts.push(json!({"type": "text", "text": text}));
    }
}

/// The parts that a payload holds; a payload that is no list is text.
fn blocks(payload: &str) -> Vec<Value> {
    let Some(Value::Array(items)) = parsed(payload) else {
        return vec![json!({"type": "text", "text": payload})];
    };
    let block = |item: Value| match item {
        Value::Object(_) => item,
        other => json!({"type": "text", "text": repr::str(&Object::from(&other))}),
    };
    items.into_iter().map(block).collect()
}

/// JSON, or JSON within a string of JSON, or what can be made of it.
fn parsed(payload: &str) -> Option<Value> {
    let twice = || {
        let inner: String = serde_json::from_str(&format!("\"{payload}\"")).ok()?;
        serde_json::from_str(&inner).ok()
    };
    let repaired = || json_repair::loads(payload).ok().map(Object::into_json);
    serde_json::from_str(payload).ok().or_else(twice).or_else(repaired)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Value {
        let text = text.replace('‹', MARKER_START).replace('›', MARKER_END);
        let mut message = Message::text(Role::User, text);
        expand(&mut message);
        message.content
    }

    #[test]
    fn markers_become_parts_and_the_rest_stays_text() {
        let image = json!({"type": "image_url", "image_url": {"url": "u"}});
        let text = |it: &str| json!({"type": "text", "text": it});
        let payload = image.to_string();

        assert_eq!(expanded("a"), "a");
        assert_eq!(expanded(&format!("a‹[{payload}]›b")), json!([text("a"), image, text("b")]));
        assert_eq!(expanded(&format!("‹[{payload}]›")), json!([image]));
        let twice = payload.replace('"', "\\\"");
        assert_eq!(
            expanded(&format!("[\"‹[{twice}]›\"]")),
            json!([text("[\""), image, text("\"]")])
        );
        assert_eq!(expanded("‹[1, null]›"), json!([text("1"), text("None")]));
        assert_eq!(expanded("x‹{}›"), json!([text("x"), text("{}")]));
        assert_eq!(expanded("x‹ y"), format!("x{MARKER_START} y"));
    }
}

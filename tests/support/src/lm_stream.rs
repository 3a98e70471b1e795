//! An answer of a model's endpoint as server-sent events, whole or broken in the middle.

use serde_json::{Value, json};

/// Characters of a piece.
const PIECE_CHARS: usize = 4;

/// What happens when half of a stream has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Midway {
    /// It goes on.
    GoesOn,
    /// It goes on when the gate is opened.
    Gate,
    /// The connection is cut.
    Cut,
    /// It ends as if it were whole, but for its end.
    Ends,
    /// An error is told.
    Error,
    /// Something that is no piece of a reply.
    Garbage,
    /// Nothing more comes.
    Stall,
}

/// What is sent before and after the middle.
pub(crate) struct Halves {
    pub(crate) first: String,
    pub(crate) second: String,
}

impl Halves {
    /// A text as a stream of pieces.
    pub(crate) fn of(model: &Value, text: &str, midway: Midway) -> Self {
        let chars: Vec<char> = text.chars().collect();
        let pieces = chars.chunks(PIECE_CHARS).map(|it| it.iter().collect::<String>());
        let events: Vec<String> =
            pieces.map(|it| event(model, &json!({ "content": it }), &Value::Null)).collect();
        let (first, second) = events.split_at(events.len() / 2);
        let head = "HTTP/1.1 200 Stub\r\ncontent-type: text/event-stream\r\n\
                    transfer-encoding: chunked\r\n\r\n";
        let role = event(model, &json!({ "role": "assistant", "content": "" }), &Value::Null);
        let usage = json!({ "prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12 });
        let usage = json!({ "object": "chat.completion.chunk", "choices": [], "usage": usage });
        let rest = second.concat() + &event(model, &json!({}), &json!("stop"));
        let second = match midway {
            Midway::GoesOn | Midway::Gate => rest + &format!("data: {usage}\n\ndata: [DONE]\n\n"),
            Midway::Error => "data: {\"error\": {\"message\": \"out of order\"}}\n\n".to_owned(),
            Midway::Garbage => "data: <html>\n\n".to_owned(),
            Midway::Cut | Midway::Ends | Midway::Stall => String::new(),
        };
        let end = if midway == Midway::Cut { "" } else { "0\r\n\r\n" };
        let first = format!("{head}{}", chunk(&(role + &first.concat())));
        Self { first, second: chunk(&second) + end }
    }
}

fn event(model: &Value, delta: &Value, finish_reason: &Value) -> String {
    let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish_reason });
    let object = "chat.completion.chunk";
    format!("data: {}\n\n", json!({ "object": object, "model": model, "choices": [choice] }))
}

fn chunk(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{:x}\r\n{text}\r\n", text.len()) }
}

//! A conversation so far, as the messages that it was: DSPy's `History`.

use serde_json::Value;

use super::{Format, render};
use crate::{
    Definitions, DspyType, Field, Fields, Message, Role, Signature, ToolCall, Type,
    python::{json, object::Object},
    types::{Looked, validate},
};

/// The input that holds a history.
pub(super) fn field(signature: &Signature) -> Option<&Field> {
    signature.inputs.iter().find(|it| it.ty == Type::Dspy(DspyType::History))
}

/// The turns of a history that is given. `signature` is the one without the history.
pub(super) fn turns(
    format: Format,
    signature: &Signature,
    history: Option<&Value>,
    is_native: bool,
) -> Vec<Message> {
    let turns = history.and_then(|it| it["messages"].as_array());
    let mut messages = Vec::new();
    for turn in turns.into_iter().flatten().filter_map(Value::as_object) {
        // The ids of calls are not shown, so that they are taken from what was given.
        let calls = Calls::of(turn);
        let values = &render::typed(signature, turn, Looked::Own);
        Turn { format, signature, values, calls }.put(&mut messages, is_native);
    }
    messages
}

/// One turn: the values of its fields.
struct Turn<'a> {
    format: Format,
    signature: &'a Signature,
    values: &'a Fields,
    calls: Option<Calls>,
}

/// The calls of tools that a turn made.
struct Calls {
    field: String,
    /// As the package holds them: id, name and arguments.
    made: Vec<Fields>,
    /// What the tools gave: which call, which tool, what.
    results: Option<Vec<Fields>>,
}

impl Calls {
    /// Those under the first name that holds calls.
    fn of(turn: &Fields) -> Option<Self> {
        let (field, value) = turn.iter().find(|(_, it)| it.get("tool_calls").is_some())?;
        let made = made(DspyType::ToolCalls, value)?;
        let results = made.get("tool_call_results").filter(|it| !it.is_null());
        let results = results.and_then(|it| made_list(DspyType::ToolCallResults, it));
        Some(Self { field: field.clone(), made: dicts(&made, "tool_calls"), results })
    }

    /// Whether each call has its result, in order, so that a provider can tell which is whose.
    fn are_answered(&self) -> bool {
        let ids = |dicts: &[Fields], name: &str| -> Vec<Value> {
            dicts.iter().map(|it| it.get(name).cloned().unwrap_or_default()).collect()
        };
        let calls = ids(&self.made, "id");
        let is_set = |it: &Value| it.as_str().is_some_and(|it| !it.is_empty());
        let results = self.results.as_deref().map(|it| ids(it, "call_id"));
        results.is_some_and(|it| it == calls) && calls.iter().all(is_set)
    }

    fn asked(&self) -> Vec<ToolCall> {
        let call = |it: &Fields| ToolCall {
            id: text(it, "id"),
            name: text(it, "name"),
            args: it.get("args").and_then(Value::as_object).cloned().unwrap_or_default(),
        };
        self.made.iter().map(call).collect()
    }
}

fn made(ty: DspyType, value: &Value) -> Option<Value> {
    let made = validate(&Type::Dspy(ty), value.into(), &Definitions::default());
    made.ok().map(Object::into_json)
}

fn made_list(ty: DspyType, value: &Value) -> Option<Vec<Fields>> {
    made(ty, value).map(|it| dicts(&it, "tool_call_results"))
}

fn dicts(value: &Value, name: &str) -> Vec<Fields> {
    let items = value[name].as_array().into_iter().flatten();
    items.filter_map(Value::as_object).cloned().collect()
}

fn text(fields: &Fields, name: &str) -> String {
    fields.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

impl Turn<'_> {
    fn put(&self, messages: &mut Vec<Message>, is_native: bool) {
        let has_input = self.signature.inputs.iter().any(|it| self.values.contains_key(&it.name));
        let question = render::user(self.format, self.signature, self.values, "", has_input);
        if !question.is_empty() {
            messages.push(Message::text(Role::User, question));
        }
        match &self.calls {
            Some(calls) if is_native => self.put_native(calls, messages),
            calls => self.put_text(calls.as_ref(), messages),
        }
    }

    /// The calls and their results as messages of their own.
    fn put_native(&self, calls: &Calls, messages: &mut Vec<Message>) {
        let is_said = |field: &&Field| {
            field.ty != Type::Dspy(DspyType::ToolCalls)
                && self.values.get(&field.name).is_some_and(|it| !it.is_null())
        };
        let outputs: Vec<_> = self.signature.outputs.iter().filter(is_said).cloned().collect();
        let said = if outputs.is_empty() {
            String::new()
        } else {
            let signature = Signature { outputs, ..self.signature.clone() };
            render::assistant(self.format, &signature, self.values, None)
        };
        let is_answered = calls.are_answered();
        if said.is_empty() && !is_answered {
            return;
        }
        let mut message = Message::text(Role::Assistant, said);
        if is_answered {
            message.tool_calls = calls.asked();
        }
        // Nothing at all is sent as an empty text.
        if message.content == "" && !message.tool_calls.is_empty() {
            message.content = Value::Null;
        }
        messages.push(message);
        let results = calls.results.iter().flatten().filter(|_| is_answered);
        messages.extend(results.map(|result| {
            let content = match result.get("value") {
                Some(Value::String(text)) => text.clone(),
                other => json::dumps(other.unwrap_or(&Value::Null)),
            };
            Message {
                tool_call_id: Some(text(result, "call_id")),
                name: Some(text(result, "name")),
                ..Message::text(Role::Tool, content)
            }
        }));
    }

    /// The calls in the answer, their results as a question.
    fn put_text(&self, calls: Option<&Calls>, messages: &mut Vec<Message>) {
        let results = calls.and_then(|it| it.results.as_ref().map(|results| (it, results)));
        let mut values = self.values.clone();
        if let Some((calls, _)) = results
            && let Some(Value::Object(held)) = values.get_mut(&calls.field)
        {
            held.shift_remove("tool_call_results");
        }
        let answer = render::assistant(self.format, self.signature, &values, None);
        if !answer.is_empty() {
            messages.push(Message::text(Role::Assistant, answer));
        }
        if let Some((_, results)) = results {
            let name = "tool_call_results";
            let field = Field::new(name, Type::Dspy(DspyType::ToolCallResults));
            let signature = Signature::new("StringSignature", "", vec![field], Vec::new());
            let mut given = Fields::new();
            given.insert(name.to_owned(), serde_json::json!({ name: results }));
            let content = render::user(self.format, &signature, &given, "", false);
            messages.push(Message::text(Role::User, content));
        }
    }
}

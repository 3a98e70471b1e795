//! DSPy's `JSONAdapter`: the answer is one JSON object.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a value of any other of Python's types goes one and the same way"
)]

use serde_json::{Map, Value};

use super::{Format, Found, chat::INTRODUCTION, describe, render::sections, value};
use crate::{
    Field, ParseError, Signature, Uncaught, json_repair,
    python::{
        json::dumps_indented,
        object::{Dict, Object},
        text::strip,
    },
};

/// The structure of a conversation.
pub(super) fn structure(signature: &Signature) -> String {
    let inputs = signature.inputs.iter().map(|it| (it.name.as_str(), describe::input_place(it)));
    let inputs = sections(inputs);
    let place = |it: &Field| {
        let place = describe::output_place(it, &signature.types);
        (it.name.clone(), Value::String(place))
    };
    let outputs: Map<_, _> = signature.outputs.iter().map(place).collect();
    let parts = [
        INTRODUCTION,
        "Inputs will have the following structure:",
        &inputs,
        "Outputs will be a JSON object with the following fields.",
        &dumps_indented(&Value::Object(outputs)),
    ];
    strip(&parts.join("\n\n")).to_owned()
}

/// What the last message says about the answer.
pub(super) fn reminder(signature: &Signature) -> String {
    let fields = signature.outputs.iter().map(|it| {
        let reminder = describe::type_reminder(it);
        format!("`{}`{reminder}", it.name)
    });
    let fields = fields.collect::<Vec<_>>().join(", then ");
    format!("Respond with a JSON object in the following order of fields: {fields}.")
}

/// An answer of these values.
pub(super) fn answer<'a>(values: impl Iterator<Item = (&'a Field, &'a Value)>) -> String {
    let values: Map<_, _> =
        values.map(|(field, value)| (field.name.clone(), value.clone())).collect();
    dumps_indented(&Value::Object(values))
}

/// Finds the values of the object that a reply is or holds; the part of the reply that it is.
pub(super) fn parse<'a>(
    format: Format,
    signature: &Signature,
    reply: &'a str,
    found: &mut Found,
) -> Result<&'a str, ParseError> {
    let (dict, reply) = object(signature, reply)?;
    let known = |key: Object| match key {
        Object::Str(name) => {
            let field = signature.outputs.iter().find(|it| it.name == name)?;
            Some((name, field))
        }
        _ => None,
    };
    let mut entries = dict.into_iter();
    while let Some((key, value)) = entries.next() {
        let Some((name, field)) = known(key) else { continue };
        match value::parse(&field.ty, value, &signature.types) {
            Ok(value) => found.put(name, value),
            Err(error) => {
                let message = format!("Failed to parse field {name}: {error}");
                let unread = entries.filter_map(|(key, _)| known(key)).map(|(name, _)| name);
                let parsed = found.fields.keys().cloned().chain([name]).chain(unread).collect();
                let (parsed, uncaught) = (Some(parsed), error.uncaught());
                let error = format.error(signature, reply, Some(message));
                return Err(ParseError { parsed, uncaught, ..error });
            }
        }
    }
    Ok(reply)
}

/// The object, and the part of the reply that it was found in.
fn object<'a>(signature: &Signature, reply: &'a str) -> Result<(Dict, &'a str), ParseError> {
    let read = |reply: &str| {
        json_repair::loads(reply).map_err(|error| ParseError {
            uncaught: error.uncaught().or(Some(Uncaught::Value)),
            ..Format::Json.error(signature, reply, Some(error.to_string()))
        })
    };
    let mut reply = reply;
    if let Object::Dict(dict) = read(reply)? {
        return Ok((dict, reply));
    }
    if let Some(part) = balanced_braces(reply) {
        reply = part;
        if let Object::Dict(dict) = read(reply)? {
            return Ok((dict, reply));
        }
    }
    let message = "LM response cannot be serialized to a JSON object.".to_owned();
    Err(Format::Json.error(signature, reply, Some(message)))
}

/// The first part of a text in braces that close.
fn balanced_braces(text: &str) -> Option<&str> {
    let mut open = Vec::new();
    let mut first: Option<(usize, usize)> = None;
    for (at, c) in text.char_indices() {
        match c {
            '{' => open.push(at),
            '}' => {
                let Some(start) = open.pop() else { continue };
                if first.is_none_or(|(from, _)| start < from) {
                    first = Some((start, at + 1));
                }
            }
            _ => {}
        }
    }
    first.map(|(start, end)| &text[start..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_balanced_braces_are_found() {
        assert_eq!(balanced_braces("a {b {c} d} {e}"), Some("{b {c} d}"));
        assert_eq!(balanced_braces("{ {a} {b}"), Some("{a}"));
        assert_eq!(balanced_braces("} {"), None);
    }
}

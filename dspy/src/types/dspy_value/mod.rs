//! Values of DSPy's own types, as its classes make them of what a reply or an input holds.
//!
//! What is made is their JSON form: a text with a marker for what becomes a part of a message, a
//! text for code and reasoning, a mapping for the rest. Nothing here reads a file or asks a URL, so
//! that an input cannot make a worker do so.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a value of any other of Python's types goes one and the same way"
)]

mod calls;
mod media;
mod text;
mod tool;

use serde_json::Value;

use super::{
    DspyType, Extra, Model, ModelField, Type,
    coerce::{Coerced, Coercer, refuse},
    fit::Fit,
    issue::Issue,
};
use crate::python::{
    json,
    object::{Dict, Object},
    repr,
};
pub(crate) use media::is_media_text;
pub(crate) use tool::tool_of;

/// What stands before and after the parts that a text holds.
pub(crate) const MARKER_START: &str = "<<CUSTOM-TYPE-START-IDENTIFIER>>";
pub(crate) const MARKER_END: &str = "<<CUSTOM-TYPE-END-IDENTIFIER>>";

/// The value of the type that `value` is or becomes.
pub(super) fn coerce(coercer: &Coercer<'_>, value: &Object, ty: &DspyType) -> Coerced {
    match ty {
        DspyType::Image => media::image(coercer, value),
        DspyType::Audio => media::audio(coercer, value),
        DspyType::File => media::file(coercer, value),
        DspyType::History => text::history(coercer, value),
        DspyType::Tool => tool::tool(value),
        DspyType::ToolCalls => calls::tool_calls(coercer, value),
        DspyType::ToolCallResults => calls::results(coercer, value),
        DspyType::Code(_) => text::code(coercer, value, &ty.class_name()),
        DspyType::Reasoning => text::reasoning(coercer, value),
        DspyType::Citations => text::citations(coercer, value),
        DspyType::Document => text::document(coercer, value),
    }
}

/// A refusal in the words of a class's own validator.
fn value_error(message: &str, input: &Object) -> Issues {
    vec![Issue::new("value_error", format!("Value error, {message}"), input)]
}

/// A value that is none of the type at all.
fn invalid(name: &str, value: &Object) -> Issues {
    value_error(&format!("Received invalid value for {name}: {}", repr::str(value)), value)
}

/// A field of a class; one with a default may be absent.
fn field(name: &str, ty: Type, default: Option<Value>) -> ModelField {
    let (name, bounds) = (name.to_owned(), serde_json::Map::new());
    ModelField { name, alias: None, ty, desc: None, default, bounds }
}

fn required(name: &str, ty: Type) -> ModelField {
    field(name, ty, None)
}

fn optional_text(name: &str) -> ModelField {
    field(name, Type::Union(vec![Type::Str, Type::None]), Some(Value::Null))
}

fn model(fields: Vec<ModelField>, extra: Extra) -> Model {
    Model { fields, extra, ..Model::default() }
}

/// The parts of a message, written into a text.
fn marked(parts: &Value) -> Object {
    Object::Str(format!("{MARKER_START}{}{MARKER_END}", json::dumps(parts)))
}

/// The fields that a class's validator made, as an object.
fn entries(pairs: Vec<(&str, Object)>) -> Dict {
    let mut dict = Dict::default();
    for (name, value) in pairs {
        dict.insert(Object::Str(name.to_owned()), value);
    }
    dict
}

fn taken(dict: &Dict, name: &str) -> Object {
    dict.get(name).cloned().unwrap_or(Object::None)
}

/// pydantic's `str_strip_whitespace`, on texts.
fn stripped(value: Object) -> Object {
    match value {
        Object::Str(text) => Object::Str(text.trim().to_owned()),
        other => other,
    }
}

/// The parts of a model's value, which is a dictionary.
fn fields_of(coerced: (Object, Fit)) -> (Dict, Fit) {
    match coerced {
        (Object::Dict(dict), fit) => (dict, fit),
        (_, fit) => (Dict::default(), fit),
    }
}

fn has(dict: &Dict, names: &[&str]) -> bool {
    names.iter().any(|it| dict.contains(it))
}

/// The items of a list as dictionaries, if they all are.
fn all_dicts(items: &[Object]) -> Option<Vec<&Dict>> {
    let dicts = items.iter().map(|it| match it {
        Object::Dict(dict) => Some(dict),
        _ => None,
    });
    dicts.collect()
}

/// Issues without a place of their own: those of a class made within another's validator.
type Issues = Vec<Issue>;

/// The value of a class whose only field is a list of another class's values.
fn nested(
    coercer: &Coercer<'_>,
    fields: &Dict,
    name: &str,
    (item_name, item): (&str, &Model),
) -> Coerced {
    let given = taken(fields, name);
    let Object::List(values) = given else {
        let refused: Coerced = refuse("list_type", "Input should be a valid list", &given);
        return refused.map_err(|it| it.into_iter().map(|it| it.at(name)).collect());
    };
    let (mut made, mut issues, mut fit) = (Vec::new(), Issues::new(), Fit::STRICT.and(Fit::FIELD));
    for (i, value) in values.into_iter().enumerate() {
        match coercer.model(value, item_name, item) {
            Ok((value, its)) => {
                fit = fit.and(its);
                made.push(value);
            }
            Err(more) => issues.extend(more.into_iter().map(|it| it.at(i.to_string()).at(name))),
        }
    }
    if !issues.is_empty() {
        return Err(issues);
    }
    Ok((Object::Dict(entries(vec![(name, Object::List(made))])), fit))
}

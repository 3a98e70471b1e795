//! DSPy's `XMLAdapter`: a tag for each field, tags within it for what is in the field.

use serde_json::Value;

use super::{
    Format, Found, chat::INTRODUCTION, describe, field_info, render::joined, value, value::shown,
    xml_shape,
};
use crate::{
    Definitions, Field, ParseError, Signature, Type, Uncaught,
    python::{object::Object, repr, unicode},
    types,
    xml::{Tree, quote_attribute},
};

/// The deepest nesting that is read.
const DEPTH_MAX: usize = 300;

/// The element that is laid around a reply.
const ROOT: &str = "dspy_root";

/// The structure of a conversation.
pub(super) fn structure(signature: &Signature) -> String {
    let inputs = signature.inputs.iter().map(|it| section(&it.name, &describe::input_place(it)));
    let outputs = signature.outputs.iter().map(|it| {
        if xml_shape::is_nested(&it.ty, &signature.types) {
            return xml_shape::skeleton(&it.name, &it.ty, &signature.types);
        }
        section(&it.name, &escaped(it, describe::output_place(it, &signature.types)))
    });
    let (inputs, outputs): (Vec<_>, Vec<_>) = (inputs.collect(), outputs.collect());
    [INTRODUCTION, &inputs.join("\n\n"), &outputs.join("\n\n")].join("\n\n")
}

/// What the last message says about the answer.
pub(super) fn reminder(signature: &Signature) -> String {
    let fields: Vec<_> = signature.outputs.iter().map(|it| format!("`<{}>`", it.name)).collect();
    let is_nested = |it: &&Field| xml_shape::is_nested(&it.ty, &signature.types);
    let nested = signature.outputs.iter().filter(is_nested);
    let nested: Vec<_> =
        nested.map(|it| xml_shape::skeleton(&it.name, &it.ty, &signature.types)).collect();
    let mut reminder = format!(
        "Respond with the corresponding output fields wrapped in XML tags {}.",
        fields.join(", then ")
    );
    if !nested.is_empty() {
        reminder.push_str(" Use this nested XML structure: ");
        reminder.push_str(&nested.join(" "));
    }
    reminder
}

/// A value between its tags.
pub(super) fn section(name: &str, content: &str) -> String {
    format!("<{name}>\n{content}\n</{name}>")
}

/// An answer of these values.
pub(super) fn answer<'a>(
    values: impl Iterator<Item = (&'a Field, &'a Value)>,
    definitions: &Definitions,
) -> String {
    joined(values.map(|(field, value)| {
        let has_parts = value.is_array() || value.is_object();
        if has_parts && xml_shape::is_nested(&field.ty, definitions) {
            return element(value, &field.name, None);
        }
        section(&field.name, &escaped(field, shown(field, value)))
    }))
}

/// Text such that it can be read back; of other types the package escapes nothing.
fn escaped(field: &Field, text: String) -> String {
    if field.ty == Type::Str { escape(&text) } else { text }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

/// A value as elements.
fn element(value: &Value, tag: &str, key: Option<&str>) -> String {
    let key = key.map(|it| format!(" key={}", quote_attribute(it))).unwrap_or_default();
    match value {
        Value::Null => format!("<{tag}{key} />"),
        Value::Array(items) if items.is_empty() => format!("<{tag}{key} />"),
        Value::Array(items) => {
            let items: String = items.iter().map(|it| element(it, "item", None)).collect();
            format!("<{tag}{key}>{items}</{tag}>")
        }
        Value::Object(map) => {
            let entry = |(name, value): (&String, &Value)| {
                let (tag, key) =
                    if is_tag(name) { (&**name, None) } else { ("entry", Some(&**name)) };
                element(value, tag, key)
            };
            let entries: String = map.iter().map(entry).collect();
            format!("<{tag}{key}>{entries}</{tag}>")
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            format!("<{tag}{key}>{}</{tag}>", escape(&repr::str(&value.into())))
        }
    }
}

/// Whether a name can be a tag: a Python identifier, but for dots and dashes after its start.
fn is_tag(name: &str) -> bool {
    let mut chars = name.chars();
    let is_start = chars.next().is_some_and(unicode::starts_name);
    is_start && chars.all(|c| matches!(c, '-' | '.') || unicode::continues_name(c))
}

/// Finds the values in the tags of a reply.
pub(super) fn parse(
    signature: &Signature,
    reply: &str,
    found: &mut Found,
) -> Result<(), ParseError> {
    let fail = |message: String| Format::Xml.error(signature, reply, Some(message));
    let tree = Tree::parse(&format!("<{ROOT}>{reply}</{ROOT}>"))
        .map_err(|error| fail(format!("Failed to parse XML: {error}")))?;
    if tree.depth() > DEPTH_MAX {
        return Err(fail("Failed to parse XML: it is nested too deeply".to_owned()));
    }
    let elements = xml_shape::grouped(&tree, Tree::ROOT);
    for field in &signature.outputs {
        let Some((_, own)) = elements.iter().find(|(name, _)| *name == field.name) else {
            continue;
        };
        let reader = xml_shape::Reader { tree: &tree, definitions: &signature.types };
        let value = field_value(field, own, &reader).map_err(|failed| {
            let info = field_info::of(field, &signature.types);
            let Failed { value, error, uncaught } = *failed;
            let value = repr::str(&value);
            let message = format!("Failed to parse field {info} with value {value}: {error}");
            ParseError { uncaught, ..fail(message) }
        })?;
        found.put(field.name.clone(), value);
    }
    Ok(())
}

/// The value that was not of its field's type, and why.
#[derive(Default)]
struct Failed {
    value: Object,
    error: String,
    uncaught: Option<Uncaught>,
}

/// The value of a field by its whole type, else by the first member of its union that fits.
fn field_value(
    field: &Field,
    elements: &[crate::xml::ElementId],
    reader: &xml_shape::Reader<'_>,
) -> Result<Object, Box<Failed>> {
    let mut failed = Failed::default();
    for candidate in xml_shape::candidates(&field.ty, reader.definitions) {
        let value = reader.value(elements, &candidate);
        match validated(&field.ty, value.clone(), reader.definitions) {
            Ok(value) => return Ok(value),
            Err((error, uncaught)) => failed = Failed { value, error, uncaught },
        }
        if failed.uncaught.is_some() {
            break;
        }
    }
    Err(Box::new(failed))
}

/// The value of a field's type; where the package's own parsing refuses it, by the names of the
/// fields of models instead of their aliases.
fn validated(
    ty: &Type,
    value: Object,
    definitions: &Definitions,
) -> Result<Object, (String, Option<Uncaught>)> {
    match value::parse(ty, value.clone(), definitions) {
        Ok(value) => Ok(value),
        Err(value::ValueError::Invalid(error)) if !error.is_raised() => {
            let value = types::validate_as(types::Origin::Json, ty, value, definitions);
            value.map_err(|it| (it.to_string(), None))
        }
        Err(error) => Err((error.to_string(), error.uncaught())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_what_python_takes_for_names() {
        assert!(is_tag("é-1.x") && is_tag("_a") && is_tag("Ⅷ") && is_tag("h\u{ccd}"));
        assert!(!is_tag("\u{1363f}a") && !is_tag("\u{345}a") && !is_tag("1a"));
    }
}

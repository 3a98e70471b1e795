//! How fields are described to the model: their list, and the notes on their values.

use serde_json::Value;

use crate::{
    Definition, Definitions, DspyType, Field, Type,
    python::{json, text},
    types::schema::{choices, type_first},
};

/// The reminder of what calls of tools look like.
const TOOL_CALLS: &str =
    " (must be a JSON object like {\"tool_calls\": [{\"name\": \"...\", \"args\": {...}}]})";

/// The numbered list of fields.
pub(super) fn field_list(fields: &[Field]) -> String {
    let mut lines = Vec::with_capacity(fields.len());
    for (i, field) in fields.iter().enumerate() {
        let Field { name, ty, .. } = field;
        let (number, desc) = ((i + 1).to_string(), field.shown_desc());
        let mut line = [&number, ". `", name, "` (", &ty.to_string(), "): ", desc].concat();
        for ty in ty.dspy_types() {
            if let Some(description) = ty.description() {
                let name = Type::Dspy(ty.clone());
                let lines = ["\n    Type description of ", &name.to_string(), ": ", &description];
                line.extend(lines);
            }
        }
        if let Some(constraints) = field.constraints.as_deref().filter(|it| !it.is_empty()) {
            line.push_str("\nConstraints: ");
            line.push_str(constraints);
        }
        lines.push(line);
    }
    text::stripped(lines.join("\n"))
}

/// The place of an input's value in the structure.
pub(super) fn input_place(field: &Field) -> String {
    ["{", &field.name, "}"].concat()
}

/// The place of an output's value in the structure, with a note on what it must be.
pub(super) fn output_place(field: &Field, definitions: &Definitions) -> String {
    let place = input_place(field);
    match note(field, definitions) {
        Some(note) => format!("{place}        # note: the value you produce {note}"),
        None => place,
    }
}

fn note(field: &Field, definitions: &Definitions) -> Option<String> {
    Some(match &field.ty {
        Type::Str | Type::Dspy(DspyType::Reasoning | DspyType::Code(_)) => return None,
        Type::Bool => "must be True or False".to_owned(),
        Type::Int | Type::Float => format!("must be a single {} value", field.ty),
        Type::Literal(values) => {
            let choices = choices(values);
            format!("must exactly match (no extra characters) one of: {choices}")
        }
        Type::Named(name) => match definitions.get(name) {
            Some(Definition::Enum(its)) => format!("must be one of: {}", choices(&its.values())),
            Some(Definition::Model(_)) | None => schema_note(field, definitions),
        },
        Type::None
        | Type::Any
        | Type::List(_)
        | Type::BareList
        | Type::Dict(..)
        | Type::BareDict
        | Type::Tuple(_)
        | Type::TupleOf(_)
        | Type::BareTuple
        | Type::Set(_)
        | Type::BareSet
        | Type::FrozenSet(_)
        | Type::BareFrozenSet
        | Type::Scalar(_)
        | Type::Dspy(_)
        | Type::Union(_)
        | Type::Constrained(_) => schema_note(field, definitions),
    })
}

fn schema_note(field: &Field, definitions: &Definitions) -> String {
    let schema = type_first(&whole_schema(field, definitions));
    format!("must adhere to the JSON schema: {}", json::dumps(&schema))
}

/// The field's schema with all that it refers to.
pub(super) fn whole_schema(field: &Field, definitions: &Definitions) -> Value {
    if let Some(schema) = &field.json_schema {
        return schema.clone();
    }
    definitions.whole_schema(&field.ty)
}

/// How the reminder in the last message says which type a field has.
pub(super) fn type_reminder(field: &Field) -> String {
    if field.ty == Type::Str {
        return String::new();
    }
    if field.ty == Type::Dspy(DspyType::ToolCalls) {
        return TOOL_CALLS.to_owned();
    }
    format!(" (must be formatted as a valid Python {})", field.ty)
}

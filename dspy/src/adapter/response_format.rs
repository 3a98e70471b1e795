//! The `response_format` that the JSON adapter asks for: a strict schema, any object, or nothing.

use serde_json::{Map, Value, json};

use super::describe::whole_schema;
use crate::{Capabilities, DspyType, Field, Signature, Type, types::schema::title};

/// The deepest nesting of a schema.
const DEPTH_MAX: usize = 64;

/// What to send to a model that can do so much.
pub(crate) fn response_format(
    signature: &Signature,
    can: Capabilities,
    is_native: bool,
) -> Option<Value> {
    if !can.response_format {
        return None;
    }
    let is_open = |ty: &Type| {
        let is_calls = *ty == Type::Dspy(DspyType::ToolCalls);
        matches!(ty, Type::Dict(..)) || (is_calls && !is_native)
    };
    if !can.response_schema || signature.outputs.iter().any(|it| is_open(&it.ty)) {
        return Some(json!({"type": "json_object"}));
    }
    let mut schema = model_schema(signature);
    enforce_required(&mut schema, 0);
    let root = schema.clone();
    strict(&mut schema, &root, 0);
    let schema = json!({"name": "DSPyProgramOutputs", "schema": schema, "strict": true});
    Some(json!({"type": "json_schema", "json_schema": schema}))
}

/// The schema of the outputs together, as pydantic makes it of a model.
fn model_schema(signature: &Signature) -> Value {
    let mut properties = Map::new();
    let mut definitions = Map::new();
    let is_calls = |field: &&Field| field.ty == Type::Dspy(DspyType::ToolCalls);
    for field in signature.outputs.iter().filter(|it| !is_calls(it)) {
        let mut schema = whole_schema(field, &signature.types);
        if let Some(map) = schema.as_object_mut() {
            if let Some(Value::Object(more)) = map.remove("$defs") {
                definitions.extend(more);
            }
            if let (Some(name), false) = (field.ty.class_name(), map.contains_key("$ref")) {
                definitions.insert(name.clone(), Value::Object(std::mem::take(map)));
                map.insert("$ref".to_owned(), format!("#/$defs/{name}").into());
            } else if is_titled(&field.ty) {
                map.insert("title".to_owned(), title(&field.name).into());
            }
            if let Some(default) = &field.default {
                map.insert("default".to_owned(), default.clone());
            }
        }
        properties.insert(field.name.clone(), schema);
    }
    let mut schema = json!({
        "additionalProperties": false,
        "properties": properties,
        "title": "DSPyProgramOutputs",
        "type": "object",
    });
    if !definitions.is_empty() {
        schema["$defs"] = Value::Object(definitions);
    }
    schema
}

/// Whether pydantic titles a field of this type: not what has a title of its own, nor that or
/// `None`.
fn is_titled(ty: &Type) -> bool {
    let is_own = |ty: &Type| ty.class_name().is_some();
    let is_optional = |args: &[Type]| args.len() == 2 && args.contains(&Type::None);
    let is_own_or_none =
        matches!(ty, Type::Union(args) if is_optional(args) && args.iter().any(is_own));
    !is_own(ty) && !is_own_or_none
}

/// DSPy's own pass: objects are closed, and all of their properties required.
fn enforce_required(schema: &mut Value, depth: usize) {
    let Some(map) = schema.as_object_mut().filter(|_| depth < DEPTH_MAX) else { return };
    let kind = map.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    if kind == "object" {
        let properties = map.entry("properties").or_insert_with(|| json!({}));
        let mut names = Vec::new();
        if let Some(properties) = properties.as_object_mut() {
            names.extend(properties.keys().cloned());
            properties.values_mut().for_each(|it| enforce_required(it, depth + 1));
        }
        map.insert("required".to_owned(), names.into());
        map.insert("additionalProperties".to_owned(), false.into());
    }
    if let Some(items) = map.get_mut("items").filter(|_| kind == "array") {
        enforce_required(items, depth + 1);
    }
    if let Some(definitions) = map.get_mut("$defs").and_then(Value::as_object_mut) {
        definitions.values_mut().for_each(|it| enforce_required(it, depth + 1));
    }
}

/// The pass of OpenAI's strict mode: no defaults of `None`, no `$ref` with siblings.
fn strict(schema: &mut Value, root: &Value, depth: usize) {
    let Some(map) = schema.as_object_mut().filter(|_| depth < DEPTH_MAX) else { return };
    for key in ["$defs", "properties"] {
        if let Some(inner) = map.get_mut(key).and_then(Value::as_object_mut) {
            inner.values_mut().for_each(|it| strict(it, root, depth + 1));
        }
    }
    if map.get("type") == Some(&json!("object")) && !map.contains_key("additionalProperties") {
        map.insert("additionalProperties".to_owned(), false.into());
    }
    if let Some(properties) = map.get("properties").and_then(Value::as_object) {
        let names: Vec<_> = properties.keys().cloned().collect();
        map.insert("required".to_owned(), names.into());
    }
    if let Some(items) = map.get_mut("items").filter(|it| it.is_object()) {
        strict(items, root, depth + 1);
    }
    if let Some(Value::Array(choices)) = map.get_mut("anyOf") {
        for choice in choices {
            strict(choice, root, depth + 1);
        }
    }
    if map.get("default") == Some(&Value::Null) {
        map.remove("default");
    }
    if map.len() > 1 {
        unravel(map, root, depth);
    }
}

fn unravel(map: &mut Map<String, Value>, root: &Value, depth: usize) {
    let Some(Value::String(reference)) = map.get("$ref") else { return };
    let Some(pointer) = reference.strip_prefix('#') else { return };
    let Some(mut resolved) = root.pointer(pointer).cloned() else { return };
    strict(&mut resolved, root, depth + 1);
    let Value::Object(mut resolved) = resolved else { return };
    map.remove("$ref");
    resolved.extend(std::mem::take(map));
    *map = resolved;
}

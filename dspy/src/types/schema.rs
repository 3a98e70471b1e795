//! JSON Schemas, as pydantic makes them.

use serde_json::{Map, Value, json};

use super::{Definition, Definitions, Type};
use crate::python::repr;

impl Type {
    /// The JSON Schema of values of this type. A type of the program's own is only named.
    pub fn json_schema(&self) -> Value {
        match self {
            Self::Str => json!({"type": "string"}),
            Self::Int => json!({"type": "integer"}),
            Self::Float => json!({"type": "number"}),
            Self::Bool => json!({"type": "boolean"}),
            Self::None => json!({"type": "null"}),
            Self::Any => json!({}),
            Self::List(item) | Self::TupleOf(item) => {
                json!({"items": item.json_schema(), "type": "array"})
            }
            Self::BareList => json!({"items": {}, "type": "array"}),
            Self::Dict(key, value) => dict(key, value),
            Self::BareDict => json!({"additionalProperties": true, "type": "object"}),
            Self::Tuple(items) => tuple(items),
            Self::Set(item) => {
                json!({"items": item.json_schema(), "type": "array", "uniqueItems": true})
            }
            Self::Literal(values) => literal(values),
            Self::Union(args) => {
                let (none, others): (Vec<_>, Vec<_>) =
                    args.iter().partition(|it| **it == Self::None);
                any_of(others.iter().chain(&none).map(|it| it.json_schema()))
            }
            Self::Named(name) => json!({"$ref": format!("#/$defs/{name}")}),
        }
    }

    /// The names of the program's own types that it uses.
    pub(crate) fn names(&self, found: &mut Vec<String>) {
        match self {
            Self::Named(name) if !found.contains(name) => found.push(name.clone()),
            Self::List(item) | Self::TupleOf(item) | Self::Set(item) => item.names(found),
            Self::Dict(key, value) => [key, value].iter().for_each(|it| it.names(found)),
            Self::Tuple(items) | Self::Union(items) => items.iter().for_each(|it| it.names(found)),
            Self::Str
            | Self::Int
            | Self::Float
            | Self::Bool
            | Self::None
            | Self::Any
            | Self::BareList
            | Self::BareDict
            | Self::Literal(_)
            | Self::Named(_) => {}
        }
    }
}

impl Definitions {
    /// The `$defs` of the types in these, and of what they are made of.
    pub(crate) fn schemas(&self, mut names: Vec<String>) -> Map<String, Value> {
        let mut schemas = Map::new();
        let mut at = 0;
        while let Some(name) = names.get(at).cloned() {
            at += 1;
            if let Some(definition) = self.get(&name) {
                schemas.insert(name.clone(), definition.json_schema(&name, &mut names));
            }
        }
        schemas
    }
}

impl Definition {
    fn json_schema(&self, title: &str, names: &mut Vec<String>) -> Value {
        match self {
            Self::Enum(members) => {
                let values: Vec<_> = members.iter().map(|it| it.value.clone()).collect();
                let mut schema = literal(&values);
                schema["title"] = title.into();
                schema
            }
            Self::Model(model) => {
                let mut properties = Map::new();
                let mut required = Vec::new();
                for field in &model.fields {
                    field.ty.names(names);
                    let name = field.alias.as_ref().unwrap_or(&field.name);
                    properties.insert(name.clone(), field.ty.json_schema());
                    if field.default.is_none() {
                        required.push(name);
                    }
                }
                json!({
                    "properties": properties,
                    "required": required,
                    "title": title,
                    "type": "object",
                })
            }
        }
    }
}

/// Any of the schemas, each named once.
fn any_of(schemas: impl Iterator<Item = Value>) -> Value {
    let mut distinct: Vec<Value> = Vec::new();
    for schema in schemas {
        if !distinct.contains(&schema) {
            distinct.push(schema);
        }
    }
    match distinct.len() {
        1 => distinct.remove(0),
        _ => json!({"anyOf": distinct}),
    }
}

fn dict(key: &Type, value: &Type) -> Value {
    let any = *value == Type::Any;
    let values = if any { Value::Bool(true) } else { value.json_schema() };
    let mut schema = json!({"additionalProperties": values, "type": "object"});
    if let Type::Literal(keys) = key {
        schema["propertyNames"] = literal(keys);
    }
    schema
}

fn tuple(items: &[Type]) -> Value {
    let schemas: Vec<_> = items.iter().map(Type::json_schema).collect();
    let count = items.len();
    json!({"maxItems": count, "minItems": count, "prefixItems": schemas, "type": "array"})
}

fn literal(values: &[Value]) -> Value {
    let type_of = |value: &Value| match value {
        Value::String(_) => Some("string"),
        Value::Bool(_) => Some("boolean"),
        Value::Number(number) if number.is_f64() => Some("number"),
        Value::Number(_) => Some("integer"),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    let mut schema = match values {
        [only] => json!({"const": only}),
        values => json!({"enum": values}),
    };
    let first = values.first().and_then(type_of);
    if let Some(first) = first.filter(|first| values.iter().all(|it| type_of(it) == Some(*first))) {
        schema["type"] = first.into();
    }
    schema
}

/// A schema with `type` first and all else by the alphabet: how DSPy shows it to the model.
pub(crate) fn type_first(schema: &Value) -> Value {
    match schema {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(name, _)| (name.as_str() != "type", name.as_str()));
            let entries = entries.into_iter().map(|(name, it)| (name.clone(), type_first(it)));
            Value::Object(entries.collect())
        }
        Value::Array(items) => items.iter().map(type_first).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => schema.clone(),
    }
}

/// The text of a literal's or an enum's values, as a note lists them.
pub(crate) fn choices(values: &[Value]) -> String {
    values.iter().map(|it| repr::str(&it.into())).collect::<Vec<_>>().join("; ")
}

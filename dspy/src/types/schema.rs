//! JSON Schemas, as pydantic makes them.

use serde_json::{Value, json};

use super::{DspyType, Type, model_schema::put_bounds};
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
            Self::BareList | Self::BareTuple => json!({"items": {}, "type": "array"}),
            Self::Dict(key, value) => dict(key, value),
            Self::BareDict => json!({"additionalProperties": true, "type": "object"}),
            Self::Tuple(items) => tuple(items),
            Self::Set(item) | Self::FrozenSet(item) => {
                json!({"items": item.json_schema(), "type": "array", "uniqueItems": true})
            }
            Self::BareSet | Self::BareFrozenSet => {
                json!({"items": {}, "type": "array", "uniqueItems": true})
            }
            Self::Scalar(scalar) => scalar.json_schema(),
            Self::Dspy(ty) => json!({"$ref": format!("#/$defs/{}", ty.class_name())}),
            Self::Literal(values) => literal(values),
            Self::Union(args) => {
                let (none, others): (Vec<_>, Vec<_>) =
                    args.iter().partition(|it| **it == Self::None);
                any_of(others.iter().chain(&none).map(|it| it.json_schema()))
            }
            Self::Named(name) => json!({"$ref": format!("#/$defs/{name}")}),
            Self::Constrained(its) => {
                let mut schema = its.ty.json_schema();
                put_bounds(&mut schema, &its.ty, &its.bounds);
                schema
            }
        }
    }

    /// DSPy's own types in it, as often as they are.
    pub(crate) fn dspy_types(&self) -> Vec<&DspyType> {
        if let Self::Dspy(ty) = self {
            return vec![ty];
        }
        self.parts().into_iter().flat_map(Self::dspy_types).collect()
    }

    /// The names of the classes that it uses, each once.
    pub(crate) fn names(&self, found: &mut Vec<String>) {
        found.extend(self.class_name().filter(|it| !found.contains(it)));
        self.parts().into_iter().for_each(|it| it.names(found));
    }

    /// The types that it is made of, in order.
    fn parts(&self) -> Vec<&Self> {
        match self {
            Self::List(item) | Self::TupleOf(item) | Self::Set(item) | Self::FrozenSet(item) => {
                vec![item]
            }
            Self::Dict(key, value) => vec![key, value],
            Self::Tuple(items) | Self::Union(items) => items.iter().collect(),
            Self::Constrained(its) => vec![&its.ty],
            Self::Str
            | Self::Int
            | Self::Float
            | Self::Bool
            | Self::None
            | Self::Any
            | Self::BareList
            | Self::BareDict
            | Self::BareTuple
            | Self::BareSet
            | Self::BareFrozenSet
            | Self::Scalar(_)
            | Self::Dspy(_)
            | Self::Literal(_)
            | Self::Named(_) => Vec::new(),
        }
    }
}

/// Any of the schemas, each named once.
fn any_of(schemas: impl Iterator<Item = Value>) -> Value {
    let mut distinct: Vec<Value> = Vec::new();
    for schema in schemas.flat_map(choices_of) {
        if !distinct.contains(&schema) {
            distinct.push(schema);
        }
    }
    match distinct.len() {
        1 => distinct.remove(0),
        _ => json!({"anyOf": distinct}),
    }
}

/// What a schema that is nothing but a choice chooses from; else itself.
fn choices_of(schema: Value) -> Vec<Value> {
    let only = schema.as_object().filter(|it| it.len() == 1);
    let choices = only.and_then(|it| it.get("anyOf"));
    choices.and_then(Value::as_array).cloned().unwrap_or_else(|| vec![schema])
}

fn dict(key: &Type, value: &Type) -> Value {
    let any = *value == Type::Any;
    let values = if any { Value::Bool(true) } else { value.json_schema() };
    let mut schema = json!({"additionalProperties": values, "type": "object"});
    let mut keys = key.json_schema();
    if let Some(keys) = keys.as_object_mut() {
        // pydantic shows names of which there is more to say than that they are texts.
        let is_more = keys.len() > 1 && keys.get("type") == Some(&"string".into());
        if is_more || keys.contains_key("$ref") {
            keys.shift_remove("type");
            schema["propertyNames"] = Value::Object(std::mem::take(keys));
        }
    }
    schema
}

fn tuple(items: &[Type]) -> Value {
    let schemas: Vec<_> = items.iter().map(Type::json_schema).collect();
    let count = items.len();
    json!({"maxItems": count, "minItems": count, "prefixItems": schemas, "type": "array"})
}

fn literal(values: &[Value]) -> Value {
    match values {
        [Value::Null] => json!({"const": null, "type": "null"}),
        [only] => typed(json!({"const": only}), values),
        values => choice(values),
    }
}

/// The schema of one of some values, as it is made of an enum.
pub(super) fn choice(values: &[Value]) -> Value {
    typed(json!({"enum": values}), values)
}

/// A schema with the type that all values have, if they have one.
fn typed(mut schema: Value, values: &[Value]) -> Value {
    let type_of = |value: &Value| match value {
        Value::String(_) => Some("string"),
        Value::Bool(_) => Some("boolean"),
        Value::Number(number) if number.is_f64() => Some("number"),
        Value::Number(_) => Some("integer"),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    let first = values.first().and_then(type_of);
    if let Some(first) = first.filter(|first| values.iter().all(|it| type_of(it) == Some(*first))) {
        schema["type"] = first.into();
    }
    schema
}

/// `max_words` as pydantic titles it: `Max Words`.
pub(crate) fn title(name: &str) -> String {
    let mut title = String::with_capacity(name.len());
    let mut after_letter = false;
    for c in name.chars() {
        if after_letter {
            title.extend(c.to_lowercase());
        } else {
            title.extend(c.to_uppercase());
        }
        after_letter = c.is_alphabetic();
    }
    title.replace('_', " ").trim().to_owned()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literal_of_nothing_but_none_has_the_type_of_none() {
        let schema = |it: &str| Type::parse(it).unwrap().json_schema();

        assert_eq!(schema("Literal[None]"), json!({"const": null, "type": "null"}));
        assert_eq!(schema("Literal[None, 'a']"), json!({"enum": [null, "a"]}));
    }
}

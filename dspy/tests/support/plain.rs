//! Tagged values of the golden files as plain JSON: what a user would send or get.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a value of any other of JSON's types goes one and the same way"
)]

use serde_json::{Map, Value};

/// The value without its tags.
pub(crate) fn plain(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Object(map) => {
            tagged(map).unwrap_or_else(|| map.iter().map(|(k, v)| (k.clone(), plain(v))).collect())
        }
        scalar => scalar.clone(),
    }
}

fn tagged(map: &Map<String, Value>) -> Option<Value> {
    let (tag, inner) = map.iter().find(|(name, _)| name.starts_with('$'))?;
    Some(match tag.as_str() {
        "$model" | "$enum" => plain(map.get("value")?),
        "$example" | "$prediction" | "$tuple" | "$set" => plain(inner),
        "$dict" => {
            let pairs = inner.as_array()?.iter();
            let pair = |it: &Value| Some((key(&plain(it.get(0)?)), plain(it.get(1)?)));
            Value::Object(pairs.map(pair).collect::<Option<_>>()?)
        }
        "$float" => match inner.as_str()? {
            "nan" => "NaN".into(),
            "inf" => "Infinity".into(),
            _ => "-Infinity".into(),
        },
        "$datetime" => inner.as_str()?.replace("+00:00", "Z").into(),
        "$date" | "$time" | "$decimal" | "$uuid" | "$bytes" => inner.clone(),
        _ => return None,
    })
}

/// A key of a dictionary as JSON writes it.
fn key(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        other => other.to_string(),
    }
}

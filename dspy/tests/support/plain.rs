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
        "$model" => shown(inner.as_str()?, plain(map.get("value")?)),
        "$enum" => plain(map.get("value")?),
        "$example" | "$prediction" | "$tuple" | "$set" => plain(inner),
        "$dict" => {
            let pairs = inner.as_array()?.iter();
            let pair = |it: &Value| Some((key(it.get(0)?), plain(it.get(1)?)));
            Value::Object(pairs.map(pair).collect::<Option<_>>()?)
        }
        "$float" => match inner.as_str()? {
            "nan" => "NaN".into(),
            "inf" => "Infinity".into(),
            _ => "-Infinity".into(),
        },
        "$datetime" | "$time" => inner.as_str()?.replace("+00:00", "Z").into(),
        // An integer over 64 bits is the nearest float.
        "$int" => match (inner.as_str()?.parse::<u64>(), inner.as_str()?.parse::<f64>()) {
            (Ok(large), _) => large.into(),
            (Err(_), Ok(nearest)) if nearest.is_finite() => nearest.into(),
            (Err(_), _) if inner.as_str()?.starts_with('-') => "-Infinity".into(),
            (Err(_), _) => "Infinity".into(),
        },
        "$date" | "$decimal" | "$uuid" => inner.clone(),
        "$bytes" => bytes(inner.as_str()?).into(),
        "$timedelta_s" => duration(inner.as_f64()?).into(),
        _ => return None,
    })
}

/// A value of one of DSPy's own classes, as `Prediction.toDict` writes it.
fn shown(class: &str, value: Value) -> Value {
    let only = |name: &str| value[name].clone();
    match class {
        "Reasoning" => only("content"),
        "Code" => only("code"),
        class if class.starts_with("Code_") => only("code"),
        // What is not given is left out; the recorder keeps the attributes of the object.
        "ToolCall" | "ToolCalls" => {
            let given = value.as_object().into_iter().flatten();
            let given = given.filter(|(_, it)| !it.is_null());
            Value::Object(given.map(|(name, it)| (name.clone(), it.clone())).collect())
        }
        _ => value,
    }
}

/// Bytes that the recorder wrote one a character.
fn bytes(text: &str) -> String {
    let bytes: Vec<u8> = text.chars().filter_map(|c| u8::try_from(u32::from(c)).ok()).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Seconds as an ISO 8601 duration.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "they are small")]
fn duration(seconds: f64) -> String {
    let sign = if seconds < 0.0 { "-" } else { "" };
    let (total, micros) = (seconds.abs() as u64, (seconds.abs().fract() * 1e6).round() as u64);
    let (days, rest) = (total / 86_400, total % 86_400);
    let part = |n: u64, unit: &str| if n > 0 { format!("{n}{unit}") } else { String::new() };
    let fraction = format!("{micros:06}");
    let second = match fraction.trim_end_matches('0') {
        "" => part(rest % 60, "S"),
        fraction => format!("{}.{fraction}S", rest % 60),
    };
    let time = part(rest / 3600, "H") + &part(rest % 3600 / 60, "M") + &second;
    let date = part(days / 365, "Y") + &part(days % 365, "D");
    match (date.is_empty(), time.is_empty()) {
        (true, true) => "PT0S".to_owned(),
        (_, true) => format!("{sign}P{date}"),
        (_, false) => format!("{sign}P{date}T{time}"),
    }
}

/// A key of a dictionary as JSON writes it.
fn key(value: &Value) -> String {
    match &value["$int"] {
        Value::String(digits) => digits.clone(),
        _ => text(&plain(value)),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "None".to_owned(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

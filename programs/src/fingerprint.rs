//! Hashes of what is equal: one text for equal values, whatever the order of their keys.

use std::fmt::Write as _;

use dspy::Fields;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::Program;

/// Goes up when the engine starts to answer equal requests differently.
const GENERATION: u32 = 2;

/// The hash that equal requests of a program share.
pub(crate) fn of_request(program: &Program, inputs: &Fields, lm_overrides: &Fields) -> String {
    let mut effective = serde_json::to_value(&program.lm).unwrap_or_default();
    if let Value::Object(settings) = &mut effective {
        settings.extend(lm_overrides.clone());
    }
    let inputs = with_defaults(program, inputs);
    of(&json!([GENERATION, program.digest, inputs, effective]))
}

/// The digest of a program whose source is elsewhere: of what its file says, and of what was
/// fetched.
pub(crate) fn of_fetched(digest: &str, revision: Option<&str>) -> String {
    revision.map_or_else(|| digest.to_owned(), |it| of(&json!([digest, it])))
}

/// The hash of a value.
pub(crate) fn of(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    of_text(&text)
}

/// The hash of a text.
pub(crate) fn of_text(text: &str) -> String {
    of_bytes(text.as_bytes())
}

/// The hash of any bytes.
pub(crate) fn of_bytes(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// The inputs as the program sees them: a default and the same value given are the same request.
fn with_defaults(program: &Program, inputs: &Fields) -> Fields {
    let mut inputs = inputs.clone();
    let crate::Runtime::Native(module) = &program.runtime else { return inputs };
    for field in module.signature().inputs {
        if let Some(default) = field.default {
            inputs.entry(field.name).or_insert(default);
        }
    }
    inputs
}

/// Writes JSON without blanks, its keys in order.
///
/// `1` and `1.0` stay two values: they are two prompts. `1e3` and `1000.0` are one.
fn write(value: &Value, text: &mut String) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            let _ = write!(text, "{value}");
        }
        Value::Array(items) => {
            text.push('[');
            for item in items {
                write(item, text);
                text.push(',');
            }
            text.push(']');
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(key, _)| key.as_str());
            text.push('{');
            for (key, value) in fields {
                let _ = write!(text, "{}:", Value::from(key.as_str()));
                write(value, text);
                text.push(',');
            }
            text.push('}');
        }
    }
}

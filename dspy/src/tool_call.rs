//! A call of a tool, as models ask for it in the OpenAI protocol.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Fields, python::json::dumps_ascii};

/// A call of a tool that a model asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Wire", into = "Wire")]
pub struct ToolCall {
    /// What the tool's answer refers to.
    pub id: String,
    /// The tool.
    pub name: String,
    /// Its arguments.
    pub args: Fields,
}

/// `{"id", "type": "function", "function": {"name", "arguments"}}`
#[derive(Serialize, Deserialize)]
struct Wire {
    #[serde(default)]
    id: Option<String>,
    #[serde(default, rename = "type")]
    kind: String,
    function: Function,
}

#[derive(Serialize, Deserialize)]
struct Function {
    name: String,
    #[serde(default)]
    arguments: Value,
}

impl From<Wire> for ToolCall {
    fn from(wire: Wire) -> Self {
        let Function { name, arguments } = wire.function;
        Self { id: wire.id.unwrap_or_default(), name, args: arguments_of(arguments) }
    }
}

impl From<ToolCall> for Wire {
    fn from(ToolCall { id, name, args }: ToolCall) -> Self {
        let arguments = Value::String(dumps_ascii(&Value::Object(args)));
        Self { id: Some(id), kind: "function".to_owned(), function: Function { name, arguments } }
    }
}

/// The arguments that a provider gave: an object or its text. What is neither is kept under a name
/// that says so, as DSPy's client keeps it.
fn arguments_of(given: Value) -> Fields {
    let named = |name: &str, value: Value| {
        let mut fields = Fields::new();
        fields.insert(name.to_owned(), value);
        fields
    };
    match given {
        Value::Object(fields) => fields,
        Value::String(text) if !text.is_empty() => match serde_json::from_str(&text) {
            Ok(Value::Object(fields)) => fields,
            Ok(other) => named("value", other),
            Err(_) => named("partial_json", json!(text)),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Fields::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &Value) -> Value {
        let wire = json!({"id": "c", "type": "function",
            "function": {"name": "f", "arguments": arguments}});
        let call: ToolCall = serde_json::from_value(wire).unwrap();
        Value::Object(call.args)
    }

    #[test]
    fn arguments_are_read_in_every_form_that_providers_send() {
        assert_eq!(read(&json!("{\"a\": 1}")), json!({"a": 1}));
        assert_eq!(read(&json!({"a": 1})), json!({"a": 1}));
        assert_eq!(read(&json!("[1]")), json!({"value": [1]}));
        assert_eq!(read(&json!("{\"a\": ")), json!({"partial_json": "{\"a\": "}));
        assert_eq!(read(&json!("")), json!({}));
        assert_eq!(read(&Value::Null), json!({}));
    }

    #[test]
    fn a_call_is_written_as_the_package_writes_it() {
        let args = json!({"q": "é", "n": [1, 2]}).as_object().unwrap().clone();
        let call = ToolCall { id: "c1".into(), name: "f".into(), args };

        assert_eq!(
            serde_json::to_string(&call).unwrap(),
            r#"{"id":"c1","type":"function","function":"#.to_owned()
                + r#"{"name":"f","arguments":"{\"q\":\"\\u00e9\",\"n\":[1,2]}"}}"#
        );
    }
}

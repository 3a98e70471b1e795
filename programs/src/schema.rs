//! Whether inputs fit a JSON Schema, as pydantic writes them. What is not understood is accepted:
//! the program itself has the last word.

use dspy::{Fields, InputError, Mistyped};
use serde_json::{Map, Value};

/// How deep references may lead.
const DEPTH_MAX: usize = 64;

/// The longest value shown in a message.
const SHOWN_CHARS_MAX: usize = 60;

/// Checks that every required input is there, and that none is of another type.
pub(crate) fn check(schema: &Value, inputs: &Fields) -> Result<(), InputError> {
    let mut error = InputError::default();
    let names = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    error.missing = names.filter(|it| !inputs.contains_key(*it)).map(str::to_owned).collect();
    let checker = Checker { definitions: &schema["$defs"] };
    let known = schema["properties"].as_object();
    for (name, value) in inputs {
        let pointer = format!("/{}", token(name));
        let found = match known.and_then(|it| it.get(name)) {
            // Python takes None where a default says so, whatever the hint says.
            Some(_) if value.is_null() && !is_required(schema, name) => Ok(()),
            Some(property) => checker.check(property, value, &pointer, 0),
            None if schema["additionalProperties"] == false => {
                Err(Mistyped { pointer, message: "is no input of this program".to_owned() })
            }
            None => Ok(()),
        };
        error.mistyped.extend(found.err());
    }
    if error == InputError::default() { Ok(()) } else { Err(error) }
}

fn is_required(schema: &Value, name: &str) -> bool {
    schema["required"].as_array().is_some_and(|it| it.iter().any(|it| it == name))
}

struct Checker<'a> {
    definitions: &'a Value,
}

impl Checker<'_> {
    /// The first thing that is wrong with a value.
    fn check(
        &self,
        schema: &Value,
        value: &Value,
        pointer: &str,
        depth: usize,
    ) -> Result<(), Mistyped> {
        let wrong = |message: String| Err(Mistyped { pointer: pointer.to_owned(), message });
        if depth > DEPTH_MAX {
            return Ok(());
        }
        if let Some(name) = schema["$ref"].as_str().and_then(|it| it.strip_prefix("#/$defs/")) {
            return self.check(&self.definitions[name], value, pointer, depth + 1);
        }
        for of in ["anyOf", "oneOf"] {
            if let Some(schemas) = schema[of].as_array() {
                self.check_any(schemas, value, pointer, depth)?;
            }
        }
        for schema in schema["allOf"].as_array().into_iter().flatten() {
            self.check(schema, value, pointer, depth + 1)?;
        }
        if let Some(values) = schema["enum"].as_array()
            && !values.contains(value)
        {
            let shown: Vec<String> = values.iter().map(Value::to_string).collect();
            return wrong(format!("expected one of {}, got {}", shown.join(", "), show(value)));
        }
        if let Some(only) = schema.get("const").filter(|it| *it != value) {
            return wrong(format!("expected {only}, got {}", show(value)));
        }
        if let Some(name) = schema["type"].as_str().filter(|it| !is_of(it, value)) {
            return wrong(format!("expected {}, got {}", words(name), show(value)));
        }
        if let Some(message) = out_of_bounds(schema, value) {
            return wrong(message);
        }
        self.check_parts(schema, value, pointer, depth)
    }

    fn check_any(
        &self,
        schemas: &[Value],
        value: &Value,
        pointer: &str,
        depth: usize,
    ) -> Result<(), Mistyped> {
        let checked = schemas.iter().map(|it| (it, self.check(it, value, pointer, depth + 1)));
        let failed: Vec<_> = checked.collect();
        if failed.iter().any(|(_, it)| it.is_ok()) {
            return Ok(());
        }
        // Of `X | None`, what is wrong with it as an X is what helps.
        let mut real = failed.into_iter().filter(|(it, _)| it["type"] != "null");
        if let (Some((_, only)), None) = (real.next(), real.next()) {
            return only;
        }
        let message = format!("is of none of the allowed types, got {}", show(value));
        Err(Mistyped { pointer: pointer.to_owned(), message })
    }

    fn check_parts(
        &self,
        schema: &Value,
        value: &Value,
        pointer: &str,
        depth: usize,
    ) -> Result<(), Mistyped> {
        match value {
            Value::Array(items) => {
                let first = schema["prefixItems"].as_array().map_or(&[][..], Vec::as_slice);
                for (i, item) in items.iter().enumerate() {
                    let schema = first.get(i).unwrap_or(&schema["items"]);
                    self.check(schema, item, &format!("{pointer}/{i}"), depth + 1)?;
                }
                Ok(())
            }
            Value::Object(fields) => self.check_fields(schema, fields, pointer, depth),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
        }
    }

    fn check_fields(
        &self,
        schema: &Value,
        fields: &Map<String, Value>,
        pointer: &str,
        depth: usize,
    ) -> Result<(), Mistyped> {
        let required = schema["required"].as_array().into_iter().flatten();
        let mut missing = required.filter_map(Value::as_str).filter(|it| !fields.contains_key(*it));
        if let Some(name) = missing.next() {
            let message = format!("`{name}` is missing");
            return Err(Mistyped { pointer: pointer.to_owned(), message });
        }
        for (name, value) in fields {
            let pointer = format!("{pointer}/{}", token(name));
            match schema["properties"].get(name) {
                Some(schema) => self.check(schema, value, &pointer, depth + 1)?,
                None if schema["additionalProperties"] == false => {
                    return Err(Mistyped { pointer, message: "is not allowed here".to_owned() });
                }
                None => self.check(&schema["additionalProperties"], value, &pointer, depth + 1)?,
            }
        }
        Ok(())
    }
}

fn is_of(name: &str, value: &Value) -> bool {
    match name {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(is_whole),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        _ => true,
    }
}

fn is_whole(number: f64) -> bool {
    number.fract() == 0.0
}

fn words(name: &str) -> &str {
    match name {
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "an object",
        other => other,
    }
}

/// What is wrong with the size of a value.
fn out_of_bounds(schema: &Value, value: &Value) -> Option<String> {
    let bound = |name: &str| schema[name].as_f64();
    let (size, least, most) = match value {
        Value::Number(number) => {
            let number = number.as_f64()?;
            let above = bound("exclusiveMinimum").is_some_and(|it| number <= it);
            let below = bound("exclusiveMaximum").is_some_and(|it| number >= it);
            if above || below {
                return Some(format!("{number} is out of bounds"));
            }
            (number, bound("minimum"), bound("maximum"))
        }
        Value::String(text) => {
            (text.chars().count() as f64, bound("minLength"), bound("maxLength"))
        }
        Value::Array(items) => (items.len() as f64, bound("minItems"), bound("maxItems")),
        Value::Null | Value::Bool(_) | Value::Object(_) => return None,
    };
    let what = if value.is_number() { "" } else { "length " };
    match (least, most) {
        (Some(least), _) if size < least => {
            Some(format!("{what}{size} is less than the least allowed, {least}"))
        }
        (_, Some(most)) if size > most => {
            Some(format!("{what}{size} is more than the most allowed, {most}"))
        }
        _ => None,
    }
}

/// A name within a JSON pointer.
fn token(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn show(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// As pydantic writes it of `(question: str, times: int = 1, mood: Mood | None = None,
    /// people: list[Person] = [])`.
    fn schema() -> Value {
        json!({
            "type": "object", "required": ["question"], "additionalProperties": false,
            "properties": {
                "question": {"type": "string", "minLength": 1},
                "times": {"type": "integer", "default": 1, "exclusiveMinimum": 0},
                "mood": {"anyOf": [{"$ref": "#/$defs/Mood"}, {"type": "null"}], "default": null},
                "people": {"type": "array", "items": {"$ref": "#/$defs/Person"}},
            },
            "$defs": {
                "Mood": {"enum": ["happy", "sad"], "type": "string"},
                "Person": {
                    "type": "object", "required": ["name"],
                    "properties": {
                        "name": {"type": "string"},
                        "friends": {"type": "array", "items": {"$ref": "#/$defs/Person"}},
                    },
                },
            },
        })
    }

    fn wrong(inputs: Value) -> String {
        let Value::Object(inputs) = inputs else { panic!("an object") };
        check(&schema(), &inputs).unwrap_err().to_string()
    }

    #[test]
    fn what_fits_is_accepted() {
        for inputs in [
            json!({"question": "?"}),
            json!({"question": "?", "times": 2.0, "mood": "sad", "people": []}),
            json!({"question": "?", "times": null, "mood": null}),
            json!({"question": "?", "people": [{"name": "a", "friends": [{"name": "b"}], "x": 1}]}),
        ] {
            let Value::Object(inputs) = inputs else { panic!("an object") };
            assert_eq!(check(&schema(), &inputs), Ok(()), "{inputs:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_place() {
        assert_eq!(wrong(json!({})), "Missing required input fields: ['question']");
        let cases = [
            (json!({"question": 1}), "/question: expected text, got 1"),
            (json!({"question": ""}), "/question: length 0 is less than the least allowed, 1"),
            (json!({"question": "?", "times": "2"}), "/times: expected a whole number, got \"2\""),
            (json!({"question": "?", "times": 0}), "/times: 0 is out of bounds"),
            (
                json!({"question": "?", "mood": "odd"}),
                "/mood: expected one of \"happy\", \"sad\", got \"odd\"",
            ),
            (json!({"question": "?", "a/b": 1}), "/a~1b: is no input of this program"),
            (
                json!({"question": "?", "people": [{"name": "a", "friends": [{}]}]}),
                "/people/0/friends/0: `name` is missing",
            ),
        ];
        for (inputs, expected) in cases {
            assert_eq!(wrong(inputs), expected);
        }
    }

    #[test]
    fn a_schema_that_leads_in_circles_has_an_end() {
        let schema = json!({
            "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"$ref": "#/$defs/A"}},
        });
        let inputs = Fields::from_iter([("a".to_owned(), json!(1))]);
        assert_eq!(check(&schema, &inputs), Ok(()));
    }

    #[test]
    fn without_a_schema_any_object_is_accepted() {
        let inputs = Fields::from_iter([("a".to_owned(), json!([1]))]);
        assert_eq!(check(&json!({"type": "object"}), &inputs), Ok(()));
    }
}

//! Values of any type, out of a seed.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a value of any other of JSON's types goes one and the same way"
)]

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::Type;

const WORDS: [&str; 16] = [
    "amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "harbor", "inlet", "juniper",
    "kelp", "lagoon", "meadow", "north", "orchard", "pebble",
];

/// How many items a list gets.
const ITEMS: usize = 2;

/// The deepest nesting made of a schema.
const DEPTH_MAX: usize = 8;

/// A source of values.
pub(super) struct Values {
    state: [u8; 32],
    echo: Option<String>,
}

impl Values {
    pub(super) fn new(seed: [u8; 32], echo: Option<String>) -> Self {
        Self { state: seed, echo }
    }

    /// A value of the type; of a type of the program's own, one that the note describes.
    pub(super) fn of(&mut self, ty: &Type, note: &str, name: &str) -> Value {
        if !note.is_empty() && has_own(ty) {
            return self.described(note, name);
        }
        match ty {
            Type::Str | Type::Any => self.text(name).into(),
            Type::Int => self.below(11).into(),
            Type::Float => (self.below(101) as f64 / 100.0).into(),
            Type::Bool => (self.below(2) == 1).into(),
            Type::None => Value::Null,
            Type::List(item) | Type::TupleOf(item) | Type::Set(item) | Type::FrozenSet(item) => {
                (0..ITEMS).map(|_| self.of(item, "", name)).collect()
            }
            Type::BareList | Type::BareTuple | Type::BareSet | Type::BareFrozenSet => {
                (0..ITEMS).map(|_| Value::from(self.text(name))).collect()
            }
            Type::Tuple(items) => items.iter().map(|it| self.of(it, "", name)).collect(),
            Type::Dict(key, value) => {
                let key = match self.of(key, "", name) {
                    Value::String(key) => key,
                    other => other.to_string(),
                };
                Value::Object(Map::from_iter([(key, self.of(value, "", name))]))
            }
            Type::BareDict => json!({name: self.text(name)}),
            Type::Literal(values) => self.choice(values),
            Type::Union(args) => match args.iter().find(|it| **it != Type::None) {
                Some(ty) => self.of(ty, note, name),
                None => Value::Null,
            },
            Type::Scalar(_) | Type::Constrained(_) => {
                let schema = ty.json_schema();
                self.of_schema(&schema, &schema, name, 0)
            }
            Type::Dspy(_) | Type::Named(_) => self.described(note, name),
        }
    }

    /// A text that says where it comes from.
    pub(super) fn text(&mut self, name: &str) -> String {
        if let Some(echo) = &self.echo {
            return format!("(offline dummy model) {echo}");
        }
        let (first, second) = (self.word(), self.word());
        format!("(offline dummy model) {name}: {first} {second}")
    }

    /// A text of one of JSON Schema's formats.
    fn formatted(&mut self, format: &str, name: &str) -> String {
        let day = 1 + self.below(28);
        match format {
            "date" => format!("2024-02-{day:02}"),
            "date-time" => format!("2024-02-{day:02}T12:00:00Z"),
            "time" => format!("12:{day:02}:00"),
            "duration" => format!("P{day}D"),
            "uuid" => format!("00000000-0000-4000-8000-0000000000{day:02}"),
            _ => self.text(name),
        }
    }

    fn word(&mut self) -> &'static str {
        let at = self.below(WORDS.len() as u64);
        WORDS[usize::try_from(at).unwrap_or_default()]
    }

    fn choice(&mut self, values: &[Value]) -> Value {
        let at = self.below(values.len().max(1) as u64);
        values.get(usize::try_from(at).unwrap_or_default()).cloned().unwrap_or_default()
    }

    /// The next number below a bound.
    fn below(&mut self, bound: u64) -> u64 {
        self.state = Sha256::digest(self.state).into();
        let head = self.state.iter().take(8);
        head.fold(0, |number, byte| (number << 8) | u64::from(*byte)) % bound
    }

    fn described(&mut self, note: &str, name: &str) -> Value {
        if let Some(choices) = note.strip_prefix("must be one of: ") {
            let choices: Vec<_> = choices.split("; ").map(Value::from).collect();
            return self.choice(&choices);
        }
        let schema = note.strip_prefix("must adhere to the JSON schema: ");
        let schema = schema.and_then(|it| {
            // In a JSON prompt the schema is within a string, its quotes escaped.
            let plain = serde_json::from_str(it).ok();
            plain.or_else(|| serde_json::from_str(&it.replace("\\\"", "\"")).ok())
        });
        match schema {
            Some(schema) => {
                let schema: Value = schema;
                self.of_schema(&schema, &schema, name, 0)
            }
            None => self.text(name).into(),
        }
    }

    fn of_schema(&mut self, schema: &Value, root: &Value, name: &str, depth: usize) -> Value {
        if depth == DEPTH_MAX {
            return Value::Null;
        }
        if let Some(constant) = schema.get("const") {
            return constant.clone();
        }
        if let Some(choices) = schema["enum"].as_array() {
            return self.choice(choices);
        }
        if let Some(reference) = schema["$ref"].as_str() {
            let pointed = root.pointer(reference.trim_start_matches('#'));
            let pointed = pointed.unwrap_or(&Value::Null);
            return self.of_schema(pointed, root, name, depth + 1);
        }
        if let Some(first) = schema["anyOf"].get(0) {
            return self.of_schema(first, root, name, depth + 1);
        }
        match schema["type"].as_str().unwrap_or_default() {
            "string" => match schema["format"].as_str() {
                Some(format) => self.formatted(format, name).into(),
                None => self.text(name).into(),
            },
            "integer" => whole_within(schema, self.of(&Type::Int, "", name)),
            "number" => within(schema, self.of(&Type::Float, "", name)),
            "boolean" => self.of(&Type::Bool, "", name),
            "array" if schema["prefixItems"].is_array() => {
                let items = schema["prefixItems"].as_array().into_iter().flatten();
                items.map(|it| self.of_schema(it, root, name, depth + 1)).collect()
            }
            // A deeper list may hold its own kind for ever.
            "array" if depth > 2 => json!([]),
            "array" => {
                let items = 0..ITEMS;
                items.map(|_| self.of_schema(&schema["items"], root, name, depth + 1)).collect()
            }
            "object" => {
                let properties = schema["properties"].as_object().cloned().unwrap_or_default();
                let made = properties.iter().map(|(name, schema)| {
                    (name.clone(), self.of_schema(schema, root, name, depth + 1))
                });
                Value::Object(made.collect())
            }
            _ => Value::Null,
        }
    }
}

/// Whether a type is made of types of the program's own, which only its note describes.
pub(super) fn has_own(ty: &Type) -> bool {
    let mut names = Vec::new();
    ty.names(&mut names);
    !names.is_empty()
}

/// A whole number, moved into the bounds of its schema.
fn whole_within(schema: &Value, number: Value) -> Value {
    let bound = |key: &str| schema[key].as_i64();
    let least = bound("minimum").or(bound("exclusiveMinimum").map(|it| it.saturating_add(1)));
    let most = bound("maximum").or(bound("exclusiveMaximum").map(|it| it.saturating_sub(1)));
    let Some(own) = number.as_i64() else { return number };
    own.max(least.unwrap_or(i64::MIN)).min(most.unwrap_or(i64::MAX)).into()
}

/// A number, moved into the bounds of its schema.
fn within(schema: &Value, number: Value) -> Value {
    let bound = |key: &str| schema[key].as_f64();
    let least = bound("minimum").or(bound("exclusiveMinimum").map(f64::next_up));
    let most = bound("maximum").or(bound("exclusiveMaximum").map(f64::next_down));
    let Some(own) = number.as_f64() else { return number };
    own.max(least.unwrap_or(f64::MIN)).min(most.unwrap_or(f64::MAX)).into()
}

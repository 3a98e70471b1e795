//! The keywords of a schema, each with the sentence of `jsonschema`.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a keyword says nothing of values of other types"
)]

use serde_json::{Map, Value};

use super::{
    Checker,
    violation::{Place, Violation},
};
use crate::{
    pattern::Pattern,
    python::{object::Object, repr},
};

/// One keyword of a schema.
pub(super) struct Rule<'a> {
    pub(super) name: &'a str,
    pub(super) says: &'a Value,
    pub(super) schema: &'a Map<String, Value>,
    pub(super) depth: usize,
}

/// A value as Python shows it.
pub(super) fn shown(value: &Value) -> String {
    repr::repr(&Object::from(value))
}

pub(super) fn is_of_types(value: &Value, types: &Value) -> bool {
    match types {
        Value::Array(types) => types.iter().any(|it| is_of_types(value, it)),
        types => types.as_str().is_some_and(|it| is_of_type(value, it)),
    }
}

fn is_of_type(value: &Value, ty: &str) -> bool {
    match ty {
        "integer" => {
            let is_whole = |it: f64| it.fract() == 0.0;
            value.is_i64() || value.is_u64() || value.as_f64().is_some_and(is_whole)
        }
        "number" => value.is_number(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        _ => false,
    }
}

/// Equality of JSON: `1` is `1.0`, and not `true`.
fn is_equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(_), Value::Number(_)) => Object::from(a).equals(&b.into()),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_equal(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let has = |(name, value): (&String, &Value)| {
                b.get(name).is_some_and(|other| is_equal(value, other))
            };
            a.len() == b.len() && a.iter().all(has)
        }
        (a, b) => a == b,
    }
}

impl Checker<'_> {
    /// What is wrong by one keyword.
    pub(super) fn of_rule(&self, value: &Value, it: &Rule<'_>) -> Vec<Violation> {
        match (it.name, value) {
            ("$ref", value) => self.of_reference(value, it),
            ("allOf" | "anyOf" | "oneOf" | "not", value) => self.of_alternatives(value, it),
            ("properties" | "additionalProperties", Value::Object(members)) => {
                self.of_members(members, it)
            }
            ("items" | "prefixItems", Value::Array(items)) => self.of_items(items, it),
            _ => flat(value, it).map(|it| Violation::new("", it)).into_iter().collect(),
        }
    }

    fn of_reference(&self, value: &Value, it: &Rule<'_>) -> Vec<Violation> {
        let pointer = it.says.as_str().and_then(|it| it.strip_prefix('#'));
        let target = pointer.and_then(|it| self.root.pointer(it));
        target.map(|target| self.violations(value, target, it.depth + 1)).unwrap_or_default()
    }

    fn of_alternatives(&self, value: &Value, it: &Rule<'_>) -> Vec<Violation> {
        let depth = it.depth + 1;
        if it.name == "not" {
            let is_valid = self.is_valid(value, it.says, depth);
            let sentence =
                || format!("{} should not be valid under {}", shown(value), shown(it.says));
            return is_valid.then(|| Violation::new("", sentence())).into_iter().collect();
        }
        let schemas = it.says.as_array().map(Vec::as_slice).unwrap_or_default();
        let found: Vec<_> = schemas.iter().map(|it| self.violations(value, it, depth)).collect();
        if it.name == "allOf" {
            return found.into_iter().flatten().collect();
        }
        let valid: Vec<usize> = (0..found.len()).filter(|i| found[*i].is_empty()).collect();
        match valid.as_slice() {
            [] => {
                let message =
                    format!("{} is not valid under any of the given schemas", shown(value));
                vec![Violation::of_all(message, found.into_iter().flatten().collect())]
            }
            [first, more @ ..] if it.name == "oneOf" && !more.is_empty() => {
                let which = more.iter().chain([first]).map(|i| shown(&schemas[*i]));
                let which = which.collect::<Vec<_>>().join(", ");
                let message = format!("{} is valid under each of {which}", shown(value));
                vec![Violation::new("", message)]
            }
            _ => Vec::new(),
        }
    }

    fn of_members(&self, members: &Map<String, Value>, it: &Rule<'_>) -> Vec<Violation> {
        let inside = |name: &String, value: &Value, schema: &Value| {
            let found = self.violations(value, schema, it.depth + 1).into_iter();
            let name = name.clone();
            found.map(move |it| it.inside(Place::Member(name.clone()))).collect::<Vec<_>>()
        };
        if it.name == "properties" {
            let rules = it.says.as_object().into_iter().flatten();
            let known = rules.filter_map(|(name, schema)| {
                members.get(name).map(|value| inside(name, value, schema))
            });
            return known.flatten().collect();
        }
        let mut extra = extra_members(members, it.schema);
        match it.says {
            Value::Bool(false) if !extra.is_empty() => {
                extra.sort_unstable();
                let names = extra.iter().map(|it| repr::string(it)).collect::<Vec<_>>();
                let verb = if names.len() == 1 { "was" } else { "were" };
                let names = names.join(", ");
                let message =
                    format!("Additional properties are not allowed ({names} {verb} unexpected)");
                vec![Violation::new("", message)]
            }
            schema => {
                extra.into_iter().flat_map(|name| inside(name, &members[name], schema)).collect()
            }
        }
    }

    fn of_items(&self, items: &[Value], it: &Rule<'_>) -> Vec<Violation> {
        let inside = |at: usize, schema: &Value| {
            let found = self.violations(&items[at], schema, it.depth + 1).into_iter();
            found.map(move |it| it.inside(Place::Item(at))).collect::<Vec<_>>()
        };
        if it.name == "prefixItems" {
            let schemas = it.says.as_array().map(Vec::as_slice).unwrap_or_default();
            let places = 0..items.len().min(schemas.len());
            return places.flat_map(|at| inside(at, &schemas[at])).collect();
        }
        let prefix = it.schema.get("prefixItems").and_then(Value::as_array).map_or(0, Vec::len);
        let extra = items.len().saturating_sub(prefix);
        if it.says == &Value::Bool(false) && extra > 0 {
            let rest = match &items[prefix..] {
                [one] => shown(one),
                rest => shown(&rest.iter().cloned().collect()),
            };
            let noun = if prefix == 1 { "item" } else { "items" };
            let message =
                format!("Expected at most {prefix} {noun} but found {extra} extra: {rest}");
            return vec![Violation::new("", message)];
        }
        (prefix..items.len()).flat_map(|at| inside(at, it.says)).collect()
    }
}

fn extra_members<'a>(
    members: &'a Map<String, Value>,
    schema: &Map<String, Value>,
) -> Vec<&'a String> {
    let known = schema.get("properties").and_then(Value::as_object);
    members.keys().filter(|it| !known.is_some_and(|known| known.contains_key(*it))).collect()
}

/// The sentence of a keyword that looks at the value only, if it does not hold.
fn flat(value: &Value, it: &Rule<'_>) -> Option<String> {
    let bound = || it.says.as_u64().and_then(|it| usize::try_from(it).ok());
    match (it.name, value) {
        ("type", value) => (!is_of_types(value, it.says)).then(|| {
            let types = match it.says {
                Value::Array(types) => types.iter().map(shown).collect::<Vec<_>>().join(", "),
                ty => shown(ty),
            };
            format!("{} is not of type {types}", shown(value))
        }),
        ("enum", value) => {
            let is_one = it.says.as_array()?.iter().any(|it| is_equal(it, value));
            (!is_one).then(|| format!("{} is not one of {}", shown(value), shown(it.says)))
        }
        ("const", value) => {
            (!is_equal(it.says, value)).then(|| format!("{} was expected", shown(it.says)))
        }
        (_, Value::Number(_)) => of_number(value, it),
        ("pattern", Value::String(text)) => {
            let pattern: Pattern = it.says.as_str()?.parse().ok()?;
            let sentence = || format!("{} does not match {}", shown(value), shown(it.says));
            (!pattern.is_in(text)).then(sentence)
        }
        ("minLength", Value::String(text)) => short(value, text.chars().count(), bound()?),
        ("maxLength", Value::String(text)) => long(value, text.chars().count(), bound()?),
        ("minItems", Value::Array(items)) => short(value, items.len(), bound()?),
        ("maxItems", Value::Array(items)) => long(value, items.len(), bound()?),
        ("uniqueItems", Value::Array(items)) if it.says == &Value::Bool(true) => {
            let is_twice = |(i, item): (usize, &Value)| {
                items[i + 1..].iter().any(|other| is_equal(item, other))
            };
            let sentence = || format!("{} has non-unique elements", shown(value));
            items.iter().enumerate().any(is_twice).then(sentence)
        }
        ("required", Value::Object(members)) => {
            let names = it.says.as_array()?.iter().filter_map(Value::as_str);
            let missing = names.into_iter().find(|it| !members.contains_key(*it))?;
            Some(format!("{} is a required property", repr::string(missing)))
        }
        _ => None,
    }
}

fn short(value: &Value, len: usize, bound: usize) -> Option<String> {
    let what = if bound == 1 { "should be non-empty" } else { "is too short" };
    (len < bound).then(|| format!("{} {what}", shown(value)))
}

fn long(value: &Value, len: usize, bound: usize) -> Option<String> {
    let what = if bound == 0 { "is expected to be empty" } else { "is too long" };
    (len > bound).then(|| format!("{} {what}", shown(value)))
}

fn of_number(value: &Value, it: &Rule<'_>) -> Option<String> {
    let (number, bound) = (value.as_f64()?, it.says.as_f64()?);
    let (is_wrong, relation) = match it.name {
        "minimum" => (number < bound, "less than the minimum of"),
        "maximum" => (number > bound, "greater than the maximum of"),
        "exclusiveMinimum" => (number <= bound, "less than or equal to the minimum of"),
        "exclusiveMaximum" => (number >= bound, "greater than or equal to the maximum of"),
        "multipleOf" => ((number / bound).fract() != 0.0, "not a multiple of"),
        _ => return None,
    };
    is_wrong.then(|| format!("{} is {relation} {}", shown(value), shown(it.says)))
}

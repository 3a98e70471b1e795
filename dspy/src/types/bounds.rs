//! The bounds of a model's fields, which pydantic enforces.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a value of any other of Python's types goes one and the same way"
)]

use serde_json::{Map, Value};

use super::issue::Issue;
use crate::python::{
    object::{Int, Object},
    repr,
};

/// What a value breaks of its bounds.
pub(super) fn check(value: &Object, bounds: &Map<String, Value>) -> Result<(), Issue> {
    bounds.iter().try_for_each(|(name, bound)| one(value, name, bound))
}

fn one(value: &Object, name: &str, bound: &Value) -> Result<(), Issue> {
    let Some(limit) = bound.as_f64() else { return Ok(()) };
    let shown = repr::str(&bound.into());
    let (kind, is_kept, what) = match (name, number(value), length(value)) {
        ("gt", Some(it), _) => ("greater_than", it > limit, "greater than"),
        ("ge", Some(it), _) => ("greater_than_equal", it >= limit, "greater than or equal to"),
        ("lt", Some(it), _) => ("less_than", it < limit, "less than"),
        ("le", Some(it), _) => ("less_than_equal", it <= limit, "less than or equal to"),
        ("multiple_of", Some(it), _) => ("multiple_of", it % limit == 0.0, "a multiple of"),
        ("min_length", _, Some(it)) => ("too_short", it as f64 >= limit, "at least as long as"),
        ("max_length", _, Some(it)) => ("too_long", it as f64 <= limit, "at most as long as"),
        _ => return Ok(()),
    };
    if is_kept {
        Ok(())
    } else {
        Err(Issue::new(kind, format!("Input should be {what} {shown}"), value))
    }
}

fn number(value: &Object) -> Option<f64> {
    match value {
        Object::Int(Int::Small(small)) => Some(*small as f64),
        Object::Int(big @ Int::Big(_)) => Some(big.to_f64()),
        Object::Float(float) => Some(*float),
        _ => None,
    }
}

fn length(value: &Object) -> Option<usize> {
    match value {
        Object::Str(text) => Some(text.chars().count()),
        Object::List(items) | Object::Tuple(items) | Object::Set(items) => Some(items.len()),
        Object::Dict(dict) => Some(dict.len()),
        _ => None,
    }
}

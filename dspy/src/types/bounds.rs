//! The bounds of a model's fields, which pydantic enforces.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a value of any other of Python's types goes one and the same way"
)]

use serde_json::{Map, Value};

use super::issue::Issue;
use crate::python::object::{Int, Object};

/// In which order pydantic asks: what is broken first is what it says.
const ORDER: [&str; 7] = ["multiple_of", "le", "lt", "ge", "gt", "max_length", "min_length"];

/// How far a float may be from a multiple.
const TOLERANCE: f64 = 1e-9;

/// What a value breaks of its bounds.
pub(super) fn check(value: &Object, bounds: &Map<String, Value>) -> Result<(), Box<Issue>> {
    let in_order = ORDER.iter().filter_map(|name| Some((*name, bounds.get(*name)?)));
    in_order.into_iter().try_for_each(|(name, bound)| one(value, name, bound))
}

/// Whether a list is too long, which pydantic says instead of what is wrong with its items.
pub(super) fn check_longest(value: &Object, bounds: &Map<String, Value>) -> Result<(), Box<Issue>> {
    match (value, bounds.get("max_length")) {
        (Object::List(_), Some(bound)) => one(value, "max_length", bound),
        _ => Ok(()),
    }
}

fn one(value: &Object, name: &str, bound: &Value) -> Result<(), Box<Issue>> {
    let Some(limit) = bound.as_f64() else { return Ok(()) };
    let (kind, is_kept, what) = match (name, number(value), length(value)) {
        ("gt", Some(it), _) => ("greater_than", it > limit, "greater than"),
        ("ge", Some(it), _) => ("greater_than_equal", it >= limit, "greater than or equal to"),
        ("lt", Some(it), _) => ("less_than", it < limit, "less than"),
        ("le", Some(it), _) => ("less_than_equal", it <= limit, "less than or equal to"),
        ("multiple_of", Some(it), _) => {
            ("multiple_of", is_multiple(value, it, limit), "a multiple of")
        }
        ("min_length" | "max_length", _, Some(it)) => return sized(value, name, it, bound),
        _ => return Ok(()),
    };
    if is_kept {
        return Ok(());
    }
    let shown = if bound.is_f64() { limit.to_string() } else { bound.to_string() };
    Err(Box::new(Issue::new(kind, format!("Input should be {what} {shown}"), value)))
}

fn sized(value: &Object, name: &str, length: usize, bound: &Value) -> Result<(), Box<Issue>> {
    let limit = bound.as_f64().unwrap_or_default();
    let is_min = name == "min_length";
    let is_kept = if is_min { length as f64 >= limit } else { length as f64 <= limit };
    if is_kept {
        return Ok(());
    }
    let least = if is_min { "at least" } else { "at most" };
    let plural = if bound.as_u64() == Some(1) { "" } else { "s" };
    let (kind, message) = match (value, is_min) {
        (Object::Str(_), true) => ("string_too_short", "String should have"),
        (Object::Str(_), false) => ("string_too_long", "String should have"),
        (Object::List(_), true) => ("too_short", "List should have"),
        (Object::List(_), false) => ("too_long", "List should have"),
        (_, true) => ("too_short", "Value should have"),
        (_, false) => ("too_long", "Value should have"),
    };
    let message = match value {
        Object::Str(_) => format!("{message} {least} {limit} character{plural}"),
        _ => format!("{message} {least} {limit} item{plural} after validation, not {length}"),
    };
    Err(Box::new(Issue::new(kind, message, value)))
}

/// Whole numbers are divided exactly, others with pydantic's tolerance; what is no number, or
/// infinite, is not refused.
fn is_multiple(value: &Object, float: f64, of: f64) -> bool {
    if let Object::Int(int) = value {
        return int.is_multiple_of(of);
    }
    let nearest = (float / of).round() * of;
    let is_off = (float - nearest).abs() > TOLERANCE;
    !is_off
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn broken(value: f64, bounds: &Value) -> Option<String> {
        let bounds = bounds.as_object().cloned().unwrap_or_default();
        check(&Object::Float(value), &bounds).err().map(|it| it.message)
    }

    #[test]
    fn floats_are_multiples_within_a_billionth() {
        let even = json!({"multiple_of": 2});

        for near in [5e-32, -5e-32, 5e-324, 1e-9, 2.000_000_000_1, 1e300, f64::NAN, f64::INFINITY] {
            assert_eq!(broken(near, &even), None, "{near}");
        }
        for off in [1.1e-9, 2.000_000_004, 1e9 + 0.5, 1.0] {
            let message = "Input should be a multiple of 2".to_owned();
            assert_eq!(broken(off, &even), Some(message), "{off}");
        }
    }

    #[test]
    fn bounds_are_shown_as_pydantic_core_shows_them() {
        let shown = [(json!(2.0), "2"), (json!(1e-10), "0.0000000001"), (json!(0.5), "0.5")];

        for (bound, text) in shown {
            let message = format!("Input should be greater than {text}");
            assert_eq!(broken(-1.0, &json!({ "gt": bound })), Some(message));
        }
    }
}

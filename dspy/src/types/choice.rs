//! Values of a few: of a literal, of an enum's members.

use serde_json::Value;

use super::{
    coerce::{Coerced, refuse},
    fit::Fit,
};
use crate::python::{
    object::{Int, Object},
    repr,
};

/// `Literal`: the value that is the same, else one that is equal.
pub(super) fn literal(value: &Object, values: &[Value]) -> Coerced {
    let same = values.iter().find(|it| value.is_same(&(*it).into()));
    // A dictionary of them keeps the last of equals, and so does pydantic.
    let equal = || values.iter().rfind(|it| value.equals(&(*it).into()));
    if let Some(found) = same.or_else(equal) {
        return Ok((found.into(), Fit::EXACT));
    }
    none_of("literal_error", value, values)
}

/// An enum: the value of a member.
pub(super) fn enumerated(value: &Object, values: &[Value]) -> Coerced {
    if let Some(found) = values.iter().find(|it| value.equals(&(*it).into())) {
        return Ok((found.into(), Fit::LAX));
    }
    none_of("enum", value, values)
}

/// Refuses what is none of these values; pydantic looks for integers of 64 bits only.
fn none_of(kind: &'static str, value: &Object, values: &[Value]) -> Coerced {
    if let (Object::Int(Int::Big(_)), true) = (value, values.iter().any(Value::is_i64)) {
        let message = "Unable to parse input string as an integer, exceeded maximum size";
        return refuse("int_parsing_size", message, value);
    }
    let names: Vec<_> = values.iter().map(|it| repr::repr(&it.into())).collect();
    refuse(kind, &format!("Input should be {}", listed(&names)), value)
}

fn listed(names: &[String]) -> String {
    match names {
        [names @ .., last] if !names.is_empty() => format!("{} or {last}", names.join(", ")),
        names => names.join(""),
    }
}

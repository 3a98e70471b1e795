//! Values of a few: of a literal, of an enum's members.

use serde_json::Value;

use super::{
    Enum, EnumBase,
    coerce::{Coerced, float, int, refuse, text},
    fit::Fit,
};
use crate::python::{
    object::{Int, Object},
    repr,
};

/// `Literal`: the value that is the same, else one that is equal.
pub(super) fn literal(value: &Object, values: &[Value]) -> Coerced {
    let same = values.iter().find(|it| value.is_same(&(*it).into()));
    // A dictionary of them keeps the last of equals, and so does pydantic, which looks for plain
    // integers and texts last.
    let is_first = |it: &&Value| !(it.is_i64() || it.is_string());
    let equal = |it: &&Value| value.equals(&(*it).into());
    let others = || values.iter().filter(is_first).rfind(equal);
    let plain = || values.iter().rfind(equal);
    if let Some(found) = same.or_else(others).or_else(plain) {
        return Ok((found.into(), Fit::EXACT));
    }
    none_of("literal_error", value, values)
}

/// An enum: the value of a member, which may be given as what makes a value of its base.
pub(super) fn enumerated(value: &Object, its: &Enum) -> Coerced {
    let based = match its.base {
        EnumBase::None => None,
        EnumBase::Str | EnumBase::StrEnum => Some(text(value.clone())),
        EnumBase::Int | EnumBase::IntEnum => Some(int(value.clone())),
        EnumBase::Float => Some(float(value.clone())),
    };
    let values = its.values();
    let looked_up = match based {
        None => Some(value.clone()),
        // A text of too many digits is refused as the integer that it is.
        Some(Ok((big @ Object::Int(Int::Big(_)), _))) => return none_of("enum", &big, &values),
        Some(based) => based.ok().map(|(it, _)| it),
    };
    let is_it = |it: &&Value| looked_up.as_ref().is_some_and(|value| value.equals(&(*it).into()));
    match values.iter().find(is_it) {
        Some(found) => Ok((found.into(), Fit::LAX)),
        None => none_of("enum", value, &values),
    }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn float_is_taken_for_a_flag_before_an_integer() {
        let chosen = |value: f64, values: Value| {
            let values = values.as_array().cloned().unwrap_or_default();
            literal(&Object::Float(value), &values).ok().map(|(it, _)| it)
        };

        assert_eq!(chosen(-0.0, json!([0, "zero", false])), Some(Object::Bool(false)));
        assert_eq!(chosen(0.0, json!([false, "zero", 0])), Some(Object::Bool(false)));
        assert_eq!(chosen(1.0, json!([1, true])), Some(Object::Bool(true)));
        assert_eq!(chosen(1.0, json!([0, 1])), Some(Object::int(1)));
    }
}

//! What functions and methods give.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a value of any other of JSON's types is refused one and the same way"
)]

use std::cmp::Ordering;

use serde_json::Value;

use super::value::{Number, arithmetic, is_equal, is_true, order, type_name};
use crate::python::{object::Object, repr, text};

/// The longest text that `replace` may make, in bytes.
const TEXT_BYTES_MAX: usize = 1 << 20;

type Called = Result<Value, String>;

/// What a function gives; its number of arguments is checked.
pub(super) fn function(name: &str, arguments: &[Value]) -> Called {
    let [first, rest @ ..] = arguments else { return Err(format!("`{name}` takes arguments")) };
    match name {
        "len" => length(first),
        "min" => extreme(name, arguments, Ordering::Less),
        "max" => extreme(name, arguments, Ordering::Greater),
        "sum" => {
            let mut items = list(name, first)?.iter();
            items.try_fold(Value::from(0), |sum, it| arithmetic("+", &sum, it))
        }
        "abs" => match number(name, first)? {
            Number::Int(int) => {
                let float = Number::Float(int as f64);
                int.checked_abs().map_or(float, Number::Int).into_value()
            }
            Number::Float(float) => Number::Float(float.abs()).into_value(),
        },
        "round" => round(number(name, first)?, rest.first()),
        "int" => int(first),
        "float" => float(first),
        "str" => Ok(repr::str(&Object::from(first)).into()),
        "bool" => Ok(is_true(first).into()),
        "any" => Ok(list(name, first)?.iter().any(is_true).into()),
        "all" => Ok(list(name, first)?.iter().all(is_true).into()),
        _ => method(first, name, rest),
    }
}

/// What a method gives; its number of arguments is checked.
pub(super) fn method(value: &Value, name: &str, arguments: &[Value]) -> Called {
    let first = arguments.first();
    let second = arguments.get(1);
    match (value, name) {
        (Value::String(it), "lower") => Ok(it.to_lowercase().into()),
        (Value::String(it), "upper") => Ok(it.to_uppercase().into()),
        (Value::String(it), "strip") => Ok(text::strip(it).into()),
        (Value::String(it), "startswith") => Ok(it.starts_with(text_of(name, first)?).into()),
        (Value::String(it), "endswith") => Ok(it.ends_with(text_of(name, first)?).into()),
        (Value::String(it), "count") => Ok(it.matches(text_of(name, first)?).count().into()),
        (Value::String(it), "split") => split(it, first),
        (Value::String(it), "splitlines") => Ok(text::split_lines(it).into()),
        (Value::String(it), "isdigit") => {
            Ok((!it.is_empty() && it.chars().all(char::is_numeric)).into())
        }
        (Value::String(it), "replace") => {
            let (old, new) = (text_of(name, first)?, text_of(name, second)?);
            let len = it.len() + it.matches(old).count() * new.len();
            if len > TEXT_BYTES_MAX {
                return Err(format!("`replace` would make more than {TEXT_BYTES_MAX} bytes"));
            }
            Ok(it.replace(old, new).into())
        }
        (Value::Array(items), "count") => {
            let wanted = first.unwrap_or(&Value::Null);
            Ok(items.iter().filter(|it| is_equal(it, wanted)).count().into())
        }
        (Value::Object(members), "get") => {
            let found = first.and_then(Value::as_str).and_then(|it| members.get(it));
            Ok(found.or(second).cloned().unwrap_or_default())
        }
        (Value::Object(members), "keys") => Ok(members.keys().cloned().collect()),
        (Value::Object(members), "values") => Ok(members.values().cloned().collect()),
        (value, _) => Err(format!("'{}' has no `{name}`", type_name(value))),
    }
}

fn text_of<'a>(name: &str, value: Option<&'a Value>) -> Result<&'a str, String> {
    let text = value.and_then(Value::as_str);
    text.ok_or_else(|| {
        let given = value.map_or("nothing", type_name);
        format!("`{name}` wants a text, and '{given}' is given")
    })
}

fn number(name: &str, value: &Value) -> Result<Number, String> {
    let wrong = || format!("`{name}` wants a number, and '{}' is given", type_name(value));
    Number::of(value).ok_or_else(wrong)
}

fn list<'a>(name: &str, value: &'a Value) -> Result<&'a [Value], String> {
    let wrong = || format!("`{name}` wants a list, and '{}' is given", type_name(value));
    value.as_array().map(Vec::as_slice).ok_or_else(wrong)
}

fn length(value: &Value) -> Called {
    match value {
        Value::String(text) => Ok(text.chars().count().into()),
        Value::Array(items) => Ok(items.len().into()),
        Value::Object(members) => Ok(members.len().into()),
        other => Err(format!("'{}' has no length", type_name(other))),
    }
}

/// The first of the smallest or the greatest.
fn extreme(name: &str, arguments: &[Value], wanted: Ordering) -> Called {
    let items = match arguments {
        [one] => list(name, one)?,
        several => several,
    };
    let [first, rest @ ..] = items else { return Err(format!("`{name}` of an empty list")) };
    let mut best = first;
    for item in rest {
        if order(item, best)? == Some(wanted) {
            best = item;
        }
    }
    Ok(best.clone())
}

/// To whole numbers, or to so many decimals; halves go to the even one.
fn round(number: Number, decimals: Option<&Value>) -> Called {
    let Some(decimals) = decimals else {
        return match number {
            Number::Int(int) => Ok(int.into()),
            Number::Float(float) => whole(float.round_ties_even()),
        };
    };
    let decimals = decimals.as_u64().filter(|it| *it <= 15).and_then(|it| usize::try_from(it).ok());
    let decimals = decimals.ok_or("`round` takes 0 to 15 decimals")?;
    match number {
        Number::Int(int) => Ok(int.into()),
        Number::Float(float) => {
            let text = format!("{float:.decimals$}");
            text.parse().map(Number::Float).map_err(|_| "no number".to_owned())?.into_value()
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the bounds are checked")]
fn whole(float: f64) -> Called {
    const BOUND: f64 = 9.2e18;
    if float.abs() < BOUND { Ok((float as i64).into()) } else { Number::Float(float).into_value() }
}

fn int(value: &Value) -> Called {
    match (value, Number::of(value)) {
        (_, Some(Number::Int(int))) => Ok(int.into()),
        (_, Some(Number::Float(float))) => whole(float.trunc()),
        (Value::String(it), None) => match text::strip(it).parse::<i64>() {
            Ok(int) => Ok(int.into()),
            Err(_) => Err(format!("{} is no whole number", repr::string(it))),
        },
        (other, None) => Err(format!("'{}' is no number", type_name(other))),
    }
}

fn float(value: &Value) -> Called {
    match (value, Number::of(value)) {
        (_, Some(number)) => Number::Float(number.float()).into_value(),
        (Value::String(it), None) => match text::strip(it).parse::<f64>() {
            Ok(float) => Number::Float(float).into_value(),
            Err(_) => Err(format!("{} is no number", repr::string(it))),
        },
        (other, None) => Err(format!("'{}' is no number", type_name(other))),
    }
}

/// At blanks, or at a separator.
fn split(text: &str, separator: Option<&Value>) -> Called {
    let Some(separator) = separator.filter(|it| !it.is_null()) else {
        return Ok(text.split(text::is_space).filter(|it| !it.is_empty()).collect());
    };
    match text_of("split", Some(separator))? {
        "" => Err("empty separator".to_owned()),
        separator => Ok(text.split(separator).collect()),
    }
}

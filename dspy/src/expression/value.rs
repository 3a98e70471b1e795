//! What Python makes of JSON values: truth, order, arithmetic.

use std::cmp::Ordering;

use serde_json::Value;

use crate::python::{object::Object, repr};

/// A number of 64 bits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Int(i64),
    Float(f64),
}

impl Number {
    /// The number that a value is; `True` is 1.
    pub(super) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(flag) => Some(Self::Int(i64::from(*flag))),
            Value::Number(number) => match number.as_i64() {
                Some(int) => Some(Self::Int(int)),
                None => number.as_f64().map(Self::Float),
            },
            Value::Null | Value::String(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    pub(super) fn float(self) -> f64 {
        match self {
            Self::Int(int) => int as f64,
            Self::Float(float) => float,
        }
    }

    pub(super) fn into_value(self) -> Result<Value, String> {
        match self {
            Self::Int(int) => Ok(int.into()),
            Self::Float(float) if float.is_finite() => Ok(float.into()),
            Self::Float(float) => Err(format!("the result is {}", repr::float(float))),
        }
    }
}

pub(super) fn number(value: &Value) -> Option<f64> {
    Number::of(value).map(Number::float)
}

/// The value in words, for errors.
pub(super) fn shown(value: &Value) -> String {
    const SHOWN: usize = 60;
    let text = repr::repr(&Object::from(value));
    let short: String = text.chars().take(SHOWN).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}

/// Python's name of its type.
pub(super) fn type_name(value: &Value) -> &'static str {
    Object::from(value).type_name()
}

pub(super) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
    }
}

pub(super) fn is_equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_equal(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let has = |(name, value): (&String, &Value)| {
                b.get(name).is_some_and(|other| is_equal(value, other))
            };
            a.len() == b.len() && a.iter().all(has)
        }
        (a, b) => Object::from(a).equals(&b.into()),
    }
}

/// The order of two values, if they have one. Nothing is before or after what is no number.
pub(super) fn order(a: &Value, b: &Value) -> Result<Option<Ordering>, String> {
    match (a, b, Number::of(a), Number::of(b)) {
        (_, _, Some(Number::Int(a)), Some(Number::Int(b))) => Ok(Some(a.cmp(&b))),
        (_, _, Some(a), Some(b)) => Ok(a.float().partial_cmp(&b.float())),
        (Value::String(a), Value::String(b), ..) => Ok(Some(a.cmp(b))),
        (Value::Array(a), Value::Array(b), ..) => {
            for (a, b) in a.iter().zip(b) {
                if !is_equal(a, b) {
                    return order(a, b);
                }
            }
            Ok(Some(a.len().cmp(&b.len())))
        }
        (a, b, ..) => {
            Err(format!("'{}' and '{}' cannot be compared by size", type_name(a), type_name(b)))
        }
    }
}

/// `a in b`
pub(super) fn contains(b: &Value, a: &Value) -> Result<bool, String> {
    match (b, a) {
        (Value::String(text), Value::String(part)) => Ok(text.contains(part.as_str())),
        (Value::Array(items), a) => Ok(items.iter().any(|it| is_equal(it, a))),
        (Value::Object(members), Value::String(name)) => Ok(members.contains_key(name)),
        (b, a) => Err(format!("a '{}' cannot be looked for in a '{}'", type_name(a), type_name(b))),
    }
}

/// `+ - * / // %`
pub(super) fn arithmetic(operator: &str, a: &Value, b: &Value) -> Result<Value, String> {
    if operator == "+" {
        match (a, b) {
            (Value::String(a), Value::String(b)) => return Ok(format!("{a}{b}").into()),
            (Value::Array(a), Value::Array(b)) => return Ok(a.iter().chain(b).cloned().collect()),
            _ => {}
        }
    }
    let (Some(x), Some(y)) = (Number::of(a), Number::of(b)) else {
        let (a, b) = (type_name(a), type_name(b));
        return Err(format!("`{operator}` does not work for '{a}' and '{b}'"));
    };
    if matches!(operator, "/" | "//" | "%") && y.float() == 0.0 {
        return Err("division by zero".to_owned());
    }
    let whole = match (x, y) {
        (Number::Int(x), Number::Int(y)) => of_ints(operator, x, y),
        (Number::Int(_) | Number::Float(_), _) => None,
    };
    whole.unwrap_or_else(|| Number::Float(of_floats(operator, x.float(), y.float()))).into_value()
}

/// The whole result, if it is whole and fits.
fn of_ints(operator: &str, x: i64, y: i64) -> Option<Number> {
    let result = match operator {
        "+" => x.checked_add(y),
        "-" => x.checked_sub(y),
        "*" => x.checked_mul(y),
        "//" => {
            let quotient = x.checked_div(y)?;
            let is_inexact = x.checked_rem(y)? != 0;
            Some(if is_inexact && (x < 0) != (y < 0) { quotient - 1 } else { quotient })
        }
        "%" => {
            let rest = x.checked_rem(y)?;
            Some(if rest != 0 && (rest < 0) != (y < 0) { rest + y } else { rest })
        }
        _ => None,
    };
    result.map(Number::Int)
}

fn of_floats(operator: &str, x: f64, y: f64) -> f64 {
    match operator {
        "+" => x + y,
        "-" => x - y,
        "*" => x * y,
        "/" => x / y,
        "//" => (x / y).floor(),
        _ => {
            let rest = x % y;
            if rest != 0.0 && (rest < 0.0) != (y < 0.0) { rest + y } else { rest }
        }
    }
}

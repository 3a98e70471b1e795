//! The types of fields.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Mistyped;

/// The type of a field, as Python annotates it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Type {
    /// `str`
    Str,
    /// `int`
    Int,
    /// `float`
    Float,
    /// `bool`
    Bool,
    /// `list[…]`
    List(Box<Type>),
    /// `Literal[…]`
    Literal(Vec<Value>),
}

/// An annotation that is no type the native engine knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TypeError(pub String);

impl Type {
    /// The type of a Python annotation: `list[str]`, `Literal['a', 'b']`.
    pub fn parse(annotation: &str) -> Result<Self, TypeError> {
        match annotation.trim() {
            "str" => Ok(Self::Str),
            "int" => Ok(Self::Int),
            "float" => Ok(Self::Float),
            "bool" => Ok(Self::Bool),
            other => Err(TypeError(format!("unknown type {other}"))),
        }
    }

    /// The JSON Schema of values of this type.
    pub fn json_schema(&self) -> Value {
        match self {
            Self::Str => json!({"type": "string"}),
            Self::Int => json!({"type": "integer"}),
            Self::Float => json!({"type": "number"}),
            Self::Bool => json!({"type": "boolean"}),
            Self::List(item) => json!({"items": item.json_schema(), "type": "array"}),
            Self::Literal(values) => json!({"enum": values}),
        }
    }

    pub(crate) fn check(&self, _value: &Value, _pointer: &str, _wrong: &mut Vec<Mistyped>) {}
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

//! `Decimal`, `UUID` and `bytes`, as pydantic makes them of other values.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a value of any other of Python's types goes one and the same way"
)]

use uuid::Uuid;

use super::{
    coerce::{Coerced, refuse},
    fit::Fit,
};
use crate::python::{
    decimal::{self, Decimal},
    object::Object,
    repr,
};

/// `decimal.Decimal`; a float is what Python prints of it.
pub(super) fn decimal(value: &Object) -> Coerced {
    let text = match value {
        Object::Str(text) => text.clone(),
        Object::Int(int) => int.to_string(),
        Object::Float(float) => repr::float(*float),
        other => {
            let message = "Decimal input should be an integer, float, string or Decimal object";
            return refuse("decimal_type", message, other);
        }
    };
    match decimal::parse(&text) {
        Some(Decimal::Finite(printed)) => Ok((Object::Decimal(printed), Fit::LAX)),
        Some(Decimal::Special) => refuse("finite_number", "Input should be a finite number", value),
        None => refuse("decimal_parsing", "Input should be a valid decimal", value),
    }
}

/// `uuid.UUID`: its text, or its 16 bytes.
pub(super) fn uuid(value: &Object) -> Coerced {
    let parsed = match value {
        Object::Str(text) => Uuid::parse_str(text),
        Object::Bytes(bytes) => match std::str::from_utf8(bytes).map(Uuid::parse_str) {
            Ok(Ok(uuid)) => Ok(uuid),
            Ok(Err(_)) | Err(_) => Uuid::from_slice(bytes),
        },
        other => {
            let message = "UUID input should be a string, bytes or UUID object";
            return refuse("uuid_type", message, other);
        }
    };
    match parsed {
        Ok(uuid) => Ok((Object::Str(uuid.to_string()), Fit::LAX)),
        Err(error) => {
            refuse("uuid_parsing", &format!("Input should be a valid UUID, {error}"), value)
        }
    }
}

/// `bytes`: those of a text in UTF-8.
pub(super) fn bytes(value: Object) -> Coerced {
    match value {
        Object::Bytes(_) => Ok((value, Fit::EXACT)),
        Object::Str(text) => Ok((Object::Bytes(text.into_bytes()), Fit::LAX)),
        other => refuse("bytes_type", "Input should be a valid bytes", &other),
    }
}

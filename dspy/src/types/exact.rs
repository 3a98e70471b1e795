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
            let why = match value {
                Object::Str(text) => why_no_uuid(text),
                _ => error.to_string(),
            };
            refuse("uuid_parsing", &format!("Input should be a valid UUID, {why}"), value)
        }
    }
}

/// What is said where the last part of a UUID is too long or too short, up to its length.
const LAST_GROUP: &str = "invalid group length in group 4: expected 12, found";

/// Why a text is none, in pydantic's words: it looks at the lowest byte of a character, and takes
/// `İ` for a digit and `ĭ` for a hyphen; braces and `urn:uuid:` count for the last group's length.
fn why_no_uuid(text: &str) -> String {
    let mut seen = String::with_capacity(text.len());
    for c in text.chars() {
        let low = char::from(u32::from(c).to_le_bytes()[0]);
        if c.is_ascii() || !(low.is_ascii_hexdigit() || low == '-') {
            seen.push(c);
        } else {
            seen.push(low);
            seen.extend(std::iter::repeat_n('0', c.len_utf8() - 1));
        }
    }
    let last = || format!("{LAST_GROUP} {}", seen.len() - "00000000-0000-0000-0000-".len());
    match Uuid::parse_str(&seen).map_err(|it| it.to_string()) {
        Err(why) if why.starts_with(LAST_GROUP) => last(),
        Err(why) => why,
        Ok(_) if !seen.contains('-') => format!("invalid length: found {}", seen.len()),
        Ok(_) => last(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_a_text_is_no_uuid_is_said_as_pydantic_says_it() {
        let zeros = "0".repeat(30);
        let cases = [
            ("İ", "invalid length: found 2"),
            ("aé", "invalid character: found `é` at 1"),
            ("İé", "invalid character: found `é` at 2"),
            ("-İ", "invalid group count: expected 5, found 2"),
            (&format!("{zeros}İ"), "invalid length: found 32"),
            (
                "{12345678-1234-5678-1234-56781235678}",
                "invalid group length in group 4: expected 12, found 13",
            ),
            (
                "12345678ĭ123-1234-1234-123456789012",
                "invalid group length in group 4: expected 12, found 12",
            ),
            (
                "12345678ĭ1234-1234-1234-123456789012",
                "invalid group length in group 1: expected 4, found 5",
            ),
        ];

        for (text, want) in cases {
            assert_eq!(why_no_uuid(text), want, "{text}");
        }
    }
}

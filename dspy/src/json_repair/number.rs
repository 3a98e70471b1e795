//! Numbers, and what begins like one.

use super::parser::{Context, Parser, Repaired};
use crate::python::{
    json_read::DIGITS_MAX,
    object::{Int, Object},
    unicode::is_alpha,
};

const NUMBER_CHARS: &str = "0123456789-.eE/,_";

impl Parser {
    pub(super) fn parse_number(&mut self) -> Repaired {
        let start = self.index;
        let in_array = self.current() == Some(Context::Array);
        let mut text = String::new();
        while let Some(c) = self.here() {
            let is_sign = c == '+' && text.ends_with(['e', 'E']);
            if !(NUMBER_CHARS.contains(c) || is_sign) || (in_array && c == ',') {
                break;
            }
            if c != '_' {
                text.push(c);
            }
            self.index += 1;
        }
        if self.here().is_some_and(is_alpha) {
            self.index = start;
            return self.parse_string();
        }
        if text.ends_with(['+', '-', 'e', 'E', '/', ',']) {
            text.pop();
            self.index -= 1;
        }
        Ok(value(text))
    }
}

/// The number, or the text where Python makes no number of it.
fn value(text: String) -> Object {
    if text.contains(',') {
        return Object::Str(text);
    }
    if text.contains(['.', 'e', 'E']) {
        return text.parse().map_or(Object::Str(text), Object::Float);
    }
    let digits = text.strip_prefix('-').unwrap_or(&text);
    let is_int = !digits.is_empty()
        && digits.len() <= DIGITS_MAX
        && digits.bytes().all(|b| b.is_ascii_digit());
    if is_int {
        return Object::Int(Int::from_digits(text.starts_with('-'), digits));
    }
    Object::Str(text)
}

//! Arrays, and what stands in parentheses.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a value of any other of Python's types goes one and the same way"
)]

use super::parser::{Context, Parser, Repaired, is_delimiter, one_of};
use crate::python::object::Object;

impl Parser {
    /// The items up to the closing delimiter; the opening one has been read.
    pub(super) fn parse_array(&mut self, close: char) -> Repaired<Vec<Object>> {
        let is_object_value = self.current() == Some(Context::ObjectValue);
        self.context.push(Context::Array);
        let items = self.array_items(close, is_object_value);
        self.context.pop();
        items
    }

    fn array_items(&mut self, close: char, is_object_value: bool) -> Repaired<Vec<Object>> {
        let mut items: Vec<Object> = Vec::new();
        loop {
            self.skip_whitespace_and_comments();
            let Some(c) = self.here().filter(|c| *c != close && *c != '}') else { break };
            if c == ',' {
                self.index += 1;
                continue;
            }
            let value = if !is_delimiter(Some(c)) {
                self.parse_json()?
            } else if !self.string_is_key(c) {
                self.parse_string()?
            } else {
                if is_object_value && !items.is_empty() && items.iter().all(is_scalar) {
                    return Ok(items);
                }
                self.deeper(Self::parse_object)?
            };
            if is_strictly_empty(&value) && !one_of(self.here(), &[close, ',']) {
                self.index += 1;
            } else if !(is_dots(&value) && self.char_at(-1) == Some('.')) {
                items.push(value);
            }
        }
        self.index += 1;
        Ok(items)
    }

    /// Whether a colon follows the string: then an object begins without its brace.
    fn string_is_key(&self, delimiter: char) -> bool {
        let end = self.skip_to(&[delimiter], 1);
        self.char_at(self.scroll(end + 1)) == Some(':')
    }

    pub(super) fn parse_parenthesized(&mut self) -> Repaired {
        let is_tuple = self.parenthesized_is_explicit_tuple();
        self.index += 1;
        let mut values = self.parse_array(')')?;
        if is_tuple || values.len() != 1 {
            return Ok(Object::List(values));
        }
        Ok(values.remove(0))
    }
}

fn is_scalar(value: &Object) -> bool {
    !matches!(value, Object::List(_) | Object::Dict(_))
}

fn is_dots(value: &Object) -> bool {
    matches!(value, Object::Str(text) if text == "...")
}

fn is_strictly_empty(value: &Object) -> bool {
    match value {
        Object::Str(text) => text.is_empty(),
        Object::List(items) => items.is_empty(),
        Object::Dict(dict) => dict.is_empty(),
        _ => false,
    }
}

//! Expressions over the fields of a program: when a chain may stop, what an attempt is worth.
//!
//! A small part of Python, with Python's meaning where it looks like Python, and nothing that can
//! run long or do anything: no loops, no assignment, no attributes, no calls but those below.
//!
//! | what | how |
//! |---|---|
//! | values | `1`, `2.5`, `1e3`, `'text'`, `"text"`, `True`, `False`, `None`, `[1, 2]`, fields |
//! | arithmetic | `+ - * / // %` and `-x`; `+` also joins texts and lists |
//! | comparison | `== != < <= > >=`, chained as in `0 <= score <= 1`; `in`, `not in` |
//! | logic | `and`, `or`, `not`; `a if condition else b` |
//! | parts | `items[0]`, `items[-1]`, `person['name']` |
//! | functions | `len min max sum abs round int float str bool lower upper any all` |
//! | methods of texts | `lower upper strip startswith endswith count split replace` |
//! | | `splitlines isdigit` |
//! | methods of dicts and lists | `get keys values`, `count` |
//!
//! Field names are the names of inputs and outputs; an output hides an input of its name. A text
//! that is no expression is refused when it is read, a name that nobody makes when the program is
//! loaded; what goes wrong later names the place: `column 9: 'str' and 'int' cannot be added`.
//!
//! Numbers are 64 bits: an integer that would not fit becomes a float, which Python's would not.

mod call;
mod evaluate;
mod function;
mod parse;
mod read;
mod value;

use std::{fmt, str::FromStr};

use serde_json::Value;

use crate::Fields;
use read::{Node, NodeKind};

/// The longest expression, in characters.
const CHARS_MAX: usize = 4000;

/// An expression that was read and can be evaluated at any time, in time bounded by its length
/// and that of the fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression {
    text: String,
    root: Node,
}

/// Why a text is no expression, or why an expression has no value; with the place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {message}")]
pub struct ExpressionError {
    /// The place in the expression, from 1.
    pub column: usize,
    /// What is wrong there.
    pub message: String,
}

impl ExpressionError {
    fn at(column: usize, message: impl Into<String>) -> Self {
        Self { column, message: message.into() }
    }
}

impl Expression {
    /// The names of fields in it, with their columns, in order.
    pub fn names(&self) -> Vec<(&str, usize)> {
        let mut names = Vec::new();
        self.root.each(&mut |node| {
            if let NodeKind::Name(name) = &node.kind {
                names.push((name.as_str(), node.column));
            }
        });
        names
    }

    /// Checks that every name in it is one of these.
    pub fn check(&self, is_known: impl Fn(&str) -> bool) -> Result<(), ExpressionError> {
        let names = self.names();
        let unknown = names.into_iter().find(|(name, _)| !is_known(name));
        unknown.map_or(Ok(()), |(name, column)| {
            Err(ExpressionError::at(column, format!("there is no field `{name}`")))
        })
    }

    /// Its value. Of two sets with a field of one name the earlier counts.
    pub fn value(&self, fields: &[&Fields]) -> Result<Value, ExpressionError> {
        evaluate::value(&self.root, fields)
    }

    /// Whether Python takes its value for true.
    pub fn is_true(&self, fields: &[&Fields]) -> Result<bool, ExpressionError> {
        self.value(fields).map(|it| value::is_true(&it))
    }

    /// Its value as a number; `True` is 1.
    pub fn number(&self, fields: &[&Fields]) -> Result<f64, ExpressionError> {
        let value = self.value(fields)?;
        let wrong = || format!("the value is no number, but {}", value::shown(&value));
        value::number(&value).ok_or_else(|| ExpressionError::at(1, wrong()))
    }
}

impl FromStr for Expression {
    type Err = ExpressionError;

    fn from_str(text: &str) -> Result<Self, ExpressionError> {
        if text.chars().count() > CHARS_MAX {
            let message = format!("an expression has at most {CHARS_MAX} characters");
            return Err(ExpressionError::at(CHARS_MAX, message));
        }
        Ok(Self { text: text.to_owned(), root: parse::parse(text)? })
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests;

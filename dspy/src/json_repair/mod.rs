//! `json_repair.loads`: JSON out of what a model wrote, by the heuristics of the Python package
//! `json_repair` 0.64.6.
//!
//! A port, function by function, because which of two readings of a broken text wins is decided
//! by the order of its rules. The names are the package's, so that the two can be laid side by
//! side. It knows no types and no signatures.

mod array;
mod comma;
mod comment;
mod container;
mod escape;
mod next;
mod number;
mod object;
mod object_empty;
mod parenthesized;
mod parser;
mod quote;
mod rows;
mod string;
mod string_entry;
mod top;

use crate::{
    Uncaught,
    python::{
        json_read::{self, ReadError},
        object::Object,
    },
};
use parser::Parser;

/// Why a text gives no value at all, where the package raises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RepairError {
    /// It is valid, and nested too deeply.
    #[error("maximum recursion depth exceeded")]
    ValidTooDeep,
    /// It is nested too deeply.
    #[error("Input nesting exceeds the supported parser recursion depth.")]
    TooDeep,
    /// It would take too long.
    #[error("Input takes too many steps to repair.")]
    TooMuchWork,
    /// A whole JSON block stands where a key should be.
    #[error("An object's key is not text.")]
    KeyNotText,
}

impl RepairError {
    /// What is raised, if it is no `ValueError`.
    pub(crate) fn uncaught(self) -> Option<Uncaught> {
        match self {
            Self::ValidTooDeep => Some(Uncaught::Recursion),
            Self::TooDeep | Self::TooMuchWork => None,
            Self::KeyNotText => Some(Uncaught::Assertion),
        }
    }
}

/// The value that a text holds or seems to hold; the empty string if it holds none.
#[inline]
pub(crate) fn loads(text: &str) -> Result<Object, RepairError> {
    let mut value = Object::None;
    match json_read::loads(text, &mut value) {
        Ok(()) => Ok(value),
        Err(ReadError::TooDeep) => Err(RepairError::ValidTooDeep),
        Err(ReadError::Invalid) => Parser::new(text.chars().collect()).parse(),
    }
}

//! What can go wrong with a program, by whose business it is.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A failure to get or to prepare a program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The client's: there is no such program.
    #[error("Model {0} not found in registry")]
    NotFound(String),
    /// The client's: the program has several signatures, and a request must say which.
    #[error("{id} has several signatures, and none that runs by itself; name one: {choices}")]
    Unchosen {
        /// What was asked for.
        id: String,
        /// What can be asked for instead.
        choices: String,
    },
    /// The client's: an override of the LM settings that is not allowed or not understood.
    #[error("lm.{key}: {problem}")]
    Override {
        /// The key of the override.
        key: String,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// The operator's: the program is known, but this version has no runtime for it.
    #[error("{0}")]
    NotRunnable(String),
}

/// A program file that cannot be loaded: where it is wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadError {
    /// The file, or the id under which the text was sent.
    pub origin: String,
    /// The line, from 1; absent when the whole file is meant.
    pub line: Option<u32>,
    /// The column, from 1.
    pub column: Option<u32>,
    /// The path of the key: `signatures.draft.inputs.tone`; empty when the whole file is meant.
    pub key: String,
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    pub fix: String,
}

impl LoadError {
    /// An error of the whole file.
    pub(crate) fn whole(origin: &str, problem: impl Into<String>, fix: impl Into<String>) -> Self {
        let (origin, key) = (origin.to_owned(), String::new());
        Self { origin, line: None, column: None, key, problem: problem.into(), fix: fix.into() }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, line, column, key, problem, fix } = self;
        write!(f, "{origin}")?;
        if let (Some(line), Some(column)) = (line, column) {
            write!(f, ":{line}:{column}")?;
        }
        if !key.is_empty() {
            write!(f, ": {key}")?;
        }
        write!(f, ": {problem}")?;
        if fix.is_empty() { Ok(()) } else { write!(f, "; {fix}") }
    }
}

impl std::error::Error for LoadError {}

//! What pydantic says of a value that it refuses.

use std::fmt;

use crate::python::{object::Object, repr};

/// All that is wrong with a value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ValidationError {
    /// The type that refused it.
    pub(crate) title: String,
    pub(crate) issues: Vec<Issue>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Issue {
    /// Where, from the outside in.
    pub(crate) path: Vec<String>,
    /// pydantic's name of it: `int_parsing`.
    pub(crate) kind: &'static str,
    pub(crate) message: String,
    pub(crate) input: Object,
}

/// The longest input shown.
const INPUT_MAX: usize = 50;

impl Issue {
    pub(crate) fn new(kind: &'static str, message: impl Into<String>, input: &Object) -> Self {
        Self { path: Vec::new(), kind, message: message.into(), input: input.clone() }
    }

    pub(crate) fn at(mut self, place: impl Into<String>) -> Self {
        self.path.insert(0, place.into());
        self
    }
}

impl std::error::Error for ValidationError {}

/// As pydantic prints it, without the links to its own pages.
impl fmt::Display for ValidationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.issues.len();
        let plural = if count == 1 { "" } else { "s" };
        write!(f, "{count} validation error{plural} for {}", self.title)?;
        for issue in &self.issues {
            if !issue.path.is_empty() {
                write!(f, "\n{}", issue.path.join("."))?;
            }
            let input = shortened(&repr::repr(&issue.input));
            let Issue { message, kind, .. } = issue;
            let ty = issue.input.type_name();
            write!(f, "\n  {message} [type={kind}, input_value={input}, input_type={ty}]")?;
        }
        Ok(())
    }
}

fn shortened(text: &str) -> String {
    let count = text.chars().count();
    if count <= INPUT_MAX {
        return text.to_owned();
    }
    let head: String = text.chars().take(INPUT_MAX / 2).collect();
    let tail: String = text.chars().skip(count - INPUT_MAX / 2 + 1).collect();
    format!("{head}...{tail}")
}

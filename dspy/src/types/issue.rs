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

/// The longest input shown, in bytes.
const INPUT_MAX: usize = 50;

impl Issue {
    /// The kind of an exception that is none of pydantic's: it stands for the whole refusal.
    pub(crate) const RAISED: &'static str = "raised";

    pub(crate) fn new(kind: &'static str, message: impl Into<String>, input: &Object) -> Self {
        Self { path: Vec::new(), kind, message: message.into(), input: input.clone() }
    }

    pub(crate) fn at(mut self, place: impl Into<String>) -> Self {
        self.path.insert(0, place.into());
        self
    }
}

impl ValidationError {
    /// Whether it stands for an exception that is none of pydantic's: a `TypeError` of a class.
    pub(crate) fn is_raised(&self) -> bool {
        self.issues.iter().any(|it| it.kind == Issue::RAISED)
    }
}

impl std::error::Error for ValidationError {}

/// As pydantic prints it, without the links to its own pages.
impl fmt::Display for ValidationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(raised) = self.issues.iter().find(|it| it.kind == Issue::RAISED) {
            return f.write_str(&raised.message);
        }
        let count = self.issues.len();
        let plural = if count == 1 { "" } else { "s" };
        write!(f, "{count} validation error{plural} for {}", self.title)?;
        for issue in &self.issues {
            if !issue.path.is_empty() {
                let path: Vec<_> = issue.path.iter().map(place).collect();
                write!(f, "\n{}", path.join("."))?;
            }
            let input = shortened(&repr::repr(&issue.input));
            let Issue { message, kind, .. } = issue;
            let ty = issue.input.type_name();
            write!(f, "\n  {message} [type={kind}, input_value={input}, input_type={ty}]")?;
        }
        Ok(())
    }
}

/// Cut in the middle, by bytes as pydantic counts them.
fn shortened(text: &str) -> String {
    if text.len() <= INPUT_MAX {
        return text.to_owned();
    }
    let is_boundary = |at: &usize| text.is_char_boundary(*at);
    let head = (0..=INPUT_MAX / 2).rev().find(is_boundary).unwrap_or_default();
    let tail = text.len() - (INPUT_MAX / 2 - 1);
    let tail = (tail..text.len()).find(is_boundary).unwrap_or(text.len());
    format!("{}...{}", &text[..head], &text[tail..])
}

/// A place in a path; one that holds a dot stands in backticks.
fn place(name: &String) -> String {
    if name.contains('.') { format!("`{name}`") } else { name.clone() }
}

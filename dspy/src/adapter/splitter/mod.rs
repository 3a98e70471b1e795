//! The texts in a reply while it comes, piece by piece.
//!
//! A splitter reads as the adapter will, but never looks at a reply twice: where the adapter would
//! repair what is broken, it falls silent, and who listens compares in the end.

mod chat;
mod held;
mod json;
mod xml;

use super::Format;

/// Finds the texts of some fields in a growing reply.
#[derive(Debug)]
pub(crate) enum Splitter {
    Chat(chat::Chat),
    Json(json::Json),
    Xml(xml::Xml),
}

/// Takes a piece of a field's text: which field, by its place among those asked for.
pub(crate) type Tell<'a> = dyn FnMut(usize, &str) + 'a;

impl Splitter {
    /// A splitter for replies in a format; none where the fields do not stand in it.
    pub(crate) fn new(format: Format, fields: &[String]) -> Option<Self> {
        match format {
            Format::Chat => Some(Self::Chat(chat::Chat::new(fields))),
            Format::Json | Format::Baml => Some(Self::Json(json::Json::new(fields))),
            Format::Xml => Some(Self::Xml(xml::Xml::new(fields))),
            Format::TwoStep => None,
        }
    }

    /// Takes the next piece of the reply.
    pub(crate) fn push(&mut self, text: &str, tell: &mut Tell<'_>) {
        match self {
            Self::Chat(it) => it.push(text, tell),
            Self::Json(it) => it.push(text, tell),
            Self::Xml(it) => it.push(text, tell),
        }
    }
}

#[cfg(test)]
mod tests;

//! XML as Python's `xml.etree` reads and writes it: what expat accepts, what it refuses, and where.
//!
//! A document type cannot stand within an element, which is all that is read here: so there are
//! no declared entities, no default attributes, and nothing outside the text is ever fetched.

mod epilog;
mod names;
mod namespace;
mod reader;
mod token;
mod write;

use std::fmt;

pub(crate) use write::quote_attribute;

/// The document's elements; the root comes first. An element is named by its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tree {
    elements: Vec<Element>,
}

/// The place of an element in its tree.
pub(crate) type ElementId = usize;

/// One element.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Element {
    /// Its name, `{namespace}name` if it is in one.
    pub(crate) tag: String,
    /// Its attributes, in order.
    pub(crate) attributes: Vec<(String, String)>,
    /// The text before its first child.
    pub(crate) text: String,
    /// The text behind its end.
    pub(crate) tail: String,
    /// Its children, in order.
    pub(crate) children: Vec<ElementId>,
    /// How many elements it lies in.
    pub(crate) depth: usize,
}

/// What is wrong with a document, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct XmlError {
    pub(crate) fault: Fault,
    /// The line, from one.
    pub(crate) line: usize,
    /// The character in the line, from zero.
    pub(crate) column: usize,
}

/// What is wrong with a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    NoElement,
    InvalidToken,
    UnclosedToken,
    UnclosedCdata,
    MismatchedTag,
    DuplicateAttribute,
    JunkAfterRoot,
    UndefinedEntity,
    InvalidCharacter,
    MisplacedDeclaration,
    Syntax,
    UnboundPrefix,
    UndeclaredPrefix,
    PrefixXml,
    PrefixXmlns,
    ReservedNamespace,
    Amplified,
}

impl Tree {
    /// Reads a document that begins with its root's start tag.
    pub(crate) fn parse(text: &str) -> Result<Self, XmlError> {
        reader::read(text).map_err(|(fault, at)| {
            let (line, column) = position(&text[..at]);
            XmlError { fault, line, column }
        })
    }

    /// The root. A document without one was refused.
    pub(crate) const ROOT: ElementId = 0;

    /// An element.
    pub(crate) fn get(&self, id: ElementId) -> &Element {
        &self.elements[id]
    }

    /// An element with all that is in it and the text behind it, as `ET.tostring` writes it.
    pub(crate) fn text_of(&self, id: ElementId) -> String {
        write::element(self, id)
    }

    /// The depth of the deepest element.
    pub(crate) fn depth(&self) -> usize {
        self.elements.iter().map(|it| it.depth).max().unwrap_or(0)
    }
}

/// The line and the column of the place behind a text.
fn position(before: &str) -> (usize, usize) {
    let (mut line, mut column) = (1, 0);
    let mut chars = before.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\r' || c == '\n' {
            if c == '\r' {
                let _ = chars.next_if_eq(&'\n');
            }
            line += 1;
            column = 0;
        } else {
            column += 1;
        }
    }
    (line, column)
}

impl fmt::Display for XmlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fault, line, column } = self;
        write!(f, "{}: line {line}, column {column}", fault.sentence())
    }
}

impl Fault {
    /// expat's words.
    fn sentence(self) -> &'static str {
        match self {
            Self::NoElement => "no element found",
            Self::InvalidToken => "not well-formed (invalid token)",
            Self::UnclosedToken => "unclosed token",
            Self::UnclosedCdata => "unclosed CDATA section",
            Self::MismatchedTag => "mismatched tag",
            Self::DuplicateAttribute => "duplicate attribute",
            Self::JunkAfterRoot => "junk after document element",
            Self::UndefinedEntity => "undefined entity",
            Self::InvalidCharacter => "reference to invalid character number",
            Self::MisplacedDeclaration => "XML or text declaration not at start of entity",
            Self::Syntax => "syntax error",
            Self::UnboundPrefix => "unbound prefix",
            Self::UndeclaredPrefix => "must not undeclare prefix",
            Self::PrefixXml => {
                "reserved prefix (xml) must not be undeclared or bound to another namespace name"
            }
            Self::PrefixXmlns => "reserved prefix (xmlns) must not be declared or undeclared",
            Self::Amplified => "limit on input amplification factor breached",
            Self::ReservedNamespace => {
                "prefix must not be bound to one of the reserved namespace names"
            }
        }
    }
}

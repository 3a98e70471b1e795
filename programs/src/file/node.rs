//! A YAML text as a tree that remembers where each key and value was written.

use serde_json::Value;

/// About how many bytes a node takes besides its text.
pub(super) const NODE_BYTES: usize = 128;

/// A line and a column, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: u32,
    pub(super) column: u32,
}

impl Place {
    /// A place by the counts of a parser; a text is too short to overflow them.
    pub(super) fn new(line: usize, column: usize) -> Self {
        let count = |it: usize| u32::try_from(it).unwrap_or(u32::MAX);
        Self { line: count(line), column: count(column) }
    }
}

/// A value and its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) content: Content,
}

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// `raw` is the text as written: the version `1.10` is not the number 1.1. What stands in
    /// quotes is meant to the letter.
    Scalar { raw: String, value: Value, quoted: bool },
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order of the text, without a key twice.
    Table(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) place: Place,
    pub(super) node: Node,
}

impl Node {
    /// The value without its places.
    pub(super) fn json(&self) -> Value {
        match &self.content {
            Content::Scalar { value, .. } => value.clone(),
            Content::List(items) => items.iter().map(Node::json).collect(),
            Content::Table(entries) => {
                Value::Object(entries.iter().map(|it| (it.key.clone(), it.node.json())).collect())
            }
        }
    }

    /// Whether nothing is written here.
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.content, Content::Scalar { value: Value::Null, .. })
    }

    /// What it is, for a message.
    pub(super) fn kind(&self) -> &'static str {
        match &self.content {
            Content::Scalar { value: Value::Null, .. } => "empty",
            Content::Scalar { value: Value::Bool(_), .. } => "true or false",
            Content::Scalar { value: Value::Number(_), .. } => "a number",
            Content::Scalar { .. } => "a text",
            Content::List(_) => "a list",
            Content::Table(_) => "a mapping",
        }
    }

    /// About how many bytes a copy takes.
    pub(super) fn size_bytes(&self) -> usize {
        let inside = match &self.content {
            Content::Scalar { raw, .. } => 2 * raw.len(),
            Content::List(items) => items.iter().map(Node::size_bytes).sum(),
            Content::Table(entries) => {
                entries.iter().map(|it| it.key.len() + it.node.size_bytes()).sum()
            }
        };
        inside + NODE_BYTES
    }
}

//! Reads YAML, and JSON with it, into a located tree. The only place that knows the YAML parser.
//!
//! Everything is bounded, because texts come over HTTP too: the text's length, its depth, the
//! entries of one mapping, and what aliases may blow it up to.

use std::{collections::HashMap, fmt::Write as _};

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Tag};
use serde::de::IgnoredAny;

use super::{
    TEXT_BYTES_MAX,
    node::{Content, Entry, NODE_BYTES, Node, Place},
    scalar,
};
use crate::LoadError;

/// How deep lists and mappings may be nested.
const DEPTH_MAX: usize = 32;
/// The most entries of one mapping.
const ENTRIES_MAX: usize = 1_000;
/// The size of the tree, with what aliases copy.
const TREE_BYTES_MAX: usize = 16 << 20;
/// The same, of a file that a program file names. Such a file comes from the operator.
const LARGE_TREE_BYTES_MAX: usize = 256 << 20;

const CHECK_LINE: &str = "check the indentation and the quotes here; a value with `: `, `#`, `[`, \
                          `{` or `,` in it needs quotes";

const NO_TABS: &str = "indent with blanks";

/// The tree of a text.
pub(super) fn read(text: &str, origin: &str) -> Result<Node, LoadError> {
    if text.len() > TEXT_BYTES_MAX {
        let problem = format!("is longer than {} KiB", TEXT_BYTES_MAX >> 10);
        return Err(LoadError::whole(origin, problem, "make it shorter"));
    }
    build(text, origin, TREE_BYTES_MAX)
}

/// The tree of a text whose length is bounded already.
pub(super) fn read_large(text: &str, origin: &str) -> Result<Node, LoadError> {
    build(text, origin, LARGE_TREE_BYTES_MAX)
}

fn build(text: &str, origin: &str, bytes_max: usize) -> Result<Node, LoadError> {
    let text = scalar::join_surrogates(text);
    let mut tree = Tree::new(origin, bytes_max);
    // `next_event` does not recurse, unlike the parser's own loader.
    let mut parser = Parser::new_from_str(&text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|e| tree.malformed(&text, &e))?;
        tree.take(event, place(&span.start))?;
    }
    tree.root.ok_or_else(|| LoadError::whole(origin, "is empty", "write a program into it"))
}

/// A tree in the making.
struct Tree<'a> {
    origin: &'a str,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    bytes_left: usize,
    root: Option<Node>,
}

/// A list or mapping whose end has not come yet.
struct Open {
    place: Place,
    anchor: usize,
    content: Content,
    key: Option<(String, Place)>,
}

impl<'a> Tree<'a> {
    fn new(origin: &'a str, bytes_left: usize) -> Self {
        let (open, anchors) = (Vec::new(), HashMap::new());
        Self { origin, open, anchors, bytes_left, root: None }
    }

    fn take(&mut self, event: Event<'_>, place: Place) -> Result<(), LoadError> {
        match event {
            Event::DocumentStart(_) if self.root.is_some() => {
                let problem = "a second document begins here";
                Err(self.fail(place, problem, "put each program into a file of its own"))
            }
            Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd => Ok(()),
            Event::SequenceStart(anchor, tag) => {
                self.untagged(tag.as_deref(), place)?;
                self.begin(Content::List(Vec::new()), anchor, place)
            }
            Event::MappingStart(anchor, tag) => {
                self.untagged(tag.as_deref(), place)?;
                self.begin(Content::Table(Vec::new()), anchor, place)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => self.copy(anchor, place),
            Event::Scalar(raw, style, anchor, tag) => {
                let content = self.scalar(&raw, style, tag.as_deref(), place)?;
                self.put(Node { place, content }, anchor)
            }
        }
    }

    fn begin(&mut self, content: Content, anchor: usize, place: Place) -> Result<(), LoadError> {
        if self.open.len() >= DEPTH_MAX {
            let problem = format!("is nested deeper than {DEPTH_MAX} levels");
            return Err(self.fail(place, problem, "make it flatter"));
        }
        self.open.push(Open { place, anchor, content, key: None });
        Ok(())
    }

    fn end(&mut self) -> Result<(), LoadError> {
        match self.open.pop() {
            Some(Open { place, anchor, content, .. }) => self.put(Node { place, content }, anchor),
            None => Ok(()),
        }
    }

    /// Puts a finished node where it belongs.
    fn put(&mut self, node: Node, anchor: usize) -> Result<(), LoadError> {
        self.spend(NODE_BYTES, node.place)?;
        if anchor != 0 {
            self.spend(node.size_bytes(), node.place)?;
            self.anchors.insert(anchor, node.clone());
        }
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match (&mut parent.content, parent.key.take()) {
            (Content::List(items), _) => items.push(node),
            (Content::Table(entries), Some((key, place))) => {
                entries.push(Entry { key, place, node });
            }
            (Content::Table(_), None) => return self.put_key(node),
            (Content::Scalar { .. }, _) => {}
        }
        Ok(())
    }

    fn put_key(&mut self, node: Node) -> Result<(), LoadError> {
        let Content::Scalar { raw: key, .. } = node.content else {
            let problem = format!("a key must be a text, but is {}", node.kind());
            return Err(self.fail(node.place, problem, CHECK_LINE));
        };
        let Some(parent) = self.open.last_mut() else { return Ok(()) };
        let Content::Table(entries) = &parent.content else { return Ok(()) };
        if entries.len() >= ENTRIES_MAX {
            let problem = format!("a mapping has more than {ENTRIES_MAX} keys");
            return Err(self.fail(node.place, problem, "make it smaller"));
        }
        if let Some(first) = entries.iter().find(|it| it.key == key) {
            let problem =
                format!("the key `{key}` is there twice, first in line {}", { first.place.line });
            return Err(self.fail(node.place, problem, "keep one of them"));
        }
        parent.key = Some((key, node.place));
        Ok(())
    }

    fn copy(&mut self, anchor: usize, place: Place) -> Result<(), LoadError> {
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(self.fail(place, "an alias stands inside its own anchor", "remove it"));
        };
        let node = Node { place, ..node.clone() };
        self.spend(node.size_bytes(), place)?;
        self.put(node, 0)
    }

    fn scalar(
        &self,
        raw: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        place: Place,
    ) -> Result<Content, LoadError> {
        let forced = tag.is_some_and(|it| it.is_yaml_core_schema() && it.suffix == "str");
        if !forced {
            self.untagged(tag, place)?;
        }
        let plain = style == ScalarStyle::Plain && !forced;
        let value = if plain { scalar::resolve(raw) } else { Ok(raw.into()) };
        let value = value.map_err(|problem| {
            self.fail(place, problem, "write another number, or quote it if it is a text")
        })?;
        let quoted = matches!(style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted);
        Ok(Content::Scalar { raw: raw.to_owned(), value, quoted })
    }

    fn untagged(&self, tag: Option<&Tag>, place: Place) -> Result<(), LoadError> {
        let Some(tag) = tag else { return Ok(()) };
        let problem = format!("the tag `{}{}` is not known here", tag.handle, tag.suffix);
        Err(self.fail(place, problem, "remove it; quotes make a text"))
    }

    fn spend(&mut self, bytes: usize, place: Place) -> Result<(), LoadError> {
        let Some(left) = self.bytes_left.checked_sub(bytes) else {
            let problem = "the file is too large with what its aliases copy";
            return Err(self.fail(place, problem, "use fewer aliases"));
        };
        self.bytes_left = left;
        Ok(())
    }

    /// What is no YAML; or no JSON, where the text begins as JSON does.
    fn malformed(&self, text: &str, e: &ScanError) -> LoadError {
        let json = text.trim_start().starts_with('{');
        if let Some(e) = serde_json::from_str::<IgnoredAny>(text).err().filter(|_| json) {
            let place = Place::new(e.line(), e.column().max(1));
            let told = e.to_string();
            let told = told.split(" at line ").next().unwrap_or(&told);
            let problem = format!("is not JSON: {told}");
            return self.fail(place, problem, "check the braces, commas and quotes here");
        }
        let fix = if e.info().starts_with("tab") { NO_TABS } else { CHECK_LINE };
        self.fail(place(e.marker()), format!("is not YAML: {}", e.info()), fix)
    }

    /// The path to what is being read.
    fn path(&self) -> String {
        let mut path = String::new();
        for open in &self.open {
            match (&open.content, &open.key) {
                (Content::List(items), _) => {
                    let _ = write!(path, "[{}]", items.len());
                }
                (Content::Table(_) | Content::Scalar { .. }, Some((key, _))) => {
                    let dot = if path.is_empty() { "" } else { "." };
                    let _ = write!(path, "{dot}{key}");
                }
                (Content::Table(_) | Content::Scalar { .. }, None) => {}
            }
        }
        path
    }

    fn fail(&self, place: Place, problem: impl Into<String>, fix: &str) -> LoadError {
        let mut error = LoadError::whole(self.origin, problem, fix);
        error.key = self.path();
        (error.line, error.column) = (Some(place.line), Some(place.column));
        error
    }
}

fn place(marker: &Marker) -> Place {
    Place::new(marker.line(), marker.col() + 1)
}

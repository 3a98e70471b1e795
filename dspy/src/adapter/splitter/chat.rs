//! Sections under `[[ ## name ## ]]` headers, as `chat::parse` reads them.

use super::{Tell, held::Held};
use crate::python::text::{is_line_end, is_space, is_word};

const OPEN: &str = "[[ ## ";
const CLOSE: &str = " ## ]]";

/// Reads line by line; of a line that may be a header it waits for more.
#[derive(Debug)]
pub(crate) struct Chat {
    fields: Vec<String>,
    /// Which fields have had a section: the first one counts.
    seen: Vec<bool>,
    text: Held,
    line: Line,
    /// The line so far, while it may be a header.
    pending: String,
    name: String,
    /// Whether a line feed here belongs to the line end before it.
    after_return: bool,
}

/// What the line is, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// Nothing but blanks.
    Blank,
    /// So many characters of the opening.
    Open(usize),
    Name,
    /// So many characters of the closing.
    Close(usize),
    /// What follows a header.
    Rest,
    /// No header.
    Text,
}

impl Chat {
    pub(super) fn new(fields: &[String]) -> Self {
        Self {
            fields: fields.to_vec(),
            seen: vec![false; fields.len()],
            text: Held::default(),
            line: Line::Blank,
            pending: String::new(),
            name: String::new(),
            after_return: false,
        }
    }

    pub(super) fn push(&mut self, text: &str, tell: &mut Tell<'_>) {
        for c in text.chars() {
            self.take(c, tell);
        }
        self.text.tell(tell);
    }

    fn take(&mut self, c: char, tell: &mut Tell<'_>) {
        if std::mem::replace(&mut self.after_return, c == '\r') && c == '\n' {
            return;
        }
        if is_line_end(c) {
            self.end_line();
            return;
        }
        if matches!(self.line, Line::Rest | Line::Text) {
            self.text.push(c);
            return;
        }
        self.pending.push(c);
        self.line = match (self.line, c) {
            (Line::Blank, c) if is_space(c) => Line::Blank,
            (Line::Blank, _) => open(0, c),
            (Line::Open(at), c) if at == OPEN.len() && is_word(c) => Line::Name,
            (Line::Open(at), c) => open(at, c),
            (Line::Name, c) if is_word(c) => Line::Name,
            (Line::Name, c) => close(0, c),
            (Line::Close(at), c) => close(at, c),
            (Line::Rest | Line::Text, _) => self.line,
        };
        match self.line {
            Line::Name => self.name.push(c),
            Line::Close(at) if at == CLOSE.len() => self.begin_section(tell),
            Line::Text => self.give_up_waiting(),
            Line::Blank | Line::Open(_) | Line::Close(_) | Line::Rest => {}
        }
    }

    /// A header is whole. Its length is cut off the line, also where blanks stand before it: so
    /// the package does it.
    fn begin_section(&mut self, tell: &mut Tell<'_>) {
        let field = self.fields.iter().position(|it| *it == self.name);
        let field = field.filter(|at| !std::mem::replace(&mut self.seen[*at], true));
        self.text.begin(field, tell);
        self.line = Line::Rest;
        let header_chars = OPEN.len() + self.name.chars().count() + CLOSE.len();
        let pending = std::mem::take(&mut self.pending);
        pending.chars().skip(header_chars).for_each(|c| self.text.push(c));
        self.name.clear();
    }

    /// The line is no header: what was waited for is text.
    fn give_up_waiting(&mut self) {
        self.name.clear();
        let pending = std::mem::take(&mut self.pending);
        pending.chars().for_each(|c| self.text.push(c));
    }

    fn end_line(&mut self) {
        self.give_up_waiting();
        if self.line == Line::Rest {
            // What stands beside a header is stripped by itself.
            self.text.drop_blanks();
        }
        self.text.push('\n');
        self.line = Line::Blank;
    }
}

fn open(at: usize, c: char) -> Line {
    if OPEN[at..].starts_with(c) { Line::Open(at + 1) } else { Line::Text }
}

fn close(at: usize, c: char) -> Line {
    if CLOSE[at..].starts_with(c) { Line::Close(at + 1) } else { Line::Text }
}

//! Comments: `#`, `//` and `/* */`.

use super::parser::{Context, Parser, Repaired, empty, one_of};

impl Parser {
    pub(super) fn skip_whitespace_and_comments(&mut self) {
        loop {
            self.skip_whitespaces();
            let is_slashed = self.here() == Some('/') && one_of(self.char_at(1), &['/', '*']);
            if self.here() != Some('#') && !is_slashed {
                return;
            }
            self.skip_comment();
        }
    }

    fn skip_comment(&mut self) {
        match (self.here(), self.char_at(1)) {
            (Some('#'), _) => self.skip_line_comment(true),
            (Some('/'), Some('/')) => self.skip_line_comment(false),
            (Some('/'), Some('*')) => self.skip_block_comment(),
            (Some('/'), _) => self.index += 1,
            _ => {}
        }
    }

    fn skip_line_comment(&mut self, is_hash: bool) {
        let mut ends = vec!['\n', '\r'];
        if is_hash {
            let closing =
                [(Context::Array, ']'), (Context::ObjectValue, '}'), (Context::ObjectKey, ':')];
            ends.extend(closing.iter().filter(|(it, _)| self.is_in(*it)).map(|(_, end)| *end));
        }
        while self.here().is_some_and(|c| !ends.contains(&c)) {
            self.index += 1;
        }
    }

    /// The package takes `/*/` for a whole comment, and so do we.
    fn skip_block_comment(&mut self) {
        let start = self.index;
        self.index += 2;
        while self.index < self.text.len() {
            self.index += 1;
            if self.text[start..self.index].ends_with(&['*', '/']) {
                return;
            }
        }
    }

    /// Skips a comment; at the top level the value after it is the answer.
    pub(super) fn parse_comment(&mut self) -> Repaired {
        loop {
            self.skip_comment();
            if !self.context.is_empty() {
                return Ok(empty());
            }
            self.skip_whitespaces();
            if !one_of(self.here(), &['#', '/']) {
                return self.parse_json();
            }
        }
    }
}

//! How a string begins: its quotes, doubled quotes, bare words, fences.

use super::{
    parser::{Context, Parser, Repaired, empty, is_delimiter, one_of},
    string::Text,
};
use crate::python::{object::Object, text::is_space, unicode::is_alnum};

/// What stands at the beginning of a string.
pub(super) enum Entry {
    /// A whole value.
    Done(Object),
    /// Text that is to be read on.
    Text(Text),
}

impl Parser {
    pub(super) fn enter_string(&mut self) -> Repaired<Entry> {
        if one_of(self.here(), &['#', '/']) {
            return self.parse_comment().map(Entry::Done);
        }
        while self.here().is_some_and(|c| !is_delimiter(Some(c)) && !is_alnum(c)) {
            self.index += 1;
        }
        let Some(c) = self.here() else { return Ok(Entry::Done(empty())) };
        if let Some(text) = self.simple_quoted_string() {
            return Ok(Entry::Done(Object::Str(text)));
        }
        let mut state = Text::new();
        match c {
            '\'' => (state.open, state.close) = ('\'', '\''),
            '“' => (state.open, state.close) = ('“', '”'),
            c if is_alnum(c) => {
                if let Some(value) = self.literal(c) {
                    return Ok(Entry::Done(value));
                }
                state.missing_quotes = true;
            }
            _ => {}
        }
        if !state.missing_quotes {
            self.index += 1;
        }
        if let Some(value) = self.fenced_block()? {
            return Ok(Entry::Done(value));
        }
        if self.here() == Some(state.open) {
            return Ok(self.doubled_quote(state));
        }
        Ok(Entry::Text(state))
    }

    /// A string with nothing to repair: the fast way.
    fn simple_quoted_string(&mut self) -> Option<String> {
        let start = (self.here() == Some('"')).then_some(self.index + 1)?;
        let len = self.text[start..].iter().position(|c| *c == '"')?;
        let value = &self.text[start..start + len];
        if value.iter().any(|c| matches!(c, '\\' | '\n' | '\r')) {
            return None;
        }
        let end = start + len + 1;
        let next = self.text[end..].iter().find(|c| !is_space(**c));
        let fits = match self.current() {
            Some(Context::ObjectKey) => next == Some(&':'),
            Some(Context::ObjectValue) => next.is_none_or(|c| matches!(c, ',' | '}')),
            Some(Context::Array) => next.is_none_or(|c| matches!(c, ',' | ']')),
            None => next.is_none(),
        };
        fits.then(|| {
            self.index = end;
            self.text[start..start + len].iter().collect()
        })
    }

    /// `true`, `false`, `null` or `None`, in any case, standing alone.
    fn literal(&mut self, c: char) -> Option<Object> {
        if self.current() == Some(Context::ObjectKey) {
            return None;
        }
        let (word, value) = match c {
            't' | 'T' => ("true", Object::Bool(true)),
            'f' | 'F' => ("false", Object::Bool(false)),
            'n' | 'N' if one_of(self.char_at(1), &['u', 'U']) => ("null", Object::None),
            'n' | 'N' => ("none", Object::None),
            _ => return None,
        };
        let end = self.index + word.len();
        let here: String = self.text.get(self.index..end)?.iter().collect();
        let next = self.text.get(end);
        let stands_alone = next.is_none_or(|c| is_space(*c) || matches!(c, ',' | ')' | ']' | '}'));
        (here.to_lowercase() == word && stands_alone).then(|| {
            self.index = end;
            value
        })
    }

    fn fenced_block(&mut self) -> Repaired<Option<Object>> {
        if !self.starts_with(self.index, "```json") {
            return Ok(None);
        }
        let end = self.skip_to(&['`'], 7);
        if !self.starts_with(self.index.saturating_add_signed(end), "```") {
            return Ok(None);
        }
        self.index += 7;
        // Falsely `false` would be the package's sign for "no block".
        let value = self.parse_json()?;
        Ok((value != Object::Bool(false)).then_some(value))
    }

    fn doubled_quote(&mut self, mut state: Text) -> Entry {
        let next = self.char_at(1);
        let is_empty = match self.current() {
            Some(Context::ObjectKey) => next == Some(':'),
            Some(Context::ObjectValue) => one_of(next, &[',', '}']),
            Some(Context::Array) => one_of(next, &[',', ']']),
            None => false,
        };
        if is_empty {
            self.index += 1;
            return Entry::Done(empty());
        }
        if next == Some(state.open) {
            return Entry::Done(empty());
        }
        let end = self.skip_to(&[state.close], 1);
        if self.char_at(end + 1) == Some(state.close) {
            state.doubled_quotes = true;
            self.index += 1;
            return Entry::Text(state);
        }
        if self.char_at(end) == Some(state.close) && self.starts_quoted_span(&state, end) {
            state.push(state.open);
            state.unmatched_delimiter = true;
            self.index += 1;
            return Entry::Text(state);
        }
        let after = self.char_at(self.scroll(1));
        if is_delimiter(after) || one_of(after, &['{', '[']) {
            self.index += 1;
            return Entry::Done(empty());
        }
        if !one_of(after, &[',', ']', '}']) {
            self.index += 1;
        }
        Entry::Text(state)
    }

    fn starts_quoted_span(&self, state: &Text, end: isize) -> bool {
        let outer = self.skip_to(&[state.close], end + 1);
        let after = self.char_at(self.scroll(outer + 1));
        self.current() == Some(Context::ObjectValue)
            && !self.only_blanks_until(end)
            && self.char_at(outer) == Some(state.close)
            && after.is_none_or(|c| matches!(c, ',' | '}'))
    }
}

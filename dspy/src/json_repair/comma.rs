//! What a comma inside of an object's unfinished text means.

use super::{
    parser::{Parser, STRING_DELIMITERS, is_delimiter, one_of},
    string::Text,
};
use crate::python::{
    text::is_space,
    unicode::{is_alnum, is_digit},
};

/// What a comma separates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comma {
    /// The text from a container that belongs to it.
    Container,
    /// This member from the next.
    Member,
    /// Nothing: it is part of the text.
    Text,
    /// Nothing, and no delimiter comes any more.
    TextToTheEnd,
}

fn is_key_char(c: char) -> bool {
    is_alnum(c) || matches!(c, '_' | '-')
}

impl Parser {
    pub(super) fn classify_comma(&self, state: &mut Text) -> Comma {
        let next = self.scroll(1);
        let Some(c) = self.char_at(next).filter(|c| *c != '}') else { return Comma::Member };
        if is_delimiter(Some(c)) {
            return self.after_key(&[c], next);
        }
        if c == '`' {
            let key_end = self.scroll(self.skip_key_chars(next + 1));
            return if self.char_at(key_end) == Some(':') { Comma::Member } else { Comma::Text };
        }
        if is_alnum(c) || c == '_' {
            let key_end = self.scroll(self.skip_key_chars(next));
            let is_key = self.char_at(key_end) == Some(':');
            if is_key && self.bare_member_has_value(key_end + 1, state) {
                return Comma::Member;
            }
        }
        if matches!(c, '{' | '[') {
            return Comma::Container;
        }
        let special = self.skip_to_cached(state, &['"', '\'', '“', '”', '{', '['], next);
        match self.char_at(special) {
            None => Comma::TextToTheEnd,
            Some('{' | '[') => Comma::Text,
            Some(quote) => {
                let key_end = self.skip_to_cached(state, &[quote], special + 1);
                self.before_colon(key_end)
            }
        }
    }

    fn after_key(&self, quote: &[char], start: isize) -> Comma {
        self.before_colon(self.skip_to(quote, start + 1))
    }

    fn before_colon(&self, key_end: isize) -> Comma {
        let is_ended = self.char_at(key_end).is_some();
        let is_key = is_ended && self.char_at(self.scroll(key_end + 1)) == Some(':');
        if is_key { Comma::Member } else { Comma::Text }
    }

    pub(super) fn skip_key_chars(&self, mut idx: isize) -> isize {
        while self.char_at(idx).is_some_and(is_key_char) {
            idx += 1;
        }
        idx
    }

    fn bare_member_has_value(&self, value: isize, state: &mut Text) -> bool {
        let start = self.scroll(value);
        let c = self.char_at(start);
        if is_delimiter(c) || one_of(c, &['{', '[', '-']) || c.is_some_and(is_digit) {
            return true;
        }
        let is_literal = |word: &str| {
            let at = self.index.saturating_add_signed(start);
            let end = self.text.get(at + word.len()).copied();
            self.starts_with(at, word)
                && end.is_none_or(|c| is_space(c) || matches!(c, ',' | '}' | ']'))
        };
        if ["true", "false", "null"].into_iter().any(is_literal) {
            return true;
        }
        let mut ends = STRING_DELIMITERS.to_vec();
        ends.push('}');
        self.char_at(self.skip_to_cached(state, &ends, start)) == Some('}')
    }
}

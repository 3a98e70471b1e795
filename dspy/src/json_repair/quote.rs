//! Whether a quote inside of text ends it.

use super::{
    parser::{Context, Parser, one_of},
    string::{Flow, Text},
};
use crate::python::{text::is_space, unicode::is_alpha};

impl Parser {
    /// What a quote that might end the text does.
    pub(super) fn weigh_quote(&mut self, state: &mut Text) -> Flow {
        if state.doubled_quotes && self.char_at(1) == Some(state.close) {
            self.index += 1;
            return Flow::Next;
        }
        if state.missing_quotes && self.current() == Some(Context::ObjectValue) {
            return self.weigh_quote_of_unquoted(state);
        }
        if state.unmatched_delimiter {
            state.unmatched_delimiter = false;
            return self.keep(state);
        }
        let idx = self.next_quote_or_end(state);
        let next = self.char_at(idx);
        if next == Some(',') && self.current() == Some(Context::ObjectValue) {
            let quote = self.skip_to(&[state.close], idx + 1);
            let after = self.char_at(self.scroll(quote + 1));
            return if one_of(after, &['}', ',']) { self.keep(state) } else { Flow::Fall };
        }
        if next == Some(state.close) && self.char_at(idx - 1) != Some('\\') {
            return self.weigh_pair(state, idx);
        }
        Flow::Fall
    }

    fn weigh_quote_of_unquoted(&mut self, state: &Text) -> Flow {
        let mut idx = 1;
        while self.char_at(idx).is_some_and(|c| c != state.close && c != state.open) {
            idx += 1;
        }
        let is_key = self.char_at(idx).is_some() && self.char_at(self.scroll(idx + 1)) == Some(':');
        if !is_key {
            return Flow::Fall;
        }
        self.index -= 1;
        Flow::Stop
    }

    /// The distance of the next quote, or of what ends a value here before it.
    fn next_quote_or_end(&self, state: &Text) -> isize {
        let (in_key, in_value) = (self.is_in(Context::ObjectKey), self.is_in(Context::ObjectValue));
        let in_array = self.is_in(Context::Array);
        let is_value = self.current() == Some(Context::ObjectValue);
        let mut only_signs = true;
        let mut idx = 1;
        while let Some(c) = self.char_at(idx).filter(|c| *c != state.close && *c != state.open) {
            only_signs &= !is_alpha(c);
            let ends = (in_key && matches!(c, ':' | '}'))
                || (in_value && c == '}')
                || (in_array && matches!(c, ']' | ','))
                || (only_signs && is_value && c == ',');
            if ends {
                break;
            }
            idx += 1;
        }
        idx
    }

    /// The quote here and the one at `idx` may enclose a part of the text.
    fn weigh_pair(&mut self, state: &mut Text, idx: isize) -> Flow {
        let is_value = self.current() == Some(Context::ObjectValue);
        let member_follows = is_value && self.quoted_member_follows(idx);
        if self.only_blanks_until(idx) && !member_follows {
            return Flow::Stop;
        }
        match self.current() {
            Some(Context::ObjectValue) if member_follows => self.keep(state),
            Some(Context::ObjectValue) => self.weigh_pair_in_value(state, idx),
            Some(Context::Array) => self.weigh_pair_in_array(state, idx),
            Some(Context::ObjectKey) => self.keep(state),
            None => Flow::Fall,
        }
    }

    fn weigh_pair_in_value(&mut self, state: &mut Text, idx: isize) -> Flow {
        let mut idx = self.skip_to(&[state.close], idx + 1) + 1;
        while let Some(c) = self.char_at(idx).filter(|c| *c != ':') {
            let is_quote = c == state.close && self.char_at(idx - 1) != Some('\\');
            if is_quote || matches!(c, ',' | ']' | '}') {
                break;
            }
            idx += 1;
        }
        if self.char_at(idx) == Some(':') {
            return Flow::Fall;
        }
        state.unmatched_delimiter = !state.unmatched_delimiter;
        self.keep(state)
    }

    fn weigh_pair_in_array(&mut self, state: &mut Text, idx: isize) -> Flow {
        // The package pairs the quotes up to the bracket one by one.
        let behind = self.index.saturating_add_signed(idx + 1);
        if !self.next.is_odd_in_array(&self.text, state.close, behind) {
            return Flow::Stop;
        }
        state.unmatched_delimiter = !state.unmatched_delimiter;
        self.keep(state)
    }

    pub(super) fn only_blanks_until(&self, end: isize) -> bool {
        (1..end).all(|idx| self.char_at(idx).is_none_or(is_space))
    }

    /// Keeps the character here as part of the text.
    pub(super) fn keep(&mut self, state: &mut Text) -> Flow {
        if let Some(c) = self.here() {
            state.push(c);
        }
        self.index += 1;
        Flow::Next
    }

    /// Whether the quote here stands in a compact character class: `[^"]`.
    pub(super) fn quote_is_in_character_class(&self, state: &Text) -> bool {
        let Some(start) = state.class_start else { return false };
        !state.acc[start..].iter().copied().any(is_space)
            && self.char_at(self.skip_to(&[']'], 1)) == Some(']')
    }
}

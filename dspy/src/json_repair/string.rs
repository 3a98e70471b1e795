//! The body of a string, or of text where a string should be.

use super::{
    comma::Comma,
    container::is_opener,
    parser::{Context, Parser, Repaired, one_of},
    string_entry::Entry,
};
use crate::python::{object::Object, text::is_space};

/// A text as it grows.
#[expect(clippy::struct_excessive_bools, reason = "each is a finding of the package's own")]
pub(super) struct Text {
    pub(super) acc: Vec<char>,
    pub(super) open: char,
    pub(super) close: char,
    /// How many spans opened by `„` are open.
    pub(super) low_spans: usize,
    pub(super) missing_quotes: bool,
    pub(super) doubled_quotes: bool,
    pub(super) unmatched_delimiter: bool,
    pub(super) pending_container: bool,
    pub(super) containers: Vec<char>,
    pub(super) class_start: Option<usize>,
    no_future_delimiter: bool,
    open_braces: usize,
    lookahead: Vec<(Vec<char>, usize, Option<usize>)>,
}

/// What comes after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// The next rule.
    Fall,
    /// The next character.
    Next,
    /// The end of the text.
    Stop,
}

impl Text {
    pub(super) fn new() -> Self {
        Self {
            acc: Vec::new(),
            open: '"',
            close: '"',
            low_spans: 0,
            missing_quotes: false,
            doubled_quotes: false,
            unmatched_delimiter: false,
            pending_container: false,
            containers: Vec::new(),
            class_start: None,
            no_future_delimiter: false,
            open_braces: 0,
            lookahead: Vec::new(),
        }
    }

    pub(super) fn is_active_close(&self, c: char) -> bool {
        self.low_spans == 0 && c == self.close
    }

    pub(super) fn ends_with(&self, c: char) -> bool {
        self.acc.last() == Some(&c)
    }

    pub(super) fn push(&mut self, c: char) {
        self.acc.push(c);
        match c {
            '{' => self.open_braces += 1,
            '}' => self.open_braces = self.open_braces.saturating_sub(1),
            '[' => self.class_start = Some(self.acc.len()),
            ']' => self.class_start = None,
            _ => {}
        }
    }

    pub(super) fn replace_backslash(&mut self, content: &[char]) {
        self.acc.pop();
        for c in content {
            self.push(*c);
        }
    }

    fn trim_end(&mut self) {
        while self.acc.last().is_some_and(|c| is_space(*c)) {
            self.acc.pop();
        }
    }
}

impl Parser {
    pub(super) fn parse_string(&mut self) -> Repaired {
        let mut state = match self.enter_string()? {
            Entry::Done(value) => return Ok(value),
            Entry::Text(state) => state,
        };
        while let Some(c) = self.here() {
            self.spend(1);
            self.check_work()?;
            let is_end = c == state.close && state.low_spans == 0;
            if is_end || self.step(&mut state, c) == Flow::Stop {
                break;
            }
        }
        Ok(Object::Str(self.finish(state)))
    }

    /// As [`Parser::skip_to`], remembering what it found: commas ask again and again.
    pub(super) fn skip_to_cached(&self, state: &mut Text, targets: &[char], idx: isize) -> isize {
        let start = self.index.saturating_add_signed(idx);
        let cached = state.lookahead.iter().position(|(it, ..)| it == targets);
        if let Some((_, from, found)) = cached.map(|at| &state.lookahead[at]) {
            match found {
                None if start >= *from => return self.distance(self.text.len()),
                Some(at) if (*from..=*at).contains(&start) => return self.distance(*at),
                _ => {}
            }
        }
        let offset = self.skip_to(targets, idx);
        let at = self.index.saturating_add_signed(offset);
        let found = self.text.get(at).map(|_| at);
        if found.is_none_or(|at| at == 0 || self.text[at - 1] != '\\') {
            let entry = (targets.to_vec(), start, found);
            match cached {
                Some(at) => state.lookahead[at] = entry,
                None => state.lookahead.push(entry),
            }
        }
        offset
    }

    pub(super) fn distance(&self, at: usize) -> isize {
        at.cast_signed() - self.index.cast_signed()
    }

    /// One character, by the first rule that says something of it.
    fn step(&mut self, state: &mut Text, c: char) -> Flow {
        let rules = [
            Self::unquoted_ends,
            Self::low_quote,
            Self::inline_container,
            Self::comma_in_value,
            Self::container_close,
            Self::brace_in_value,
            Self::bracket_in_array,
            Self::brace_before_fence,
        ];
        for rule in rules {
            match rule(self, state, c) {
                Flow::Fall => {}
                Flow::Next => return Flow::Next,
                Flow::Stop => return Flow::Stop,
            }
        }
        self.keep(state);
        self.after_kept(state)
    }

    fn unquoted_ends(&mut self, state: &mut Text, c: char) -> Flow {
        let ends = state.missing_quotes
            && match self.current() {
                Some(Context::ObjectKey) => c == ':' || is_space(c),
                Some(Context::Array) => matches!(c, ']' | ','),
                Some(Context::ObjectValue) | None => false,
            };
        if ends { Flow::Stop } else { Flow::Fall }
    }

    fn low_quote(&mut self, state: &mut Text, c: char) -> Flow {
        if c == '„' && !state.ends_with('\\') {
            state.low_spans += 1;
            return self.keep(state);
        }
        if c == '”' && state.low_spans > 0 {
            state.low_spans -= 1;
            return self.keep(state);
        }
        Flow::Fall
    }

    fn inline_container(&mut self, state: &mut Text, c: char) -> Flow {
        let is_object = || {
            self.current() == Some(Context::ObjectValue)
                && c == '{'
                && self.char_at(-1) != Some('\\')
                && self.bare_key_precedes_colon(self.scroll(1))
        };
        let is_candidate = is_opener(Some(c)) && !state.ends_with('\\');
        if !is_candidate || !(state.pending_container || is_object()) {
            return Flow::Fall;
        }
        let Some(end) = self.skip_inline_container(0) else { return Flow::Fall };
        state.pending_container = false;
        state.containers.clear();
        for _ in 0..end {
            self.keep(state);
        }
        Flow::Next
    }

    fn comma_in_value(&mut self, state: &mut Text, c: char) -> Flow {
        let is_open = state.pending_container || !state.containers.is_empty();
        if c != ',' || is_open || self.current() != Some(Context::ObjectValue) {
            return Flow::Fall;
        }
        let comma =
            if state.no_future_delimiter { Comma::Text } else { self.classify_comma(state) };
        if comma == Comma::Member {
            return Flow::Stop;
        }
        state.no_future_delimiter |= comma == Comma::TextToTheEnd;
        state.pending_container = comma == Comma::Container;
        self.keep(state)
    }

    fn container_close(&mut self, state: &mut Text, c: char) -> Flow {
        if matches!(c, '{' | '[') {
            if state.pending_container {
                state.containers.push(c);
                state.pending_container = false;
                return Flow::Fall;
            }
            if !state.containers.is_empty() {
                state.containers.push(c);
            }
        }
        match (c, state.containers.last()) {
            ('}', Some('{')) | (']', Some('[')) => {
                state.containers.pop();
                self.keep(state)
            }
            _ => Flow::Fall,
        }
    }

    fn brace_in_value(&mut self, state: &mut Text, c: char) -> Flow {
        let is_value = self.current() == Some(Context::ObjectValue);
        if c != '}' || !is_value || state.ends_with(state.close) {
            return Flow::Fall;
        }
        if state.open_braces > 0 {
            return self.keep(state);
        }
        if self.brace_ends_value(state) { Flow::Stop } else { Flow::Fall }
    }

    /// Whether the closing quote before this brace was forgotten.
    fn brace_ends_value(&mut self, state: &mut Text) -> bool {
        let mut is_missing = self.char_at(1) != Some('\\');
        let quote = self.skip_to_cached(state, &[state.close], 1);
        if self.char_at(quote).is_none() {
            if self.char_at(self.skip_to(&[':'], 1)).is_some() {
                return true;
            }
            let next = self.scroll(1);
            return is_missing && self.skip_to(&['}'], next) - next <= 1;
        }
        let after = self.scroll(quote + 1);
        if self.char_at(after).is_none_or(|c| matches!(c, ',' | '}')) {
            return false;
        }
        let opening = self.skip_to(&[state.open], after);
        is_missing &= self.char_at(opening).is_some();
        let behind = self.char_at(self.scroll(opening + 1));
        is_missing && behind.is_none_or(|c| c == ':')
    }

    fn bracket_in_array(&mut self, state: &mut Text, c: char) -> Flow {
        let ends = c == ']'
            && self.is_in(Context::Array)
            && !state.ends_with(state.close)
            && self.char_at(self.skip_to(&[state.close], 0)).is_none();
        if ends { Flow::Stop } else { Flow::Fall }
    }

    fn brace_before_fence(&mut self, state: &mut Text, c: char) -> Flow {
        if c != '}' || self.current() != Some(Context::ObjectValue) {
            return Flow::Fall;
        }
        let next = self.scroll(1);
        let is_fence = (0..3).all(|i| self.char_at(next + i) == Some('`'));
        if is_fence {
            let belongs = self.brace_before_fence_belongs_to_text(state, next);
            return if belongs { self.keep(state) } else { Flow::Stop };
        }
        if self.char_at(next).is_none() { Flow::Stop } else { Flow::Fall }
    }

    /// The rules for the character behind the one just kept.
    fn after_kept(&mut self, state: &mut Text) -> Flow {
        let Some(c) = self.here() else { return Flow::Stop };
        if state.ends_with('\\') && self.normalize_escape(state, c) {
            return Flow::Next;
        }
        let current = self.current();
        let may_end_key = c == ':' && !state.missing_quotes;
        if may_end_key && current == Some(Context::ObjectKey) && self.colon_ends_key(state) {
            return Flow::Stop;
        }
        if state.low_spans > 0 && c == '"' {
            state.low_spans -= 1;
            return self.keep(state);
        }
        if c != state.close {
            return Flow::Next;
        }
        if current == Some(Context::ObjectValue) && self.quote_is_in_character_class(state) {
            return self.keep(state);
        }
        if state.acc.is_empty() || state.ends_with('\\') {
            return Flow::Next;
        }
        match self.weigh_quote(state) {
            Flow::Stop => Flow::Stop,
            Flow::Next | Flow::Fall => Flow::Next,
        }
    }

    fn colon_ends_key(&self, state: &Text) -> bool {
        let open = self.skip_to(&[state.open], 1);
        if self.char_at(open).is_none() {
            return true;
        }
        let close = self.skip_to(&[state.close], open + 1);
        self.char_at(close).is_some() && one_of(self.char_at(self.scroll(close + 1)), &[',', '}'])
    }

    fn finish(&mut self, mut state: Text) -> String {
        let end = self.here();
        let is_blank_key = state.missing_quotes
            && self.current() == Some(Context::ObjectKey)
            && end.is_some_and(is_space);
        if is_blank_key {
            self.skip_whitespaces();
            if !one_of(self.here(), &[':', ',']) {
                return String::new();
            }
        }
        if end == Some(state.close) {
            self.index += 1;
        } else {
            state.trim_end();
        }
        if state.missing_quotes || state.ends_with('\n') {
            state.trim_end();
        }
        state.acc.into_iter().collect()
    }
}

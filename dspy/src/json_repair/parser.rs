//! The parser's cursor: the text, where it stands in it, and inside of what.

use std::cell::Cell;

use super::{RepairError, next::Next};
use crate::python::{
    json_read::{self, DEPTH_MAX, ReadError},
    object::Object,
    text::is_space,
    unicode::{is_alpha, is_digit},
};

/// What any text may take: the package reads none in a minute that takes more.
const WORK_MIN: usize = 16_000_000;
/// What a text may take besides for each of its characters.
const WORK_PER_CHAR: usize = 64;

pub(super) const STRING_DELIMITERS: [char; 4] = ['"', '\'', '“', '”'];

/// Inside of what the cursor stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Context {
    ObjectKey,
    ObjectValue,
    Array,
}

pub(super) type Repaired<T = Object> = Result<T, RepairError>;

pub(super) struct Parser {
    pub(super) text: Vec<char>,
    pub(super) index: usize,
    pub(super) context: Vec<Context>,
    pub(super) deferred: Vec<Context>,
    pub(super) next: Next,
    /// How many characters were looked at, where the package's rules may do so again and again.
    work: Cell<usize>,
    has_tried_suffix: bool,
    depth: usize,
}

pub(super) fn is_delimiter(c: Option<char>) -> bool {
    c.is_some_and(|c| STRING_DELIMITERS.contains(&c))
}

pub(super) fn empty() -> Object {
    Object::Str(String::new())
}

pub(super) fn one_of(c: Option<char>, any: &[char]) -> bool {
    c.is_some_and(|c| any.contains(&c))
}

impl Parser {
    pub(super) fn new(text: Vec<char>) -> Self {
        Self {
            text,
            index: 0,
            context: Vec::new(),
            deferred: Vec::new(),
            next: Next::default(),
            work: Cell::new(0),
            has_tried_suffix: false,
            depth: 0,
        }
    }

    /// Notes that so many characters were looked at.
    pub(super) fn spend(&self, chars: usize) {
        self.work.set(self.work.get().saturating_add(chars));
    }

    /// Refuses to go on where a text takes far more work than its length says.
    pub(super) fn check_work(&self) -> Repaired<()> {
        let max = WORK_MIN.saturating_add(self.text.len().saturating_mul(WORK_PER_CHAR));
        if self.work.get() > max { Err(RepairError::TooMuchWork) } else { Ok(()) }
    }

    /// The character at a distance; before the beginning it is counted from the end, as Python's
    /// negative indices are.
    pub(super) fn char_at(&self, count: isize) -> Option<char> {
        self.spend(1);
        let at = self.index.checked_add_signed(count);
        let at = at.or_else(|| {
            let from_end = self.index.cast_signed() + count;
            self.text.len().checked_add_signed(from_end)
        });
        self.text.get(at?).copied()
    }

    pub(super) fn here(&self) -> Option<char> {
        self.text.get(self.index).copied()
    }

    pub(super) fn current(&self) -> Option<Context> {
        self.context.last().copied()
    }

    pub(super) fn is_in(&self, context: Context) -> bool {
        self.context.contains(&context)
    }

    pub(super) fn skip_whitespaces(&mut self) {
        while self.here().is_some_and(is_space) {
            self.index += 1;
        }
    }

    /// The distance of the first non-blank from `idx` on.
    pub(super) fn scroll(&self, mut idx: isize) -> isize {
        while self.char_at(idx).is_some_and(is_space) {
            idx += 1;
        }
        idx
    }

    /// The distance of the next unescaped character of `targets`, or of the end.
    pub(super) fn skip_to(&self, targets: &[char], idx: isize) -> isize {
        let start = self.index.saturating_add_signed(idx);
        let at = self.next.find(&self.text, targets, start);
        if self.next.is_walked(&self.text) {
            self.spend(at.saturating_sub(start));
        }
        at.cast_signed() - self.index.cast_signed()
    }

    pub(super) fn starts_with(&self, at: usize, word: &str) -> bool {
        word.chars().enumerate().all(|(i, c)| self.text.get(at + i) == Some(&c))
    }

    /// Runs a step inside of a context.
    pub(super) fn within<T>(&mut self, context: Context, step: impl FnOnce(&mut Self) -> T) -> T {
        self.context.push(context);
        let done = step(self);
        self.context.pop();
        done
    }

    /// Runs a step one level deeper.
    pub(super) fn deeper<T>(&mut self, step: impl FnOnce(&mut Self) -> Repaired<T>) -> Repaired<T> {
        if self.depth == DEPTH_MAX {
            return Err(RepairError::TooDeep);
        }
        self.check_work()?;
        self.depth += 1;
        let done = step(self);
        self.depth -= 1;
        done
    }

    /// The next value.
    pub(super) fn parse_json(&mut self) -> Repaired {
        if self.deferred.is_empty() {
            return self.deeper(Self::parse_next);
        }
        let deferred = std::mem::take(&mut self.deferred);
        let before = self.context.len();
        self.context.extend(deferred);
        let value = self.deeper(Self::parse_next);
        self.context.truncate(before);
        value
    }

    fn parse_next(&mut self) -> Repaired {
        let mut may_miss_brace = self.index == 0 && self.context.is_empty();
        loop {
            let Some(c) = self.here() else { return Ok(empty()) };
            if matches!(c, '{' | '[')
                && self.initial_container_has_trailing_content()
                && let Some(value) = self.try_valid_suffix()?
            {
                return Ok(value);
            }
            match c {
                '{' => {
                    self.index += 1;
                    return self.parse_object();
                }
                '[' => {
                    self.index += 1;
                    return self.parse_array(']').map(Object::List);
                }
                '(' if self.parenthesis_starts_value() => return self.parse_parenthesized(),
                '#' | '/' => return self.parse_comment(),
                _ => {}
            }
            if !self.context.is_empty() {
                if is_delimiter(Some(c)) || is_alpha(c) {
                    return self.parse_string();
                }
                if is_digit(c) || matches!(c, '-' | '.') {
                    return self.parse_number();
                }
            }
            if is_delimiter(Some(c)) && may_miss_brace {
                may_miss_brace = false;
                if let Some(value) = self.try_missing_opening_brace(c) {
                    return Ok(value);
                }
            }
            self.index += 1;
        }
    }

    fn parenthesis_starts_value(&self) -> bool {
        !self.context.is_empty() || self.top_level_parenthesized_can_start_value()
    }

    fn initial_container_has_trailing_content(&self) -> bool {
        if self.index != 0 {
            return true;
        }
        self.spend(self.text.len());
        let mut containers = Vec::new();
        let (mut in_string, mut escaped) = (false, false);
        for (at, c) in self.text.iter().copied().enumerate() {
            match c {
                _ if in_string && escaped => escaped = false,
                '\\' if in_string => escaped = true,
                '"' => in_string = !in_string,
                _ if in_string => {}
                '{' => containers.push('}'),
                '[' => containers.push(']'),
                '}' | ']' => {
                    if containers.pop() != Some(c) {
                        return false;
                    }
                    if containers.is_empty() {
                        let next = self.text[at + 1..].iter().find(|c| !is_space(**c));
                        return next.is_some_and(|c| *c != ',');
                    }
                }
                _ => {}
            }
        }
        false
    }

    fn try_valid_suffix(&mut self) -> Repaired<Option<Object>> {
        if self.has_tried_suffix || !self.context.is_empty() {
            return Ok(None);
        }
        self.has_tried_suffix = true;
        let text: String = self.text[self.index..].iter().collect();
        match json_read::raw_decode(&text) {
            Ok((value, rest)) => {
                self.index = self.text.len() - rest.chars().count();
                Ok(Some(value))
            }
            Err(ReadError::Invalid) => Ok(None),
            Err(ReadError::TooDeep) => Err(RepairError::TooDeep),
        }
    }

    fn try_missing_opening_brace(&mut self, delimiter: char) -> Option<Object> {
        let key_end = self.skip_to(&[delimiter], 1);
        self.char_at(key_end)?;
        let colon = self.scroll(key_end + 1);
        let last = self.text.iter().rfind(|c| !is_space(**c))?;
        let is_first = self.text[..self.index].iter().all(|c| is_space(*c));
        if !is_first || self.char_at(colon) != Some(':') || *last != '}' {
            return None;
        }
        let candidate: String = std::iter::once('{').chain(self.text.iter().copied()).collect();
        let (value, rest) = json_read::raw_decode(&candidate).ok()?;
        let is_all = rest.chars().all(|c| matches!(c, ' ' | '\t' | '\r' | '\n'));
        is_all.then(|| {
            self.index = self.text.len();
            value
        })
    }
}

//! Objects.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a value of any other of Python's types goes one and the same way"
)]

use super::{
    RepairError,
    parser::{Context, Parser, Repaired, empty, is_delimiter, one_of},
};
use crate::python::{
    object::{Dict, Object},
    text::is_space,
};

/// What comes after a member.
enum Member {
    More,
    /// The object ends here.
    Last,
}

impl Parser {
    /// The members up to the closing brace; the opening one has been read.
    pub(super) fn parse_object(&mut self) -> Repaired {
        let mut dict = Dict::default();
        let start = self.index;
        let is_value = self.current() == Some(Context::ObjectValue);
        loop {
            self.skip_whitespace_and_comments();
            match self.here() {
                None | Some('}') => break,
                Some(',') => {
                    self.index += 1;
                    continue;
                }
                Some(':') => self.index += 1,
                Some(_) => {}
            }
            if let Member::Last = self.parse_member(&mut dict, is_value)? {
                break;
            }
        }
        self.index += 1;
        if let Some(value) = self.repair_empty_object(&dict, start)? {
            return Ok(value);
        }
        self.complete_object(dict).map(Object::Dict)
    }

    fn parse_member(&mut self, dict: &mut Dict, is_value: bool) -> Repaired<Member> {
        let (key, rollback) = self.parse_key(dict)?;
        let is_duplicate = self.is_in(Context::Array) && dict.contains(&key);
        if is_duplicate && !is_value && self.duplicate_splits_object(rollback) {
            self.index = rollback.saturating_sub(1);
            self.text.insert(rollback, '{');
            self.next.forget();
            return Ok(Member::Last);
        }
        self.skip_whitespace_and_comments();
        if self.here().is_none_or(|c| c == '}') {
            return Ok(Member::More);
        }
        self.index += 1;
        let value = self.within(Context::ObjectValue, Self::parse_value)?;
        dict.insert(Object::Str(key), value);
        if one_of(self.here(), &[',', '\'', '"']) {
            self.index += 1;
        }
        if self.here() == Some(']') && self.is_in(Context::Array) {
            self.index -= 1;
            return Ok(Member::Last);
        }
        Ok(Member::More)
    }

    fn parse_key(&mut self, dict: &mut Dict) -> Repaired<(String, usize)> {
        self.within(Context::ObjectKey, |parser| {
            let mut rollback = parser.index;
            let mut key = String::new();
            while parser.here().is_some() {
                rollback = parser.index;
                let is_array = parser.here() == Some('[') && key.is_empty();
                if is_array && parser.merge_array_continuation(dict)? {
                    continue;
                }
                let Object::Str(text) = parser.parse_string()? else {
                    return Err(RepairError::KeyNotText);
                };
                key = text;
                if key.is_empty() {
                    parser.skip_whitespace_and_comments();
                }
                if !key.is_empty() || one_of(parser.here(), &[':', '}']) {
                    break;
                }
            }
            Ok((key, rollback))
        })
    }

    fn parse_value(&mut self) -> Repaired {
        self.skip_whitespace_and_comments();
        match self.here() {
            Some(',' | '}') => Ok(empty()),
            _ => self.parse_json(),
        }
    }

    /// Whether a key met twice begins a new object: not if it follows a comma as it should.
    fn duplicate_splits_object(&self, rollback: usize) -> bool {
        let mut idx = rollback.cast_signed() - self.index.cast_signed() - 1;
        while self.char_at(idx).is_some_and(is_space) {
            idx -= 1;
        }
        let is_quoted = is_delimiter(self.text.get(rollback).copied());
        let next = self.char_at(self.scroll(0));
        !(is_quoted && self.char_at(idx) == Some(',') && next == Some(':'))
    }

    /// A list where a key should be continues the list of the member before.
    fn merge_array_continuation(&mut self, dict: &mut Dict) -> Repaired<bool> {
        let Some(name) = dict.last_name().filter(|it| !it.is_empty()).map(ToOwned::to_owned) else {
            return Ok(false);
        };
        let Some(Object::List(_)) = dict.get(&name) else { return Ok(false) };
        self.index += 1;
        let new = self.deeper(|parser| parser.parse_array(']'))?;
        if let Some(Object::List(rows)) = dict.get_mut(&name) {
            continue_rows(rows, new);
        }
        self.skip_whitespace_and_comments();
        if self.here() == Some(',') {
            self.index += 1;
        }
        self.skip_whitespace_and_comments();
        Ok(true)
    }

    fn complete_object(&mut self, mut dict: Dict) -> Repaired<Dict> {
        if !self.context.is_empty() {
            if self.here() == Some('}') && self.current() == Some(Context::Array) {
                self.index += 1;
            }
            return Ok(dict);
        }
        self.skip_whitespaces();
        if self.here() == Some(',') {
            self.index += 1;
            self.skip_whitespaces();
            if is_delimiter(self.here())
                && let Object::Dict(more) = self.deeper(Self::parse_object)?
            {
                more.into_iter().for_each(|(key, value)| dict.insert(key, value));
            }
        }
        Ok(dict)
    }
}

/// Appends to the rows of a list; items without brackets are grouped into rows as long as theirs.
fn continue_rows(rows: &mut Vec<Object>, mut new: Vec<Object>) {
    let row_len = |row: &Object| match row {
        Object::List(items) => Some(items.len()),
        _ => None,
    };
    let mut lens = rows.iter().filter_map(row_len);
    let first = lens.next();
    let Some(len) = first.filter(|len| *len > 0 && lens.all(|it| it == *len)) else {
        match new.as_mut_slice() {
            [Object::List(only)] => rows.append(only),
            _ => rows.append(&mut new),
        }
        return;
    };
    let kept = rows.iter().rposition(|it| row_len(it).is_some()).map_or(0, |at| at + 1);
    let tail = rows.split_off(kept);
    if tail.len().is_multiple_of(len) {
        rows.extend(tail.chunks(len).map(|row| Object::List(row.to_vec())));
    } else {
        rows.extend(tail);
    }
    if new.is_empty() {
        return;
    }
    if new.iter().all(|it| row_len(it).is_some()) {
        rows.append(&mut new);
    } else {
        rows.push(Object::List(new));
    }
}

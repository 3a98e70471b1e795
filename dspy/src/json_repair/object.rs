//! Objects.

use super::{
    RepairError,
    parser::{Context, Parser, Repaired, empty, is_delimiter, one_of},
    rows::Rows,
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
        let (mut dict, mut rows) = (Dict::default(), Rows::default());
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
            if let Member::Last = self.parse_member(&mut dict, &mut rows, is_value)? {
                break;
            }
        }
        self.index += 1;
        if let Some(value) = self.repair_empty_object(&dict, start)? {
            return Ok(value);
        }
        self.complete_object(dict).map(Object::Dict)
    }

    fn parse_member(
        &mut self,
        dict: &mut Dict,
        rows: &mut Rows,
        is_value: bool,
    ) -> Repaired<Member> {
        let (key, rollback) = self.parse_key(dict, rows)?;
        let is_duplicate = self.is_in(Context::Array) && dict.contains(&key);
        if is_duplicate && !is_value && self.duplicate_splits_object(rollback) {
            self.begin_object_at(rollback);
            return Ok(Member::Last);
        }
        self.skip_whitespace_and_comments();
        if self.here().is_none_or(|c| c == '}') {
            return Ok(Member::More);
        }
        self.index += 1;
        let value = self.within(Context::ObjectValue, Self::parse_value)?;
        rows.forget(&key);
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

    /// Puts an opening brace before a key, and the cursor before the brace.
    ///
    /// It takes the place of a character that has been read, lest a long text of such keys is
    /// moved for each of them; only a backslash means something for what stands behind it.
    fn begin_object_at(&mut self, key: usize) {
        let read = key.checked_sub(2).filter(|it| self.text.get(it + 1) != Some(&'\\'));
        if let Some(before) = read {
            self.index = before;
            self.text[before + 1] = '{';
        } else {
            self.index = key.saturating_sub(1);
            self.spend(self.text.len() - key);
            self.text.insert(key, '{');
            self.next.forget();
        }
    }

    fn parse_key(&mut self, dict: &mut Dict, rows: &mut Rows) -> Repaired<(String, usize)> {
        self.within(Context::ObjectKey, |parser| {
            let mut rollback = parser.index;
            let mut key = String::new();
            while parser.here().is_some() {
                rollback = parser.index;
                let is_array = parser.here() == Some('[') && key.is_empty();
                if is_array && parser.merge_array_continuation(dict, rows)? {
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
    fn merge_array_continuation(&mut self, dict: &mut Dict, rows: &mut Rows) -> Repaired<bool> {
        let Some(name) = dict.last_name().filter(|it| !it.is_empty()).map(ToOwned::to_owned) else {
            return Ok(false);
        };
        let Some(Object::List(_)) = dict.get(&name) else { return Ok(false) };
        self.index += 1;
        let new = self.deeper(|parser| parser.parse_array(']'))?;
        if let Some(Object::List(list)) = dict.get_mut(&name) {
            rows.proceed(&name, list, new);
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

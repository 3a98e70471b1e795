//! Containers inside of text, and what follows after a string.

use super::{
    next::End,
    parser::{Parser, is_delimiter, one_of},
    string::Text,
};
use crate::python::{
    text::is_space,
    unicode::{is_alnum, is_digit},
};

pub(super) fn is_opener(c: Option<char>) -> bool {
    one_of(c, &['[', '{', '('])
}

fn closing(opener: char) -> char {
    match opener {
        '[' => ']',
        '{' => '}',
        _ => ')',
    }
}

fn matching_delimiter(delimiter: char) -> char {
    if delimiter == '“' { '”' } else { delimiter }
}

impl Parser {
    pub(super) fn brace_before_fence_belongs_to_text(
        &self,
        state: &mut Text,
        fence: isize,
    ) -> bool {
        let mut search = fence + 3;
        let next = self.scroll_comments(search);
        let mut keeps_container = false;
        if is_opener(self.char_at(next))
            && let Some(end) = self.skip_inline_container(next)
        {
            if self.post_fence_container_starts_member(end) {
                return false;
            }
            keeps_container = true;
            search = end;
        }
        let mut quote = self.skip_to(&[state.close], search);
        while self.char_at(quote) == Some(state.close) {
            let after = self.char_at(self.scroll(quote + 1));
            if after.is_none_or(|c| matches!(c, ',' | '}' | ']')) {
                state.pending_container |= keeps_container;
                return true;
            }
            quote = self.skip_to(&[state.close], quote + 1);
        }
        false
    }

    fn post_fence_container_starts_member(&self, end: isize) -> bool {
        let after = self.scroll(end);
        match self.char_at(after) {
            None | Some('}') => true,
            Some(',') => {
                let member = self.scroll_comments(after + 1);
                self.char_at(member).is_none_or(|c| c == '}') || self.member_starts_at(member)
            }
            Some(_) => false,
        }
    }

    pub(super) fn bare_key_precedes_colon(&self, key: isize) -> bool {
        let begins = self.char_at(key).is_some_and(|c| is_alnum(c) || c == '_');
        begins && self.char_at(self.scroll(self.skip_key_chars(key))) == Some(':')
    }

    fn starts_nested_container(&self, idx: isize) -> bool {
        let opener = self.char_at(idx);
        let mut before = idx - 1;
        while before >= 0 {
            let Some(c) = self.char_at(before) else { return true };
            if is_space(c) {
                before -= 1;
                continue;
            }
            if is_opener(Some(c)) {
                return true;
            }
            return matches!(c, ',' | ':') && self.nested_container_begins(opener, c, idx);
        }
        true
    }

    fn nested_container_begins(&self, opener: Option<char>, before: char, idx: isize) -> bool {
        let next = self.scroll(idx + 1);
        let c = self.char_at(next);
        if opener != Some('{') {
            return is_delimiter(c)
                || is_opener(c)
                || one_of(c, &[']', ')', '-', 't', 'f', 'n'])
                || c.is_some_and(is_digit);
        }
        c == Some('}') || is_delimiter(c) || (before == ':' && self.bare_key_precedes_colon(next))
    }

    /// The distance behind the container that begins at `idx`, if it is closed.
    pub(super) fn skip_inline_container(&self, idx: isize) -> Option<isize> {
        let opener = self.char_at(idx).filter(|c| is_opener(Some(*c)));
        let Some(opener) = opener else { return Some(idx) };
        let place = |idx: isize| self.index.saturating_add_signed(idx);
        match self.next.container_end(place(idx)) {
            Some(End::Before(end)) => return Some(self.distance(end)),
            Some(End::Never) => return None,
            None => {}
        }
        let mut open = vec![(idx, closing(opener))];
        let mut at = idx + 1;
        while let Some(c) = self.char_at(at) {
            if is_delimiter(Some(c)) {
                let end = matching_delimiter(c);
                at = self.skip_to(&[end], at + 1);
            } else if is_opener(Some(c)) && self.starts_nested_container(at) {
                match self.next.container_end(place(at)) {
                    Some(End::Never) => break,
                    Some(End::Before(end)) => at = self.distance(end) - 1,
                    None => open.push((at, closing(c))),
                }
            } else if let Some((start, _)) = open.pop_if(|(_, end)| *end == c) {
                self.next.note_container(place(start), End::Before(place(at + 1)));
                if open.is_empty() {
                    return Some(at + 1);
                }
            }
            at += 1;
        }
        // What is open at the end is never closed, from wherever it is looked at.
        for (start, _) in open {
            self.next.note_container(place(start), End::Never);
        }
        None
    }

    /// The distance of the first character that is neither blank nor in a comment.
    pub(super) fn scroll_comments(&self, idx: isize) -> isize {
        let mut idx = self.scroll(idx);
        loop {
            match (self.char_at(idx), self.char_at(idx + 1)) {
                (Some('#'), _) => idx = self.scroll(self.line_end(idx)),
                (Some('/'), Some('/')) => idx = self.scroll(self.line_end(idx + 2)),
                (Some('/'), Some('*')) => match self.block_end(idx + 2) {
                    Ok(end) => idx = self.scroll(end),
                    Err(end) => return end,
                },
                _ => return idx,
            }
        }
    }

    fn line_end(&self, mut idx: isize) -> isize {
        while self.char_at(idx).is_some_and(|c| !matches!(c, '\n' | '\r')) {
            idx += 1;
        }
        idx
    }

    fn block_end(&self, mut idx: isize) -> Result<isize, isize> {
        while let Some(c) = self.char_at(idx) {
            if c == '*' && self.char_at(idx + 1) == Some('/') {
                return Ok(idx + 2);
            }
            idx += 1;
        }
        Err(idx)
    }

    pub(super) fn quoted_member_follows(&self, quote: isize) -> bool {
        let comma = self.scroll(quote + 1);
        self.char_at(comma) == Some(',') && self.member_starts_at(self.scroll_comments(comma + 1))
    }

    fn member_starts_at(&self, idx: isize) -> bool {
        let Some(c) = self.char_at(idx).filter(|c| *c != '}') else { return false };
        if !is_delimiter(Some(c)) {
            return self.bare_key_precedes_colon(idx);
        }
        let end = self.skip_to(&[matching_delimiter(c)], idx + 1);
        self.char_at(end).is_some() && self.char_at(self.scroll(end + 1)) == Some(':')
    }
}

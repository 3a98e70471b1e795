//! Braces in which no member was found though something stands there.

use super::parser::{Context, Parser, Repaired, STRING_DELIMITERS};
use crate::python::{
    object::{Dict, Object},
    text::is_space,
};

/// What braces without members are.
enum Found {
    /// An empty object after all.
    Object,
    /// An object whose quotes are escaped; here without the escapes.
    Escaped(Vec<char>),
    /// A list in braces: a set.
    Array,
}

impl Parser {
    pub(super) fn repair_empty_object(
        &mut self,
        dict: &Dict,
        start: usize,
    ) -> Repaired<Option<Object>> {
        if !dict.is_empty() || self.index.saturating_sub(start) <= 2 {
            return Ok(None);
        }
        let end = (self.index - 1).min(self.text.len());
        self.spend(end.saturating_sub(start));
        self.check_work()?;
        let is_closed = self.char_at(-1) == Some('}');
        if is_closed && without_comments(&self.text[start..end]).into_iter().all(is_space) {
            return Ok(None);
        }
        let value = match self.classify_empty_object(start) {
            Found::Object => return Ok(None),
            Found::Escaped(normalized) => {
                let end = (self.index + 1).min(self.text.len());
                self.spend(self.text.len());
                self.text.splice(start.saturating_sub(1)..end, normalized);
                self.next.forget();
                self.index = start;
                self.within(Context::ObjectKey, |parser| parser.deeper(Self::parse_object))?
            }
            Found::Array => {
                self.index = start;
                let items = self.within(Context::ObjectKey, |parser| {
                    parser.deeper(|parser| parser.parse_array(']'))
                })?;
                Object::List(items)
            }
        };
        self.deferred.push(Context::ObjectKey);
        Ok(Some(value))
    }

    fn classify_empty_object(&self, start: usize) -> Found {
        let end = (self.index + 1).min(self.text.len());
        // At the very beginning Python's slice from -1 is empty, and so is this.
        let attempted = start.checked_sub(1).map_or(&[][..], |from| &self.text[from..end]);
        let body = attempted.get(1..).unwrap_or_default();
        let body = body.strip_suffix(&['}']).unwrap_or(body);
        let body = trim_start(body);
        if body.is_empty() {
            return Found::Object;
        }
        for quote in ['"', '\''] {
            let is_escaped_key = body.starts_with(&['\\', quote])
                && body.windows(3).any(|it| it == ['\\', quote, ':']);
            if is_escaped_key {
                return Found::Escaped(unescape_quotes(attempted));
            }
        }
        let body = without_comments(body);
        let body = trim_start(&body);
        if body.is_empty() || has_separator(body) { Found::Object } else { Found::Array }
    }
}

fn trim_start(text: &[char]) -> &[char] {
    let blanks = text.iter().take_while(|c| is_space(**c)).count();
    &text[blanks..]
}

fn unescape_quotes(text: &[char]) -> Vec<char> {
    let text: String = text.iter().collect();
    text.replace("\\\"", "\"").replace("\\'", "'").chars().collect()
}

/// Whether a colon stands outside of quotes.
fn has_separator(text: &[char]) -> bool {
    let mut quote = None;
    let mut backslashes = 0;
    for c in text.iter().copied() {
        if c == '\\' {
            backslashes += 1;
            continue;
        }
        let is_plain = backslashes % 2 == 0;
        backslashes = 0;
        match quote {
            Some(open) if c == open && is_plain => quote = None,
            None if STRING_DELIMITERS.contains(&c) && is_plain => quote = Some(c),
            None if c == ':' && is_plain => return true,
            Some(_) | None => {}
        }
    }
    false
}

fn without_comments(text: &[char]) -> Vec<char> {
    let mut out = Vec::new();
    let mut quote = None;
    let mut backslashes = 0;
    let mut at = 0;
    while at < text.len() {
        let c = text[at];
        at += 1;
        if c == '\\' {
            backslashes += 1;
            out.push(c);
            continue;
        }
        let is_plain = backslashes % 2 == 0;
        backslashes = 0;
        let next = text.get(at);
        match quote {
            Some(open) => {
                if c == open && is_plain {
                    quote = None;
                }
                out.push(c);
            }
            None if STRING_DELIMITERS.contains(&c) && is_plain => {
                quote = Some(c);
                out.push(c);
            }
            None if c == '#' || (c == '/' && next == Some(&'/')) => {
                at += usize::from(c == '/');
                let rest = text[at..].iter();
                at += rest.take_while(|c| !matches!(c, '\n' | '\r')).count();
            }
            None if c == '/' && next == Some(&'*') => {
                at += 1;
                let end = text[at..].windows(2).position(|it| it == ['*', '/']);
                at = end.map_or(text.len(), |end| at + end + 2);
            }
            None => out.push(c),
        }
    }
    out
}

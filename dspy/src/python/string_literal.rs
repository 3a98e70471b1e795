//! Python's string literals: prefixes, triple quotes, escapes.

use super::{code_point, object::Object};

/// Reads a string literal at `at`; `Some(None)` if none begins there, `None` if it is malformed.
#[expect(clippy::option_option, reason = "absent and malformed are two answers")]
pub(crate) fn read(text: &[char], at: &mut usize) -> Option<Option<Object>> {
    let prefix = text[*at..].iter().take_while(|c| c.is_ascii_alphabetic()).count();
    let Some(quote @ ('\'' | '"')) = text.get(*at + prefix).copied() else { return Some(None) };
    let letters: String = text[*at..*at + prefix].iter().collect::<String>().to_ascii_lowercase();
    let (is_raw, is_bytes) = match letters.as_str() {
        "" | "u" => (false, false),
        "r" => (true, false),
        "b" => (false, true),
        "br" | "rb" => (true, true),
        _ => return None,
    };
    *at += prefix;
    let is_triple = text[*at..].starts_with(&[quote; 3]);
    *at += if is_triple { 3 } else { 1 };
    let mut body = Body { text, at: *at, out: String::new(), is_raw, is_bytes };
    body.read(quote, is_triple)?;
    *at = body.at;
    if is_bytes {
        let bytes = body.out.chars().filter_map(|c| u8::try_from(c).ok());
        return Some(Some(Object::Bytes(bytes.collect())));
    }
    Some(Some(Object::Str(body.out)))
}

struct Body<'a> {
    text: &'a [char],
    at: usize,
    out: String,
    is_raw: bool,
    is_bytes: bool,
}

impl Body<'_> {
    fn read(&mut self, quote: char, is_triple: bool) -> Option<()> {
        loop {
            let c = *self.text.get(self.at)?;
            if c == quote && (!is_triple || self.text[self.at..].starts_with(&[quote; 3])) {
                self.at += if is_triple { 3 } else { 1 };
                return Some(());
            }
            self.at += 1;
            match c {
                '\n' if !is_triple => return None,
                '\\' if self.is_raw => {
                    let next = *self.text.get(self.at)?;
                    self.at += 1;
                    self.out.extend([c, next]);
                }
                '\\' => self.escape()?,
                c if self.is_bytes && !c.is_ascii() => return None,
                c => self.out.push(c),
            }
        }
    }

    fn escape(&mut self) -> Option<()> {
        let c = *self.text.get(self.at)?;
        self.at += 1;
        let plain = match c {
            '\n' => return Some(()),
            '\\' | '\'' | '"' => c,
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            '0'..='7' => self.octal(),
            'x' => self.hex(2)?,
            'u' if !self.is_bytes => self.hex(4)?,
            'U' if !self.is_bytes => self.hex(8)?,
            'N' if !self.is_bytes => return None,
            c => {
                self.out.push('\\');
                c
            }
        };
        self.out.push(plain);
        Some(())
    }

    fn octal(&mut self) -> char {
        let start = self.at - 1;
        let digits = self.text[start..].iter().take(3).map_while(|c| c.to_digit(8));
        let (mut count, mut code) = (0, 0);
        for digit in digits {
            code = code * 8 + digit;
            count += 1;
        }
        self.at = start + count;
        char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
    }

    fn hex(&mut self, count: usize) -> Option<char> {
        let code = code_point::hex(self.text.get(self.at..self.at + count)?.iter().copied())?;
        let (c, more) = code_point::paired(code, self.text[self.at + count..].iter().copied());
        self.at += count + more;
        (code <= u32::from(char::MAX)).then_some(c)
    }
}

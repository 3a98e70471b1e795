//! `ast.literal_eval`: Python's literals.
//!
//! What it refuses it refuses without a reason: the caller only goes on to the next way of
//! reading. `\N{…}` names are not known.

use std::collections::HashSet;

use super::{
    json_read::{DEPTH_MAX, DIGITS_MAX},
    object::{Dict, Int, Object},
};

/// The value of a Python literal, if the text is one.
pub(crate) fn eval(text: &str) -> Option<Object> {
    let text = text.trim_start_matches([' ', '\t']).replace("\r\n", "\n").replace('\r', "\n");
    if text.contains('\0') {
        return None;
    }
    // Python takes blanks at the end of the text for the indent of a line that never comes.
    let last_line = text.rsplit_once('\n').map_or("", |(_, last)| last);
    if !last_line.is_empty() && last_line.chars().all(|c| matches!(c, ' ' | '\t')) {
        return None;
    }
    let chars: Vec<char> = text.chars().collect();
    let mut reader = Reader { text: &chars, at: 0, brackets: 0 };
    reader.blank_lines();
    let is_indented = reader.at > 0 && matches!(reader.peek(), Some(' ' | '\t'));
    if is_indented {
        return None;
    }
    let value = reader.items_or_one()?;
    reader.skip();
    while reader.eat('\n') {
        reader.skip();
    }
    (reader.at == chars.len()).then_some(value)
}

struct Reader<'a> {
    text: &'a [char],
    at: usize,
    brackets: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn ahead(&self, by: usize) -> Option<char> {
        self.text.get(self.at + by).copied()
    }

    fn eat(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        self.at += usize::from(found);
        found
    }

    /// Lines at the beginning that hold nothing; the first that holds something is not indented.
    fn blank_lines(&mut self) {
        loop {
            let before = self.at;
            self.skip();
            if !self.eat('\n') {
                if before > 0 {
                    self.at = before;
                }
                return;
            }
        }
    }

    /// Skips blanks and comments, and within brackets also the ends of lines.
    fn skip(&mut self) {
        loop {
            match self.peek() {
                Some(' ' | '\t' | '\u{c}') => self.at += 1,
                Some('\n') if self.brackets > 0 => self.at += 1,
                Some('\\') if self.ahead(1) == Some('\n') => self.at += 2,
                Some('#') => {
                    while self.peek().is_some_and(|c| c != '\n') {
                        self.at += 1;
                    }
                }
                _ => return,
            }
        }
    }

    /// One value, or a tuple without parentheses.
    fn items_or_one(&mut self) -> Option<Object> {
        let first = self.value()?;
        self.skip();
        if self.peek() != Some(',') {
            return Some(first);
        }
        let mut items = vec![first];
        while self.eat(',') {
            self.skip();
            if matches!(self.peek(), None | Some(')' | '\n')) {
                break;
            }
            items.push(self.value()?);
            self.skip();
        }
        Some(Object::Tuple(items))
    }

    /// A value, or the sum of a real and an imaginary number.
    fn value(&mut self) -> Option<Object> {
        self.skip();
        let left = self.signed()?;
        self.skip();
        let Some(sign @ ('+' | '-')) = self.peek() else { return Some(left) };
        self.at += 1;
        self.skip();
        let Object::Complex(real, imaginary) = self.atom()? else { return None };
        let left = if let Object::Int(int) = &left { Object::Float(int.to_f64()) } else { left };
        let Object::Float(left) = left else { return None };
        Some(match sign {
            '+' => Object::Complex(left + real, 0.0 + imaginary),
            _ => Object::Complex(left - real, 0.0 - imaginary),
        })
    }

    fn signed(&mut self) -> Option<Object> {
        let negative = match self.peek()? {
            '-' => true,
            '+' => false,
            _ => return self.atom(),
        };
        self.at += 1;
        self.skip();
        match (self.atom()?, negative) {
            (it @ (Object::Int(_) | Object::Float(_) | Object::Complex(..)), false) => Some(it),
            (Object::Int(Int::Big(digits)), true) => {
                Some(Object::Int(Int::from_digits(true, &digits)))
            }
            (Object::Int(Int::Small(small)), true) => Some(Object::int(small.checked_neg()?)),
            (Object::Float(float), true) => Some(Object::Float(-float)),
            (Object::Complex(real, imaginary), true) => Some(Object::Complex(-real, -imaginary)),
            _ => None,
        }
    }

    fn atom(&mut self) -> Option<Object> {
        match self.peek()? {
            '(' => self.bracketed(Self::parenthesized),
            '[' => self.bracketed(|reader| reader.items(']').map(Object::List)),
            '{' => self.bracketed(Self::braced),
            '\'' | '"' => self.strings(),
            '.' if self.text[self.at..].starts_with(&['.', '.', '.']) => {
                self.at += 3;
                Some(Object::Ellipsis)
            }
            c if c.is_ascii_digit() || c == '.' => self.number(),
            c if c.is_alphabetic() || c == '_' => self.word(),
            _ => None,
        }
    }

    fn bracketed(&mut self, read: fn(&mut Self) -> Option<Object>) -> Option<Object> {
        if self.brackets == DEPTH_MAX {
            return None;
        }
        self.at += 1;
        self.brackets += 1;
        let value = read(self);
        self.brackets -= 1;
        value
    }

    fn parenthesized(&mut self) -> Option<Object> {
        self.skip();
        if self.eat(')') {
            return Some(Object::Tuple(Vec::new()));
        }
        let value = self.items_or_one()?;
        self.skip();
        self.eat(')').then_some(value)
    }

    fn items(&mut self, close: char) -> Option<Vec<Object>> {
        let mut items = Vec::new();
        loop {
            self.skip();
            if self.eat(close) {
                return Some(items);
            }
            items.push(self.value()?);
            self.skip();
            if !self.eat(',') {
                return self.eat(close).then_some(items);
            }
        }
    }

    fn braced(&mut self) -> Option<Object> {
        self.skip();
        if self.eat('}') {
            return Some(Object::Dict(Dict::default()));
        }
        let first = self.hashable()?;
        self.skip();
        if self.peek() == Some(':') { self.dict(first) } else { self.set(first) }
    }

    fn dict(&mut self, first: Object) -> Option<Object> {
        let mut dict = Dict::default();
        let mut key = first;
        loop {
            self.skip();
            if !self.eat(':') {
                return None;
            }
            let value = self.value()?;
            dict.insert(key, value);
            self.skip();
            let more = self.eat(',');
            self.skip();
            if self.eat('}') {
                return Some(Object::Dict(dict));
            }
            if !more {
                return None;
            }
            key = self.hashable()?;
        }
    }

    fn set(&mut self, first: Object) -> Option<Object> {
        let mut seen = HashSet::from([first.hashed()]);
        let mut items = vec![first];
        loop {
            self.skip();
            let more = self.eat(',');
            self.skip();
            if self.eat('}') {
                return Some(Object::Set(items));
            }
            if !more {
                return None;
            }
            let item = self.hashable()?;
            if seen.insert(item.hashed()) {
                items.push(item);
            }
        }
    }

    fn hashable(&mut self) -> Option<Object> {
        let value = self.value()?;
        let is_hashable = !matches!(value, Object::List(_) | Object::Dict(_) | Object::Set(_));
        is_hashable.then_some(value)
    }

    fn word(&mut self) -> Option<Object> {
        let start = self.at;
        while self.peek().is_some_and(|c| c.is_alphanumeric() || c == '_') {
            self.at += 1;
        }
        let word: String = self.text[start..self.at].iter().collect();
        match word.as_str() {
            "None" => Some(Object::None),
            "True" => Some(Object::Bool(true)),
            "False" => Some(Object::Bool(false)),
            "set" => {
                self.skip();
                let open = self.eat('(');
                self.skip();
                (open && self.eat(')')).then(|| Object::Set(Vec::new()))
            }
            _ if matches!(self.peek(), Some('\'' | '"')) => {
                self.at = start;
                self.strings()
            }
            _ => None,
        }
    }

    fn number(&mut self) -> Option<Object> {
        let start = self.at;
        while self.peek().is_some_and(|c| self.continues_number(start, c)) {
            self.at += 1;
        }
        let text: String = self.text[start..self.at].iter().collect();
        super::number::literal(&text, DIGITS_MAX)
    }

    fn continues_number(&self, start: usize, c: char) -> bool {
        let is_hex = matches!(self.text.get(start + 1), Some('x' | 'X'));
        let after_exponent = matches!(self.text[self.at - usize::from(self.at > start)], 'e' | 'E');
        c.is_alphanumeric()
            || matches!(c, '_' | '.')
            || (matches!(c, '+' | '-') && after_exponent && !is_hex && self.at > start)
    }

    /// String literals side by side are one.
    fn strings(&mut self) -> Option<Object> {
        let mut whole: Option<Object> = None;
        while let Some(part) = super::string_literal::read(self.text, &mut self.at)? {
            whole = Some(match (whole, part) {
                (None, part) => part,
                (Some(Object::Str(a)), Object::Str(b)) => Object::Str(a + &b),
                (Some(Object::Bytes(a)), Object::Bytes(b)) => Object::Bytes([a, b].concat()),
                _ => return None,
            });
            self.skip();
        }
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::python::repr::repr;

    #[test]
    fn literals_are_read_as_python_reads_them() {
        let cases = [
            ("+1", "1"),
            ("- 3", "-3"),
            ("0x10", "16"),
            ("1e-051j", "1e-51j"),
            ("1_0J", "10j"),
            ("1_000", "1000"),
            ("1,000", "(1, 0)"),
            ("(1, 'x')", "(1, 'x')"),
            ("('a' \"b\")", "'ab'"),
            (".5", "0.5"),
            ("5.", "5.0"),
            ("1e400", "inf"),
            ("{1, 2, 1}", "{1, 2}"),
            ("{'a': True, 'b': None}", "{'a': True, 'b': None}"),
            ("'x\\u00e9\\x41\\n'", "'xéA\\n'"),
            ("b'x'", "b'x'"),
            ("r'\\n'", "'\\\\n'"),
            ("1+2j", "(1+2j)"),
            ("-1j", "(-0-1j)"),
            ("0-1j", "-1j"),
            ("1.5 - 0j", "(1.5+0j)"),
            ("-1.5-1e400j", "(-1.5-infj)"),
            ("\n1\n", "1"),
            ("[1, 2, ...]", "[1, 2, Ellipsis]"),
            ("9223372036854775808", "9223372036854775808"),
        ];

        for (text, want) in cases {
            assert_eq!(eval(text).as_ref().map(repr).as_deref(), Some(want), "{text}");
        }
    }

    #[test]
    fn what_is_no_literal_is_refused() {
        let cases = [
            "x", "007", "1 000", "1__0", "--1", "'a", "'a\nb'", "{[1]: 2}", "1+2", "\n 1", "f'x'",
            "", "1j+1j", "True+1j", "1j-1",
        ];

        for text in cases {
            assert_eq!(eval(text), None, "{text}");
        }
    }

    #[test]
    fn blanks_on_a_last_line_are_an_indent() {
        for text in ["2,\n ", "2\n\t", "2\n \n "] {
            assert!(eval(text).is_none(), "{text:?}");
        }
        for text in ["2\n", "2\n \n", "2 \n\n", "2\n # c"] {
            assert!(eval(text).is_some(), "{text:?}");
        }
    }
}

//! `json.loads`: strict JSON, and `NaN` and `Infinity` besides.

use super::{
    code_point,
    object::{Dict, Int, Object},
    text::first_byte,
};

/// The deepest nesting read. Python stops near 1000; what is read here must also be stored and
/// read again as JSON, for which readers stop at 128.
pub(crate) const DEPTH_MAX: usize = 100;

/// The most digits of an integer: Python's own limit.
pub(crate) const DIGITS_MAX: usize = 4300;

/// Why a text could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadError {
    /// It is not JSON.
    Invalid,
    /// It is nested too deeply.
    TooDeep,
}

type Read<T> = Result<T, ReadError>;

/// Reads the value that the whole text is.
pub(crate) fn loads(text: &str, into: &mut Object) -> Read<()> {
    let mut reader = Reader { text, at: 0, depth: 0 };
    reader.skip_space();
    reader.value(into)?;
    reader.skip_space();
    if reader.at == text.len() { Ok(()) } else { Err(ReadError::Invalid) }
}

/// The value that the text begins with, and what follows it.
pub(crate) fn raw_decode(text: &str) -> Read<(Object, &str)> {
    let mut value = Object::None;
    let mut reader = Reader { text, at: 0, depth: 0 };
    reader.value(&mut value)?;
    Ok((value, &text[reader.at..]))
}

/// Reads bytes: what JSON is made of is ASCII, and all else stands within strings. Values are read
/// into the place that they stay in: to hand them on takes longer than to read them.
struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, word: &str) -> bool {
        let matches = self.text.as_bytes()[self.at..].starts_with(word.as_bytes());
        if matches {
            self.at += word.len();
        }
        matches
    }

    fn value(&mut self, into: &mut Object) -> Read<()> {
        *into = match self.peek().ok_or(ReadError::Invalid)? {
            b'"' => {
                self.at += 1;
                Object::Str(self.string()?)
            }
            b'{' => return self.nested(into, Self::object),
            b'[' => return self.nested(into, Self::array),
            b'n' if self.eat("null") => Object::None,
            b't' if self.eat("true") => Object::Bool(true),
            b'f' if self.eat("false") => Object::Bool(false),
            b'N' if self.eat("NaN") => Object::Float(f64::NAN),
            b'I' if self.eat("Infinity") => Object::Float(f64::INFINITY),
            b'-' if self.eat("-Infinity") => Object::Float(f64::NEG_INFINITY),
            b'-' | b'0'..=b'9' => self.number()?,
            _ => return Err(ReadError::Invalid),
        };
        Ok(())
    }

    fn nested(
        &mut self,
        into: &mut Object,
        read: fn(&mut Self, &mut Object) -> Read<()>,
    ) -> Read<()> {
        if self.depth == DEPTH_MAX {
            return Err(ReadError::TooDeep);
        }
        self.at += 1;
        self.depth += 1;
        read(self, into)?;
        self.depth -= 1;
        Ok(())
    }

    fn array(&mut self, into: &mut Object) -> Read<()> {
        let mut items = Vec::new();
        self.skip_space();
        if !self.eat("]") {
            loop {
                let mut item = Object::None;
                self.value(&mut item)?;
                items.push(item);
                if self.ends(b']')? {
                    break;
                }
            }
        }
        *into = Object::List(items);
        Ok(())
    }

    fn object(&mut self, into: &mut Object) -> Read<()> {
        let mut dict = Dict::default();
        self.skip_space();
        if !self.eat("}") {
            loop {
                if !self.eat("\"") {
                    return Err(ReadError::Invalid);
                }
                let name = self.string()?;
                self.skip_space();
                if !self.eat(":") {
                    return Err(ReadError::Invalid);
                }
                self.skip_space();
                self.value(dict.place_of(Object::Str(name)))?;
                if self.ends(b'}')? {
                    break;
                }
            }
        }
        *into = Object::Dict(dict);
        Ok(())
    }

    /// Whether a list or an object ends after an item, or goes on after a comma.
    fn ends(&mut self, end: u8) -> Read<bool> {
        self.skip_space();
        let next = self.peek().filter(|it| *it == end || *it == b',').ok_or(ReadError::Invalid)?;
        self.at += 1;
        if next == b',' {
            self.skip_space();
        }
        Ok(next == end)
    }

    #[inline]
    fn string(&mut self) -> Read<String> {
        match self.until_special()? {
            (text, b'"') => Ok(text.to_owned()),
            (text, special) => self.string_on(text.to_owned(), special),
        }
    }

    /// The string that begins with a text, after which something special is.
    fn string_on(&mut self, mut out: String, mut special: u8) -> Read<String> {
        while special != b'"' {
            if special != b'\\' {
                return Err(ReadError::Invalid);
            }
            out.push(self.escape()?);
            let (text, next) = self.until_special()?;
            out.push_str(text);
            special = next;
        }
        Ok(out)
    }

    /// The text up to a quote, a backslash or what may not be there, and which of these it is.
    #[expect(clippy::needless_bitwise_bool, reason = "without branches many bytes go at once")]
    fn until_special(&mut self) -> Read<(&'a str, u8)> {
        let is_special = |byte: u8| (byte == b'"') | (byte == b'\\') | (byte < b' ');
        let rest = &self.text.as_bytes()[self.at..];
        let plain = first_byte(rest, is_special).ok_or(ReadError::Invalid)?;
        let text = &self.text[self.at..self.at + plain];
        self.at += plain + 1;
        Ok((text, rest[plain]))
    }

    fn escape(&mut self) -> Read<char> {
        let c = self.peek().ok_or(ReadError::Invalid)?;
        self.at += 1;
        Ok(match c {
            b'"' | b'\\' | b'/' => char::from(c),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(),
            _ => return Err(ReadError::Invalid),
        })
    }

    fn unicode_escape(&mut self) -> Read<char> {
        let end = self.at + 4;
        let digits = self.text.get(self.at..end).ok_or(ReadError::Invalid)?;
        let code = code_point::hex(digits.chars()).ok_or(ReadError::Invalid)?;
        let (c, more) = code_point::paired(code, self.text[end..].chars());
        // The other half is an escape too: its characters are bytes.
        self.at = end + more;
        Ok(c)
    }

    fn number(&mut self) -> Read<Object> {
        let start = self.at;
        let negative = self.eat("-");
        let whole = self.at;
        if !self.eat("0") && self.digits() == 0 {
            return Err(ReadError::Invalid);
        }
        let whole_end = self.at;
        let is_float = self.fraction() | self.exponent();
        if is_float {
            let text = &self.text[start..self.at];
            return text.parse().map(Object::Float).map_err(|_| ReadError::Invalid);
        }
        if whole_end - whole > DIGITS_MAX {
            return Err(ReadError::Invalid);
        }
        Ok(Object::Int(Int::from_digits(negative, &self.text[whole..whole_end])))
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - start
    }

    fn fraction(&mut self) -> bool {
        let before = self.at;
        if self.eat(".") && self.digits() > 0 {
            return true;
        }
        self.at = before;
        false
    }

    fn exponent(&mut self) -> bool {
        let before = self.at;
        if self.eat("e") || self.eat("E") {
            let _sign = self.eat("-") || self.eat("+");
            if self.digits() > 0 {
                return true;
            }
        }
        self.at = before;
        false
    }
}

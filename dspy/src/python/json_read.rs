//! `json.loads`: strict JSON, and `NaN` and `Infinity` besides.

use super::{
    code_point,
    object::{Dict, Int, Object},
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

/// The value that the whole text is.
pub(crate) fn loads(text: &str) -> Read<Object> {
    let mut reader = Reader { text, at: 0, depth: 0 };
    reader.skip_space();
    let value = reader.value()?;
    reader.skip_space();
    if reader.at == text.len() { Ok(value) } else { Err(ReadError::Invalid) }
}

/// The value that the text begins with, and what follows it.
pub(crate) fn raw_decode(text: &str) -> Read<(Object, &str)> {
    let mut reader = Reader { text, at: 0, depth: 0 };
    let value = reader.value()?;
    Ok((value, &text[reader.at..]))
}

/// Reads bytes: what JSON is made of is ASCII, and all else stands within strings.
struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl Reader<'_> {
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

    fn value(&mut self) -> Read<Object> {
        match self.peek().ok_or(ReadError::Invalid)? {
            b'"' => {
                self.at += 1;
                self.string().map(Object::Str)
            }
            b'{' => self.nested(Self::object),
            b'[' => self.nested(Self::array),
            b'n' if self.eat("null") => Ok(Object::None),
            b't' if self.eat("true") => Ok(Object::Bool(true)),
            b'f' if self.eat("false") => Ok(Object::Bool(false)),
            b'N' if self.eat("NaN") => Ok(Object::Float(f64::NAN)),
            b'I' if self.eat("Infinity") => Ok(Object::Float(f64::INFINITY)),
            b'-' if self.eat("-Infinity") => Ok(Object::Float(f64::NEG_INFINITY)),
            b'-' | b'0'..=b'9' => self.number(),
            _ => Err(ReadError::Invalid),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Read<Object>) -> Read<Object> {
        if self.depth == DEPTH_MAX {
            return Err(ReadError::TooDeep);
        }
        self.at += 1;
        self.depth += 1;
        let value = read(self);
        self.depth -= 1;
        value
    }

    fn array(&mut self) -> Read<Object> {
        let mut items = Vec::new();
        self.skip_space();
        if self.eat("]") {
            return Ok(Object::List(items));
        }
        loop {
            items.push(self.value()?);
            self.skip_space();
            if self.eat("]") {
                return Ok(Object::List(items));
            }
            if !self.eat(",") {
                return Err(ReadError::Invalid);
            }
            self.skip_space();
        }
    }

    fn object(&mut self) -> Read<Object> {
        let mut dict = Dict::default();
        self.skip_space();
        if self.eat("}") {
            return Ok(Object::Dict(dict));
        }
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
            let value = self.value()?;
            dict.insert(Object::Str(name), value);
            self.skip_space();
            if self.eat("}") {
                return Ok(Object::Dict(dict));
            }
            if !self.eat(",") {
                return Err(ReadError::Invalid);
            }
            self.skip_space();
        }
    }

    fn string(&mut self) -> Read<String> {
        let mut out = String::new();
        loop {
            let ends = |byte: &u8| matches!(*byte, b'"' | b'\\' | ..b' ');
            let rest = &self.text.as_bytes()[self.at..];
            let plain = rest.iter().position(ends).ok_or(ReadError::Invalid)?;
            out.push_str(&self.text[self.at..self.at + plain]);
            self.at += plain + 1;
            match rest[plain] {
                b'"' => return Ok(out),
                b'\\' => out.push(self.escape()?),
                _ => return Err(ReadError::Invalid),
            }
        }
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

//! expat's tokens of an element's content: where each begins and ends, and what no token is.
//!
//! Knows no tree, no namespaces and no entities.

use std::ops::Range;

use super::names::{is_allowed, is_name, is_start};

/// A token, by the places of its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// `<name …>` or `<name …/>`
    Start { name: Range<usize>, attributes: Vec<Attribute>, is_empty: bool },
    /// `</name>`
    End { name: Range<usize> },
    /// `&name;`
    Entity { name: Range<usize> },
    /// `&#…;`: the digits, with their `x`
    Character { digits: Range<usize> },
    /// `<![CDATA[`
    CdataOpen,
    /// A comment or a processing instruction
    Ignored,
    /// `<?xml …?>`
    Declaration,
    /// Text without line ends
    Text,
    /// A line end
    Newline,
}

/// An attribute as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attribute {
    pub(super) name: Range<usize>,
    pub(super) value: Range<usize>,
}

/// Why there is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The character at this place fits nowhere.
    Invalid(usize),
    /// The document ends within the token.
    Partial,
}

pub(super) type Scanned<T = Token> = Result<T, Stop>;

/// A place in a document that moves on token by token.
pub(super) struct Scanner<'a> {
    text: &'a str,
    pub(super) at: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The next token of an element's content; none at the end.
    pub(super) fn content(&mut self) -> Scanned<Option<Token>> {
        let Some(c) = self.peek() else { return Ok(None) };
        let token = match c {
            '<' => {
                self.at += 1;
                self.markup()?
            }
            '&' => {
                self.at += 1;
                self.reference()?
            }
            '\r' | '\n' => self.newline(),
            c if !is_allowed(c) => return self.invalid(),
            _ => self.text()?,
        };
        Ok(Some(token))
    }

    /// The text of a CDATA section, up to behind its end; none if it does not end.
    pub(super) fn cdata(&mut self) -> Scanned<Option<Range<usize>>> {
        let start = self.at;
        while let Some(c) = self.peek() {
            if self.text[self.at..].starts_with("]]>") {
                let text = start..self.at;
                self.at += "]]>".len();
                return Ok(Some(text));
            }
            if !is_allowed(c) {
                return self.invalid();
            }
            self.at += c.len_utf8();
        }
        Ok(None)
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    pub(super) fn require(&self) -> Scanned<char> {
        self.peek().ok_or(Stop::Partial)
    }

    pub(super) fn eat(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        self.at += if found { c.len_utf8() } else { 0 };
        found
    }

    fn expect(&mut self, c: char) -> Scanned<()> {
        let next = self.require()?;
        if next != c {
            return self.invalid();
        }
        self.at += c.len_utf8();
        Ok(())
    }

    pub(super) fn invalid<T>(&self) -> Scanned<T> {
        Err(Stop::Invalid(self.at))
    }

    fn newline(&mut self) -> Token {
        let _ = self.eat('\r');
        let _ = self.eat('\n');
        Token::Newline
    }

    fn text(&mut self) -> Scanned {
        while let Some(c) = self.peek() {
            if matches!(c, '<' | '&' | '\r' | '\n') || !is_allowed(c) {
                break;
            }
            if self.text[self.at..].starts_with("]]>") {
                return Err(Stop::Invalid(self.at + "]]".len()));
            }
            self.at += c.len_utf8();
        }
        Ok(Token::Text)
    }

    /// What follows a `<`.
    fn markup(&mut self) -> Scanned {
        match self.require()? {
            '!' => {
                self.at += 1;
                match self.require()? {
                    '-' => self.comment(),
                    '[' => self.cdata_open(),
                    _ => self.invalid(),
                }
            }
            '?' => {
                self.at += 1;
                self.instruction()
            }
            '/' => {
                self.at += 1;
                self.end_tag()
            }
            c if is_start(c) => self.start_tag(),
            _ => self.invalid(),
        }
    }

    /// What follows `<!`, given that it is a minus.
    pub(super) fn comment(&mut self) -> Scanned {
        self.at += 1;
        self.expect('-')?;
        loop {
            let c = self.require()?;
            if !is_allowed(c) {
                return self.invalid();
            }
            self.at += c.len_utf8();
            if c == '-' && self.require()? == '-' {
                self.at += 1;
                self.expect('>')?;
                return Ok(Token::Ignored);
            }
        }
    }

    /// What follows `<!`, given that it is a bracket.
    fn cdata_open(&mut self) -> Scanned {
        self.at += 1;
        for c in "CDATA[".chars() {
            self.expect(c)?;
        }
        Ok(Token::CdataOpen)
    }

    /// What follows `<?`.
    pub(super) fn instruction(&mut self) -> Scanned {
        let target = self.name()?;
        let ends = self.require()?;
        if ends != '?' && !is_blank(ends) {
            return self.invalid();
        }
        let target = &self.text[target];
        let token = match target {
            "xml" => Token::Declaration,
            target if target.eq_ignore_ascii_case("xml") => return self.invalid(),
            _ => Token::Ignored,
        };
        self.at += 1;
        if ends == '?' {
            return self.expect('>').map(|()| token);
        }
        loop {
            let c = self.require()?;
            if !is_allowed(c) {
                return self.invalid();
            }
            self.at += c.len_utf8();
            if c == '?' && self.require()? == '>' {
                self.at += 1;
                return Ok(token);
            }
        }
    }

    /// What follows an `&`.
    fn reference(&mut self) -> Scanned {
        if self.require()? == '#' {
            self.at += 1;
            return self.character();
        }
        let name = self.name()?;
        self.expect(';')?;
        Ok(Token::Entity { name })
    }

    /// What follows `&#`.
    fn character(&mut self) -> Scanned {
        let start = self.at;
        let radix = if self.eat('x') { 16 } else { 10 };
        let first = self.require()?;
        if !first.is_digit(radix) {
            return self.invalid();
        }
        while self.peek().is_some_and(|c| c.is_digit(radix)) {
            self.at += 1;
        }
        let digits = start..self.at;
        self.expect(';')?;
        Ok(Token::Character { digits })
    }

    /// What follows `</`.
    fn end_tag(&mut self) -> Scanned {
        if !is_start(self.require()?) {
            return self.invalid();
        }
        let start = self.at;
        // The start tag has shown already that its colons are right.
        while let Some(c) = self.peek().filter(|c| *c == ':' || is_name(*c)) {
            self.at += c.len_utf8();
        }
        let name = start..self.at;
        self.skip_blanks();
        self.expect('>')?;
        Ok(Token::End { name })
    }

    fn start_tag(&mut self) -> Scanned {
        let name = self.qualified_name()?;
        let mut attributes = Vec::new();
        loop {
            let had_blank = self.skip_blanks();
            let c = self.require()?;
            let is_empty = match c {
                '>' => false,
                '/' => {
                    self.at += 1;
                    true
                }
                c if had_blank && is_start(c) => {
                    attributes.push(self.attribute()?);
                    continue;
                }
                _ => return self.invalid(),
            };
            self.expect('>')?;
            return Ok(Token::Start { name, attributes, is_empty });
        }
    }

    fn attribute(&mut self) -> Scanned<Attribute> {
        let name = self.qualified_name()?;
        self.skip_blanks();
        self.expect('=')?;
        self.skip_blanks();
        let quote = self.require()?;
        if quote != '"' && quote != '\'' {
            return self.invalid();
        }
        self.at += 1;
        let start = self.at;
        loop {
            match self.require()? {
                c if c == quote => break,
                '&' => {
                    self.at += 1;
                    self.reference()?;
                }
                c if c == '<' || !is_allowed(c) => return self.invalid(),
                c => self.at += c.len_utf8(),
            }
        }
        let value = start..self.at;
        self.at += 1;
        Ok(Attribute { name, value })
    }

    fn skip_blanks(&mut self) -> bool {
        let start = self.at;
        while self.peek().is_some_and(is_blank) {
            self.at += 1;
        }
        self.at > start
    }

    /// A name without a prefix.
    fn name(&mut self) -> Scanned<Range<usize>> {
        let start = self.at;
        if !is_start(self.require()?) {
            return self.invalid();
        }
        while let Some(c) = self.peek().filter(|c| is_name(*c)) {
            self.at += c.len_utf8();
        }
        Ok(start..self.at)
    }

    /// A name that may have a prefix.
    fn qualified_name(&mut self) -> Scanned<Range<usize>> {
        let start = self.at;
        self.name()?;
        if self.eat(':') {
            self.name()?;
        }
        Ok(start..self.at)
    }
}

pub(super) fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

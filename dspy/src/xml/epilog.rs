//! What stands behind the root: blanks, comments and instructions; anything else is refused.
//!
//! expat reads it by the rules of a prologue, so how it is refused depends on what it begins like.

use super::{
    names::{is_allowed, is_name, is_start},
    token::{Scanned, Scanner, Stop, Token, is_blank},
};

/// A part of what stands behind the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Epilog {
    Ignored,
    Junk,
    End,
}

/// How much of a name came before a colon or a sign of how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    Name,
    Prefixed,
    Token,
}

impl Scanner<'_> {
    /// The next part.
    pub(super) fn epilog(&mut self) -> Scanned<Epilog> {
        let Some(c) = self.peek() else { return Ok(Epilog::End) };
        match c {
            c if is_blank(c) => {
                while self.peek().is_some_and(is_blank) {
                    self.at += 1;
                }
                Ok(Epilog::Ignored)
            }
            '<' => {
                self.at += 1;
                self.epilog_markup()
            }
            '"' | '\'' => self.literal(c),
            '%' | '#' => {
                self.at += 1;
                self.marked_name(c)
            }
            ')' => {
                self.at += 1;
                let is_fine = |c| is_blank(c) || "*?+>,|)".contains(c);
                if self.peek().is_none_or(is_fine) { Ok(Epilog::Junk) } else { self.invalid() }
            }
            ',' | '[' | ']' | '|' | '(' | '>' => Ok(Epilog::Junk),
            c if is_name(c) || c == ':' => self.bare_name(c),
            _ => self.invalid(),
        }
    }

    /// What follows a `<`.
    fn epilog_markup(&mut self) -> Scanned<Epilog> {
        match self.require()? {
            '!' => {
                self.at += 1;
                match self.require()? {
                    '-' => self.comment().map(|_| Epilog::Ignored),
                    '[' => Ok(Epilog::Junk),
                    c if is_letter(c) => self.declaration(),
                    _ => self.invalid(),
                }
            }
            '?' => {
                self.at += 1;
                let is_declaration = self.instruction()? == Token::Declaration;
                Ok(if is_declaration { Epilog::Junk } else { Epilog::Ignored })
            }
            c if is_letter(c) || !c.is_ascii() => Ok(Epilog::Junk),
            _ => self.invalid(),
        }
    }

    /// `<!DOCTYPE` and its like.
    fn declaration(&mut self) -> Scanned<Epilog> {
        loop {
            match self.require()? {
                c if is_letter(c) => self.at += 1,
                c if is_blank(c) => return Ok(Epilog::Junk),
                '%' => {
                    let place = self.at;
                    self.at += 1;
                    let next = self.require()?;
                    if next == '%' || is_blank(next) {
                        return Err(Stop::Invalid(place));
                    }
                    return Ok(Epilog::Junk);
                }
                _ => return self.invalid(),
            }
        }
    }

    /// A text in quotes.
    fn literal(&mut self, quote: char) -> Scanned<Epilog> {
        self.at += 1;
        loop {
            let c = self.require()?;
            if !is_allowed(c) {
                return self.invalid();
            }
            self.at += c.len_utf8();
            if c == quote {
                let is_fine = |c| is_blank(c) || ">%[".contains(c);
                let fits = self.peek().is_none_or(is_fine);
                return if fits { Ok(Epilog::Junk) } else { self.invalid() };
            }
        }
    }

    /// A name behind `%` or `#`.
    fn marked_name(&mut self, mark: char) -> Scanned<Epilog> {
        let first = self.require()?;
        if mark == '%' && (first == '%' || is_blank(first)) {
            return Ok(Epilog::Junk);
        }
        if !is_start(first) {
            return self.invalid();
        }
        while let Some(c) = self.peek().filter(|c| is_name(*c)) {
            self.at += c.len_utf8();
        }
        match (mark, self.peek()) {
            ('%', None) => Err(Stop::Partial),
            ('%', Some(';')) | (_, None) => Ok(Epilog::Junk),
            ('#', Some(c)) if is_blank(c) || ")>%|".contains(c) => Ok(Epilog::Junk),
            (_, Some(_)) => self.invalid(),
        }
    }

    fn bare_name(&mut self, first: char) -> Scanned<Epilog> {
        let mut named = if is_start(first) { Named::Name } else { Named::Token };
        self.at += first.len_utf8();
        while let Some(c) = self.peek() {
            match c {
                c if is_name(c) => self.at += c.len_utf8(),
                ':' => {
                    self.at += 1;
                    named = match named {
                        Named::Name if is_name(self.require()?) => Named::Prefixed,
                        Named::Name | Named::Prefixed | Named::Token => Named::Token,
                    };
                }
                '+' | '*' | '?' if named != Named::Token => return Ok(Epilog::Junk),
                c if is_blank(c) || ">),|[%".contains(c) => return Ok(Epilog::Junk),
                _ => return self.invalid(),
            }
        }
        Ok(Epilog::Junk)
    }
}

/// A letter by expat's table of ASCII.
fn is_letter(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

//! What an opening parenthesis begins: a tuple, a group, or prose.

use super::parser::{Parser, STRING_DELIMITERS};
use crate::python::{text::is_space, unicode::is_digit};

/// A walk over the text behind a parenthesis that knows how deep it is in brackets and quotes.
struct Walk {
    parentheses: isize,
    squares: usize,
    braces: usize,
    quote: Option<char>,
    backslashes: usize,
}

enum Seen {
    /// Inside of a string, or an escape.
    Hidden,
    /// A quote that opens a string.
    Quote,
    /// Anything else.
    Plain,
}

impl Walk {
    fn new() -> Self {
        Self { parentheses: 0, squares: 0, braces: 0, quote: None, backslashes: 0 }
    }

    fn is_outermost(&self) -> bool {
        self.parentheses == 0 && self.squares == 0 && self.braces == 0
    }

    fn see(&mut self, c: char) -> Seen {
        if c == '\\' {
            self.backslashes += 1;
            return Seen::Hidden;
        }
        let is_escaped = self.backslashes % 2 == 1;
        self.backslashes = 0;
        if let Some(quote) = self.quote {
            if c == quote && !is_escaped {
                self.quote = None;
            }
            return Seen::Hidden;
        }
        if STRING_DELIMITERS.contains(&c) && !is_escaped {
            self.quote = Some(c);
            return Seen::Quote;
        }
        Seen::Plain
    }

    fn step(&mut self, c: char) {
        match c {
            '[' => self.squares += 1,
            ']' => self.squares = self.squares.saturating_sub(1),
            '{' => self.braces += 1,
            '}' => self.braces = self.braces.saturating_sub(1),
            _ => {}
        }
    }
}

impl Parser {
    /// Whether a comma, or nothing, stands between the parentheses.
    pub(super) fn parenthesized_is_explicit_tuple(&self) -> bool {
        let mut walk = Walk::new();
        let mut has_content = false;
        for c in self.text[self.index + 1..].iter().copied() {
            self.spend(1);
            match walk.see(c) {
                Seen::Hidden => continue,
                Seen::Quote => {
                    has_content |= walk.is_outermost();
                    continue;
                }
                Seen::Plain => {}
            }
            has_content |= walk.is_outermost() && !is_space(c) && !matches!(c, ',' | ')');
            match c {
                '(' => walk.parentheses += 1,
                ')' if walk.is_outermost() => return !has_content,
                ')' => walk.parentheses = (walk.parentheses - 1).max(0),
                ',' if walk.is_outermost() => return true,
                c => walk.step(c),
            }
        }
        !has_content
    }

    /// Whether the parenthesis stands alone on its lines and begins like a value.
    pub(super) fn top_level_parenthesized_can_start_value(&self) -> bool {
        let before = self.text[..self.index].iter().rev();
        if before.take_while(|c| !matches!(c, '\n' | '\r')).any(|c| !is_space(*c)) {
            return false;
        }
        let inner = self.scroll(1);
        let Some(first) = self.char_at(inner) else { return false };
        self.begins_like_value(first, self.index.saturating_add_signed(inner))
            && self.is_alone_on_its_line()
    }

    fn begins_like_value(&self, first: char, at: usize) -> bool {
        let word: String = self.text[at..].iter().take(5).flat_map(|c| c.to_lowercase()).collect();
        let is_opener =
            matches!(first, ')' | '{' | '[' | '(') || STRING_DELIMITERS.contains(&first);
        is_opener
            || is_digit(first)
            || matches!(first, '-' | '.')
            || ["true", "null", "none", "false"].iter().any(|it| word.starts_with(it))
    }

    fn is_alone_on_its_line(&self) -> bool {
        let mut walk = Walk::new();
        for at in self.index + 1..self.text.len() {
            self.spend(1);
            let c = self.text[at];
            if !matches!(walk.see(c), Seen::Plain) {
                continue;
            }
            match c {
                '(' => walk.parentheses += 1,
                ')' if walk.is_outermost() => {
                    let line = self.text[at + 1..].iter().take_while(|c| !matches!(c, '\n' | '\r'));
                    return line.copied().all(is_space);
                }
                ')' => walk.parentheses -= 1,
                c => walk.step(c),
            }
        }
        true
    }
}

//! The words of an expression, and the tree that is made of them.

use serde_json::Value;

use super::ExpressionError;
use crate::python::text::is_word;

/// A word, and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) column: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum TokenKind {
    Value(Value),
    Name(String),
    /// A keyword, an operator or a bracket.
    Sign(&'static str),
    End,
}

/// A part of an expression, and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) kind: NodeKind,
    pub(super) column: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum NodeKind {
    Value(Value),
    Name(String),
    List(Vec<Node>),
    /// `-x`, `+x`, `not x`
    Unary(&'static str, Box<Node>),
    /// Arithmetic, `and`, `or`
    Binary(&'static str, Box<Node>, Box<Node>),
    /// `a < b <= c`
    Compare(Box<Node>, Vec<(&'static str, Node)>),
    /// `then if condition else other`
    Choice {
        condition: Box<Node>,
        then: Box<Node>,
        other: Box<Node>,
    },
    /// `value[index]`
    Item(Box<Node>, Box<Node>),
    /// `function(arguments)`
    Call(String, Vec<Node>),
    /// `value.method(arguments)`
    Method(Box<Node>, String, Vec<Node>),
}

impl Node {
    /// Visits this part and all in it, in the order of the text.
    pub(super) fn each<'a>(&'a self, visit: &mut impl FnMut(&'a Self)) {
        visit(self);
        for part in self.parts() {
            part.each(visit);
        }
    }

    fn parts(&self) -> Vec<&Self> {
        match &self.kind {
            NodeKind::Value(_) | NodeKind::Name(_) => Vec::new(),
            NodeKind::List(items) | NodeKind::Call(_, items) => items.iter().collect(),
            NodeKind::Unary(_, inner) => vec![inner],
            NodeKind::Binary(_, a, b) | NodeKind::Item(a, b) => vec![a, b],
            NodeKind::Compare(first, rest) => {
                std::iter::once(first.as_ref()).chain(rest.iter().map(|(_, it)| it)).collect()
            }
            NodeKind::Choice { condition, then, other } => vec![then, condition, other],
            NodeKind::Method(value, _, arguments) => {
                std::iter::once(value.as_ref()).chain(arguments).collect()
            }
        }
    }
}

/// Longer ones first: `<=` is not `<` and `=`.
const SIGNS: [&str; 21] = [
    "//", "==", "!=", "<=", ">=", "**", "<", ">", "+", "-", "*", "/", "%", "(", ")", "[", "]", ",",
    ".", "=", ":",
];
const WORDS: [&str; 6] = ["and", "or", "not", "in", "if", "else"];

/// The words of a text; the last is [`TokenKind::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, ExpressionError> {
    let chars: Vec<char> = text.chars().collect();
    let mut reader = Reader { chars: &chars, at: 0 };
    let mut tokens = Vec::new();
    loop {
        while reader.peek().is_some_and(char::is_whitespace) {
            reader.at += 1;
        }
        let column = reader.at + 1;
        let Some(c) = reader.peek() else {
            tokens.push(Token { kind: TokenKind::End, column });
            return Ok(tokens);
        };
        let starts_number = c.is_ascii_digit()
            || (c == '.' && reader.chars.get(reader.at + 1).is_some_and(char::is_ascii_digit));
        let kind = match c {
            '\'' | '"' => reader.string(c)?,
            _ if starts_number => reader.number()?,
            c if is_word(c) => reader.word(),
            c => reader.sign(c)?,
        };
        tokens.push(Token { kind, column });
    }
}

struct Reader<'a> {
    chars: &'a [char],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn fail<T>(&self, message: impl Into<String>) -> Result<T, ExpressionError> {
        Err(ExpressionError::at(self.at + 1, message))
    }

    fn string(&mut self, quote: char) -> Result<TokenKind, ExpressionError> {
        let start = self.at;
        let mut text = String::new();
        self.at += 1;
        loop {
            let Some(c) = self.peek() else {
                self.at = start;
                return self.fail("the text that begins here has no end");
            };
            self.at += 1;
            match c {
                c if c == quote => return Ok(TokenKind::Value(text.into())),
                '\\' => {
                    let escaped = match self.peek() {
                        Some('n') => '\n',
                        Some('t') => '\t',
                        Some('r') => '\r',
                        Some(c @ ('\\' | '\'' | '"')) => c,
                        Some(_) | None => {
                            return self.fail(
                                "this escape is not known: there are \\n \\t \\r \\\\ \\' \\\"",
                            );
                        }
                    };
                    text.push(escaped);
                    self.at += 1;
                }
                c => text.push(c),
            }
        }
    }

    fn number(&mut self) -> Result<TokenKind, ExpressionError> {
        let start = self.at;
        while let Some(c) = self.peek() {
            let before = self.chars[self.at.saturating_sub(1)];
            let is_sign = (c == '-' || c == '+') && self.at > start && matches!(before, 'e' | 'E');
            if !(c.is_ascii_alphanumeric() || c == '.' || c == '_' || is_sign) {
                break;
            }
            self.at += 1;
        }
        let text: String = self.chars[start..self.at].iter().filter(|it| **it != '_').collect();
        let whole = text.parse::<i64>().ok().map(Value::from);
        let float = || text.parse::<f64>().ok().filter(|it| it.is_finite()).map(Value::from);
        if let Some(number) = whole.or_else(float) {
            return Ok(TokenKind::Value(number));
        }
        self.at = start;
        self.fail(format!("`{text}` is no number"))
    }

    fn word(&mut self) -> TokenKind {
        let start = self.at;
        while self.peek().is_some_and(is_word) {
            self.at += 1;
        }
        let word: String = self.chars[start..self.at].iter().collect();
        match word.as_str() {
            "True" | "true" => TokenKind::Value(true.into()),
            "False" | "false" => TokenKind::Value(false.into()),
            "None" | "null" => TokenKind::Value(Value::Null),
            _ => match WORDS.into_iter().find(|it| *it == word) {
                Some(keyword) => TokenKind::Sign(keyword),
                None => TokenKind::Name(word),
            },
        }
    }

    fn sign(&mut self, c: char) -> Result<TokenKind, ExpressionError> {
        let starts =
            |it: &&str| it.chars().eq(self.chars[self.at..].iter().copied().take(it.len()));
        match SIGNS.into_iter().find(starts) {
            Some("**") => self.fail("there are no powers here"),
            Some("=") => self.fail("to compare, write `==`"),
            Some(sign) => {
                self.at += sign.len();
                Ok(TokenKind::Sign(sign))
            }
            None => self.fail(format!("`{c}` means nothing here")),
        }
    }
}

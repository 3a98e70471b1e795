//! An expression as a tree, by Python's precedence.

use super::{
    ExpressionError, function,
    read::{Node, NodeKind, Token, TokenKind, tokens},
};

/// The deepest that parts lie in each other.
const DEPTH_MAX: usize = 50;

/// Binary operators, the weakest first; comparisons and the rest lie between.
const ADDITIVE: [&str; 2] = ["+", "-"];
const MULTIPLICATIVE: [&str; 4] = ["*", "/", "//", "%"];
const COMPARISONS: [&str; 7] = ["==", "!=", "<=", ">=", "<", ">", "in"];

type Parsed = Result<Node, ExpressionError>;

/// The tree of a whole text.
pub(super) fn parse(text: &str) -> Result<Node, ExpressionError> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, at: 0, depth: 0 };
    let root = parser.choice()?;
    match &parser.token().kind {
        TokenKind::End => Ok(root),
        TokenKind::Sign(_) | TokenKind::Name(_) | TokenKind::Value(_) => {
            Err(parser.unexpected("the expression should end here"))
        }
    }
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    /// The word that is next; the last one is never passed.
    fn token(&self) -> &Token {
        &self.tokens[self.at]
    }

    fn sign(&self) -> Option<&'static str> {
        match self.token().kind {
            TokenKind::Sign(sign) => Some(sign),
            TokenKind::Value(_) | TokenKind::Name(_) | TokenKind::End => None,
        }
    }

    fn eat(&mut self, sign: &str) -> bool {
        let found = self.sign() == Some(sign);
        self.at += usize::from(found);
        found
    }

    fn one_of(&mut self, signs: &[&'static str]) -> Option<&'static str> {
        let sign = self.sign().filter(|it| signs.contains(it))?;
        self.at += 1;
        Some(sign)
    }

    fn unexpected(&self, wanted: &str) -> ExpressionError {
        let token = self.token();
        let found = match &token.kind {
            TokenKind::End => "it ends".to_owned(),
            TokenKind::Sign(sign) => format!("there is `{sign}`"),
            TokenKind::Name(name) => format!("there is `{name}`"),
            TokenKind::Value(value) => format!("there is `{value}`"),
        };
        ExpressionError::at(token.column, format!("{wanted}, but {found}"))
    }

    fn expect(&mut self, sign: &'static str) -> Result<(), ExpressionError> {
        if self.eat(sign) { Ok(()) } else { Err(self.unexpected(&format!("`{sign}` is missing"))) }
    }

    fn node(column: usize, kind: NodeKind) -> Node {
        Node { kind, column }
    }

    /// One level further inside.
    fn deeper(&mut self, inner: impl FnOnce(&mut Self) -> Parsed) -> Parsed {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            let message = format!("more than {DEPTH_MAX} parts lie in each other");
            return Err(ExpressionError::at(self.token().column, message));
        }
        let node = inner(self)?;
        self.depth -= 1;
        Ok(node)
    }

    fn choice(&mut self) -> Parsed {
        self.deeper(|it| {
            let column = it.token().column;
            let then = Box::new(it.either()?);
            if !it.eat("if") {
                return Ok(*then);
            }
            let condition = Box::new(it.either()?);
            it.expect("else")?;
            let other = Box::new(it.choice()?);
            Ok(Self::node(column, NodeKind::Choice { condition, then, other }))
        })
    }

    fn either(&mut self) -> Parsed {
        self.binary(&["or"], Self::both)
    }

    fn both(&mut self) -> Parsed {
        self.binary(&["and"], Self::negation)
    }

    fn negation(&mut self) -> Parsed {
        let column = self.token().column;
        if !self.eat("not") {
            return self.comparison();
        }
        let inner = self.deeper(Self::negation)?;
        Ok(Self::node(column, NodeKind::Unary("not", Box::new(inner))))
    }

    fn comparison(&mut self) -> Parsed {
        let column = self.token().column;
        let first = self.sum()?;
        let mut rest = Vec::new();
        while let Some(operator) = self.comparator()? {
            rest.push((operator, self.sum()?));
        }
        if rest.is_empty() {
            return Ok(first);
        }
        Ok(Self::node(column, NodeKind::Compare(Box::new(first), rest)))
    }

    fn comparator(&mut self) -> Result<Option<&'static str>, ExpressionError> {
        if self.eat("not") {
            self.expect("in")?;
            return Ok(Some("not in"));
        }
        Ok(self.one_of(&COMPARISONS))
    }

    fn sum(&mut self) -> Parsed {
        self.binary(&ADDITIVE, Self::product)
    }

    fn product(&mut self) -> Parsed {
        self.binary(&MULTIPLICATIVE, Self::signed)
    }

    /// A run of operators of one strength, from the left; it is a tree as deep as it is long.
    fn binary(
        &mut self,
        operators: &[&'static str],
        operand: impl Fn(&mut Self) -> Parsed,
    ) -> Parsed {
        let column = self.token().column;
        let mut left = operand(self)?;
        let mut count = 0;
        while let Some(operator) = self.one_of(operators) {
            count += 1;
            if self.depth + count > DEPTH_MAX {
                let message = format!("more than {DEPTH_MAX} parts follow each other");
                return Err(ExpressionError::at(self.token().column, message));
            }
            let right = Box::new(operand(self)?);
            left = Self::node(column, NodeKind::Binary(operator, Box::new(left), right));
        }
        Ok(left)
    }

    fn signed(&mut self) -> Parsed {
        let column = self.token().column;
        let Some(sign) = self.one_of(&ADDITIVE) else { return self.postfix() };
        let inner = self.deeper(Self::signed)?;
        Ok(Self::node(column, NodeKind::Unary(sign, Box::new(inner))))
    }

    /// A value, and the parts and methods that are asked of it.
    fn postfix(&mut self) -> Parsed {
        let mut value = self.primary()?;
        let mut count = 0;
        loop {
            let column = self.token().column;
            count += 1;
            if self.depth + count > DEPTH_MAX {
                let message = format!("more than {DEPTH_MAX} parts follow each other");
                return Err(ExpressionError::at(column, message));
            }
            if self.eat("[") {
                let index = Box::new(self.choice()?);
                self.expect("]")?;
                value = Self::node(column, NodeKind::Item(Box::new(value), index));
            } else if self.eat(".") {
                let column = self.token().column;
                let name = self.name()?;
                if !self.eat("(") {
                    let message = format!("there are no attributes: for a member write ['{name}']");
                    return Err(ExpressionError::at(column, message));
                }
                let arguments = self.list(")")?;
                function::check_method(&name, arguments.len(), column)?;
                value = Self::node(column, NodeKind::Method(Box::new(value), name, arguments));
            } else {
                return Ok(value);
            }
        }
    }

    fn name(&mut self) -> Result<String, ExpressionError> {
        match &self.token().kind {
            TokenKind::Name(name) => {
                let name = name.clone();
                self.at += 1;
                Ok(name)
            }
            TokenKind::Value(_) | TokenKind::Sign(_) | TokenKind::End => {
                Err(self.unexpected("the name of a method should follow"))
            }
        }
    }

    fn primary(&mut self) -> Parsed {
        let token = self.token().clone();
        let column = token.column;
        match token.kind {
            TokenKind::Value(value) => {
                self.at += 1;
                Ok(Self::node(column, NodeKind::Value(value)))
            }
            TokenKind::Name(name) => {
                self.at += 1;
                if !self.eat("(") {
                    return Ok(Self::node(column, NodeKind::Name(name)));
                }
                let arguments = self.list(")")?;
                function::check(&name, arguments.len(), column)?;
                Ok(Self::node(column, NodeKind::Call(name, arguments)))
            }
            TokenKind::Sign("(") => {
                self.at += 1;
                let inner = self.choice()?;
                self.expect(")")?;
                Ok(inner)
            }
            TokenKind::Sign("[") => {
                self.at += 1;
                let items = self.list("]")?;
                Ok(Self::node(column, NodeKind::List(items)))
            }
            TokenKind::Sign(_) | TokenKind::End => Err(self.unexpected("a value is missing")),
        }
    }

    /// Values with commas between, to the closing bracket.
    fn list(&mut self, close: &'static str) -> Result<Vec<Node>, ExpressionError> {
        let mut items = Vec::new();
        while !self.eat(close) {
            items.push(self.choice()?);
            if !self.eat(",") {
                self.expect(close)?;
                break;
            }
        }
        Ok(items)
    }
}

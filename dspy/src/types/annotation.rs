//! Python annotations: `list[str]`, `Literal['a', 'b']`, `Optional[int]`, `str | None`.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a value of any other of Python's types goes one and the same way"
)]

use serde_json::{Map, Value};

use super::{
    DspyType, Scalar, Type, TypeError,
    constrained::{Constrained, Rule},
};
use crate::python::{literal, name, object::Object};

/// The deepest nesting read.
const DEPTH_MAX: usize = 32;

const KNOWN: &str = "str, int, float, bool, bytes, Any, None, list[…], dict[…, …], tuple[…], \
                     set[…], frozenset[…], Literal[…], Optional[…], Union[…], datetime, date, \
                     time, timedelta, Decimal, UUID, DSPy's own types (dspy.Image, dspy.History, \
                     …) and the models and enums that the program defines";

type Parsed<T> = Result<T, TypeError>;

/// The type of an annotation; `is_defined` tells which other names are types.
pub(super) fn parse(annotation: &str, is_defined: &dyn Fn(&str) -> bool) -> Parsed<Type> {
    let text: Vec<char> = annotation.chars().collect();
    let mut parser = Parser { text: &text, at: 0, depth: 0, is_defined };
    let ty = parser.union()?;
    match parser.peek() {
        None if matches!(ty, Type::Constrained(_)) => {
            Err(parser.wrong("the bounds of a field itself stand beside its type: `gt: 0`"))
        }
        None => Ok(ty),
        Some(c) => Err(parser.wrong(&format!("did not expect `{c}` after `{ty}`"))),
    }
}

struct Parser<'a> {
    text: &'a [char],
    at: usize,
    depth: usize,
    is_defined: &'a dyn Fn(&str) -> bool,
}

impl Parser<'_> {
    fn wrong(&self, what: &str) -> TypeError {
        let text: String = self.text.iter().collect();
        TypeError(format!("`{text}` is not a type: {what}"))
    }

    fn peek(&mut self) -> Option<char> {
        while self.text.get(self.at).is_some_and(|c| c.is_whitespace()) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    fn eat(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        self.at += usize::from(found);
        found
    }

    fn union(&mut self) -> Parsed<Type> {
        if self.depth == DEPTH_MAX {
            return Err(self.wrong("it is nested too deeply"));
        }
        self.depth += 1;
        let mut args = vec![self.one()?];
        while self.eat('|') {
            args.push(self.one()?);
        }
        self.depth -= 1;
        Ok(if args.len() == 1 { args.remove(0) } else { union(args) })
    }

    fn one(&mut self) -> Parsed<Type> {
        let Some(c) = self.peek() else { return Err(self.wrong("it ends too early")) };
        if self.eat('(') {
            let inner = self.union()?;
            return self.expect(')').map(|()| inner);
        }
        if matches!(c, '\'' | '"') {
            return Err(self.wrong("forward references in quotes are not read"));
        }
        let mut name = self.word();
        // Python reads blanks around the dots of a name.
        while !name.is_empty() && self.eat('.') {
            self.peek();
            name = format!("{name}.{}", self.word());
        }
        if name.is_empty() {
            return Err(self.wrong(&format!("did not expect `{c}`")));
        }
        let bare = name.strip_prefix("typing.").unwrap_or(&name);
        if self.eat('[') { self.generic(bare) } else { self.plain(bare) }
    }

    fn word(&mut self) -> String {
        let rest = self.text[self.at..].iter();
        let word: String = rest.take_while(|c| c.is_alphanumeric() || **c == '_').collect();
        self.at += word.chars().count();
        // What only becomes `None` is a name that nothing has.
        Some(name::taken(&word)).filter(|it| it != "None").unwrap_or(word)
    }

    fn expect(&mut self, c: char) -> Parsed<()> {
        if self.eat(c) { Ok(()) } else { Err(self.wrong(&format!("a `{c}` is missing"))) }
    }

    fn plain(&self, name: &str) -> Parsed<Type> {
        Ok(match name {
            "str" => Type::Str,
            "int" => Type::Int,
            "float" => Type::Float,
            "bool" => Type::Bool,
            "Any" => Type::Any,
            "None" | "NoneType" => Type::None,
            "list" | "List" => Type::BareList,
            "dict" | "Dict" => Type::BareDict,
            "tuple" | "Tuple" => Type::BareTuple,
            "set" | "Set" => Type::BareSet,
            "frozenset" | "FrozenSet" => Type::BareFrozenSet,
            name if (self.is_defined)(name) && !name.contains('.') && name != "bytes" => {
                Type::Named(name.to_owned())
            }
            name => {
                let standard = Scalar::named(name).map(Type::Scalar);
                if let Some(ty) = standard.or_else(|| DspyType::named(name).map(Type::Dspy)) {
                    return Ok(ty);
                }
                let known = format!("the native engine does not know `{name}`; it knows {KNOWN}");
                return Err(self.wrong(&known));
            }
        })
    }

    fn generic(&mut self, name: &str) -> Parsed<Type> {
        if name == "Literal" {
            return self.literal();
        }
        if matches!(name, "Code" | "dspy.Code") {
            return self.code();
        }
        if name == "Annotated" {
            return self.constrained();
        }
        let (mut args, is_open) = self.arguments()?;
        let count = args.len();
        let one = |args: &mut Vec<Type>| Box::new(args.remove(0));
        Ok(match (name, count, is_open) {
            ("tuple" | "Tuple", 1, true) => Type::TupleOf(one(&mut args)),
            ("tuple" | "Tuple", 1.., false) => Type::Tuple(args),
            ("list" | "List", 1, false) => Type::List(one(&mut args)),
            ("set" | "Set", 1, false) => Type::Set(one(&mut args)),
            ("frozenset" | "FrozenSet", 1, false) => Type::FrozenSet(one(&mut args)),
            ("dict" | "Dict", 2, false) => Type::Dict(one(&mut args), one(&mut args)),
            ("Optional", 1, false) => union(vec![args.remove(0), Type::None]),
            ("Union", 1, false) => args.remove(0),
            ("Union", 2.., false) => union(args),
            ("list" | "List" | "set" | "Set" | "dict" | "Dict" | "Optional" | "Union", ..) => {
                return Err(self.wrong(&format!("`{name}` does not take {count} arguments")));
            }
            _ => {
                let known =
                    format!("the native engine does not know `{name}[…]`; it knows {KNOWN}");
                return Err(self.wrong(&known));
            }
        })
    }

    /// The arguments, and whether `...` ends them.
    fn arguments(&mut self) -> Parsed<(Vec<Type>, bool)> {
        let mut args = Vec::new();
        loop {
            if self.ellipsis() {
                self.expect(']')?;
                return Ok((args, true));
            }
            args.push(self.union()?);
            let more = self.eat(',');
            if self.eat(']') {
                return Ok((args, false));
            }
            if !more {
                return Err(self.wrong("a `]` is missing"));
            }
        }
    }

    /// `Annotated[int, Field(gt=0), Lt(lt=10)]`, from its first argument on.
    fn constrained(&mut self) -> Parsed<Type> {
        let (ty, mut rules) = (self.union()?, Vec::new());
        while self.eat(',') {
            let mut rule = Rule { name: self.word_after_blanks(), bounds: Map::new() };
            self.expect('(')?;
            while !self.eat(')') {
                let name = self.word_after_blanks();
                self.expect('=')?;
                rule.bounds.insert(name, self.bound()?);
                if !self.eat(',') && self.peek() != Some(')') {
                    return Err(self.wrong("a `)` is missing"));
                }
            }
            rules.push(rule);
        }
        self.expect(']')?;
        let constrained = Constrained::new(ty, &rules).map_err(|what| self.wrong(&what))?;
        Ok(Type::Constrained(Box::new(constrained)))
    }

    fn word_after_blanks(&mut self) -> String {
        self.peek();
        self.word()
    }

    fn bound(&mut self) -> Parsed<Value> {
        let rest = self.text[self.at..].iter();
        let text: String = rest.take_while(|c| !matches!(c, ',' | ')')).collect();
        self.at += text.chars().count();
        match literal::eval(text.trim()) {
            Some(number @ (Object::Int(_) | Object::Float(_))) => Ok(number.into_json()),
            _ => Err(self.wrong(&format!("`{text}` is no number"))),
        }
    }

    fn ellipsis(&mut self) -> bool {
        let Some('.' | 'E') = self.peek() else { return false };
        let rest: String = self.text[self.at..].iter().take(8).collect();
        let len =
            ["...", "Ellipsis"].iter().find(|it| rest.starts_with(**it)).map_or(0, |it| it.len());
        self.at += len;
        len > 0
    }

    /// The language in `dspy.Code["java"]`.
    fn code(&mut self) -> Parsed<Type> {
        match self.literal()? {
            Type::Literal(values) => match values.as_slice() {
                [Value::String(language)] if !language.is_empty() => {
                    Ok(Type::Dspy(DspyType::Code(Some(language.clone()))))
                }
                _ => Err(self.wrong("`Code` takes one language, in quotes")),
            },
            _ => Err(self.wrong("`Code` takes one language, in quotes")),
        }
    }

    /// The values of a literal: the text up to the bracket that closes it, read as Python.
    fn literal(&mut self) -> Parsed<Type> {
        let start = self.at;
        let mut quote = None;
        loop {
            let Some(c) = self.text.get(self.at).copied() else {
                return Err(self.wrong("a `]` is missing"));
            };
            match (quote, c) {
                (None, ']') => break,
                (None, '\'' | '"') => quote = Some(c),
                (Some(_), '\\') => self.at += 1,
                (Some(open), c) if c == open => quote = None,
                _ => {}
            }
            self.at += 1;
        }
        let values: String = self.text[start..self.at].iter().collect();
        self.at += 1;
        let Some(Object::List(values)) = literal::eval(&format!("[{values}]")) else {
            return Err(self.wrong("`Literal` takes text in quotes, numbers, True, False, None"));
        };
        if values.is_empty() {
            return Err(self.wrong("`Literal` takes at least one value"));
        }
        let mut distinct: Vec<Value> = Vec::new();
        for value in values {
            let value = self.literal_value(value)?;
            if !distinct.contains(&value) {
                distinct.push(value);
            }
        }
        Ok(Type::Literal(distinct))
    }

    fn literal_value(&self, value: Object) -> Parsed<Value> {
        match value {
            Object::Float(float) if !float.is_finite() => {
                Err(self.wrong("`Literal` does not take a number that is not finite"))
            }
            Object::None | Object::Bool(_) | Object::Int(_) | Object::Float(_) | Object::Str(_) => {
                let is_whole = matches!(value, Object::Int(_));
                let value = value.into_json();
                if is_whole && !(value.is_i64() || value.is_u64()) {
                    return Err(self.wrong("`Literal` takes integers of at most 64 bits"));
                }
                Ok(value)
            }
            other => {
                let what = format!("`Literal` does not take a {}", other.type_name());
                Err(self.wrong(&what))
            }
        }
    }
}

/// A union is flat and holds each type once.
fn union(args: Vec<Type>) -> Type {
    let mut flat: Vec<Type> = Vec::new();
    for arg in args {
        let inner = if let Type::Union(inner) = arg { inner } else { vec![arg] };
        for ty in inner {
            if !flat.contains(&ty) {
                flat.push(ty);
            }
        }
    }
    if flat.len() == 1 { flat.remove(0) } else { Type::Union(flat) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_are_named_as_dspy_names_them() {
        let cases = [
            ("str", "str"),
            ("list[ list[int] ]", "list[list[int]]"),
            ("List[str]", "list[str]"),
            ("typing.Optional[str]", "Union[str, NoneType]"),
            ("typing\n. Optional[dspy .Image]", "Union[Image, NoneType]"),
            ("str | int | None", "Union[str, int, NoneType]"),
            ("Literal['a', \"it's\", 1, True, None]", "Literal['a', \"it's\", 1, True, None]"),
            ("Literal['x]y', 'z']", "Literal['x]y', 'z']"),
            ("Literal[-1, 1.0, 1, 1e-5]", "Literal[-1, 1.0, 1, 1e-05]"),
            ("dict[str, list[Any]]", "dict[str, list[Any]]"),
            ("tuple[int, ...]", "tuple[int, Ellipsis]"),
            ("tuple[int, str]", "tuple[int, str]"),
            ("Union[int, Optional[int]]", "Union[int, NoneType]"),
            ("datetime.datetime | None", "Union[datetime, NoneType]"),
            ("list[Decimal]", "list[Decimal]"),
            ("frozenset[date]", "frozenset[date]"),
            ("tuple", "tuple"),
            ("list[dspy.Image]", "list[Image]"),
            ("dspy.Code['java']", "Code_java"),
            ("dspy.Reasoning", "str"),
        ];

        for (annotation, want) in cases {
            let ty = Type::parse(annotation).unwrap();

            assert_eq!(ty.to_string(), want);
            assert_eq!(Type::parse(&ty.annotation()).unwrap(), ty);
        }
    }

    #[test]
    fn what_is_wrong_with_an_annotation_is_said() {
        let cases = [
            ("strr", "the native engine does not know `strr`"),
            ("list[str", "a `]` is missing"),
            ("dict[str]", "`dict` does not take 1 arguments"),
            ("Literal[]", "at least one value"),
            ("Literal[x]", "text in quotes"),
            ("str int", "did not expect `i` after `str`"),
            ("", "it ends too early"),
            ("deque[str]", "does not know `deque[…]`"),
            ("dspy.Code[java]", "in quotes"),
            ("dspy.Picture", "does not know `dspy.Picture`"),
        ];

        for (annotation, want) in cases {
            let error = Type::parse(annotation).unwrap_err().to_string();

            assert!(error.contains(want), "{error}");
        }
    }
}

//! Signatures as one line of text: `question: str, k: int -> answer`.
//!
//! DSPy reads both sides as a Python parameter list. It also imports what a type's name begins
//! with; here, names are known or refused.

use std::borrow::Cow;

use crate::{
    Definitions, Field, Signature, Type, TypeError,
    python::{
        literal,
        name::{self, is_identifier},
    },
};

/// A text that is no signature.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is no arrow, or more than one.
    #[error("Invalid signature format: '{0}', must contain exactly one '->'.")]
    Arrow(String),
    /// It is not what Python reads as parameters.
    #[error("invalid syntax: {0}")]
    Syntax(String),
    /// Names that are on both sides.
    #[error("Input and output fields must have distinct names, but found duplicates: '{0}'.")]
    Duplicates(String),
    /// A type in quotes.
    #[error("Field types must be types, but received: {0} of type <class 'str'>.")]
    Quoted(String),
    /// A type that is not known.
    #[error("the field `{name}`: {error}")]
    Type {
        /// The field.
        name: String,
        /// What is wrong with its type.
        error: TypeError,
    },
}

type Parsed<T> = Result<T, SignatureError>;

impl Signature {
    /// The signature that a text is, with DSPy's default instructions.
    pub fn parse(
        name: impl Into<String>,
        text: &str,
        definitions: &Definitions,
    ) -> Result<Self, SignatureError> {
        let sides: Vec<&str> = text.split("->").collect();
        let [inputs, outputs] = sides.as_slice() else {
            return Err(SignatureError::Arrow(text.to_owned()));
        };
        let inputs = fields(inputs, definitions)?;
        let mut outputs = fields(outputs, definitions)?;
        let is_input = |it: &&Field| inputs.iter().any(|input| input.name == it.name);
        let mut twice: Vec<_> = outputs.iter().filter(is_input).map(|it| it.name.clone()).collect();
        twice.sort();
        if !twice.is_empty() {
            return Err(SignatureError::Duplicates(twice.join(", ")));
        }
        // Only of an input it matters whether a type was written.
        for field in &mut outputs {
            field.untyped = false;
        }
        let mut signature = Self::new(name, "", inputs, outputs);
        signature.types = definitions.clone();
        Ok(signature)
    }
}

/// The fields of one side. A name that comes twice keeps its place and takes the later type.
fn fields(side: &str, definitions: &Definitions) -> Parsed<Vec<Field>> {
    let mut fields: Vec<Field> = Vec::new();
    let mut has_default = false;
    let side = without_comments(side)?;
    let mut parameters = split(&side, ',')?;
    if parameters.last().is_some_and(|it| it.trim().is_empty()) {
        // A comma may end the list, and the list may be empty.
        parameters.pop();
    }
    for parameter in parameters {
        let (field, default) = field(parameter.trim(), definitions)?;
        if has_default && default.is_none() {
            let what = format!("`{}` follows fields with defaults and has none", field.name);
            return Err(SignatureError::Syntax(what));
        }
        has_default = default.is_some();
        match fields.iter_mut().find(|it| it.name == field.name) {
            Some(earlier) => *earlier = field,
            None => fields.push(field),
        }
    }
    Ok(fields)
}

/// The field that a parameter is, and its default, which is read and means nothing.
fn field<'a>(parameter: &'a str, definitions: &Definitions) -> Parsed<(Field, Option<&'a str>)> {
    let parts = split(parameter, '=')?;
    let declared = parts.first().map_or("", |it| it.trim());
    let default = match parts.as_slice() {
        [_] | [] => None,
        [_, default] if is_value(default.trim()) => Some(default.trim()),
        _ => return Err(SignatureError::Syntax(format!("`{parameter}` has no default"))),
    };
    let (name, annotation) = match declared.split_once(':') {
        Some((name, annotation)) => (name.trim(), Some(annotation.trim())),
        None => (declared, None),
    };
    if name.starts_with('_') {
        let what = format!("the name of a field must not begin with an underscore: `{name}`");
        return Err(SignatureError::Syntax(what));
    }
    if !is_identifier(name) {
        return Err(SignatureError::Syntax(format!("`{parameter}` is no field")));
    }
    let ty = match annotation {
        // The package takes `None` for no type at all.
        None | Some("None") => Type::Str,
        Some(quoted) if quoted.starts_with(['"', '\'']) => {
            return Err(SignatureError::Quoted(quoted.trim_matches(['"', '\'']).to_owned()));
        }
        Some(signed) if has_sign(signed) => {
            let what = format!("`{signed}`: DSPy reads no sign here; declare the field by itself");
            return Err(SignatureError::Syntax(what));
        }
        Some(annotation) => Type::parse_with(annotation, definitions)
            .map_err(|error| SignatureError::Type { name: name.to_owned(), error })?,
    };
    let field = Field { untyped: annotation.is_none(), ..Field::new(name::taken(name), ty) };
    Ok((field, default))
}

/// Whether a number in a type has a sign, an exponent's apart.
fn has_sign(annotation: &str) -> bool {
    let (mut quote, mut before) = (None, ' ');
    let mut chars = annotation.chars();
    while let Some(c) = chars.next() {
        match quote {
            Some(_) if c == '\\' => drop(chars.next()),
            Some(open) => quote = quote.filter(|_| c != open),
            None if matches!(c, '+' | '-') && !matches!(before, 'e' | 'E') => return true,
            None => quote = Some(c).filter(|it| matches!(it, '\'' | '"')),
        }
        before = c;
    }
    false
}

const OPERATORS: [char; 9] = ['|', '&', '^', '+', '-', '*', '/', '%', '@'];

/// Whether a text is a name or a value written out, or some of them with operators between.
fn is_value(text: &str) -> bool {
    let is_name = |it: &str| without_index(it).split('.').all(is_identifier);
    let is_one = |it: &str| is_name(it) || literal::eval(it).is_some();
    is_one(text) || text.split(OPERATORS).map(str::trim).all(is_one)
}

/// `list` of `list[int]`.
fn without_index(name: &str) -> &str {
    match name.strip_suffix(']').and_then(|it| it.split_once('[')) {
        Some((name, index)) if !index.trim().is_empty() => name.trim_end(),
        _ => name,
    }
}

/// The text without what stands between a `#` and the end of its line, which there must be: else
/// the package takes for a comment what it puts behind.
fn without_comments(text: &str) -> Parsed<Cow<'_, str>> {
    if !text.contains('#') {
        return Ok(text.into());
    }
    let (mut kept, mut rest, mut quote) = (String::new(), text.chars(), None);
    while let Some(c) = rest.next() {
        if c == '#' && quote.is_none() {
            let end = rest.as_str().find('\n');
            let end =
                end.ok_or_else(|| SignatureError::Syntax("a comment has no end".to_owned()))?;
            rest = rest.as_str()[end..].chars();
            continue;
        }
        quote = match quote {
            None => Some(c).filter(|it| matches!(it, '\'' | '"')),
            open => open.filter(|it| *it != c),
        };
        kept.push(c);
    }
    Ok(kept.into())
}

/// The parts between separators that stand in no bracket and no quotes.
fn split(text: &str, separator: char) -> Parsed<Vec<&str>> {
    let (mut parts, mut start, mut depth, mut quote) = (Vec::new(), 0, 0_usize, None);
    let mut is_escaped = false;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(_), _) if is_escaped => is_escaped = false,
            (Some(_), '\\') => is_escaped = true,
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '[' | '(' | '{') => depth += 1,
            (None, ']' | ')' | '}') => {
                let outer = depth.checked_sub(1);
                depth = outer.ok_or_else(|| SignatureError::Syntax(format!("unmatched '{c}'")))?;
            }
            (None, c) if c == separator && depth == 0 => {
                parts.push(&text[start..at]);
                start = at + c.len_utf8();
            }
            (Some(_) | None, _) => {}
        }
    }
    if depth > 0 || quote.is_some() {
        return Err(SignatureError::Syntax(format!("`{text}` is not closed")));
    }
    parts.push(&text[start..]);
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_a_literal_have_no_sign_in_a_text() {
        let parse = |text: &str| Signature::parse("S", text, &Definitions::default());
        for signed in ["q -> a: Literal[-1, 1]", "q -> a: list[Literal[+1]]"] {
            let error = parse(signed).unwrap_err().to_string();

            assert!(error.contains("declare the field by itself"), "{error}");
        }

        for fine in ["q -> a: Literal['-1', \"\\\"-\"]", "q -> a: Literal[1e-5, 1.5, 2]"] {
            parse(fine).unwrap();
        }
    }

    #[test]
    fn comments_and_defaults_mean_nothing() {
        let parse = |text: &str| Signature::parse("S", text, &Definitions::default());

        let read = parse("q#, what: is it?\n, k=1-list[int] -> a: Literal['#'] # so\n, b").unwrap();

        let names = |fields: &[Field]| fields.iter().map(|it| it.name.clone()).collect::<Vec<_>>();
        assert_eq!(
            (names(&read.inputs), names(&read.outputs)),
            (vec!["q".to_owned(), "k".to_owned()], vec!["a".to_owned(), "b".to_owned()],)
        );
        assert!(parse("q, k=1 # and -> a").is_err());
    }
}

//! What a type is called: in prompts as DSPy calls it, in files as Python writes it.

use std::fmt;

use serde_json::Value;

use super::{Definition, Definitions, DspyType, Type};
use crate::python::{json, repr};

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&named(self, Style::Prompt))
    }
}

impl Type {
    /// The annotation, such that [`Type::parse_with`] reads it back.
    pub fn annotation(&self) -> String {
        named(self, Style::File)
    }

    /// How pydantic names it where it prints a field.
    pub(crate) fn displayed_name(&self) -> String {
        named(self, Style::Info)
    }

    /// How DSPy names it where it warns of an input.
    pub(crate) fn warned_name(&self) -> String {
        named(self, Style::Warning)
    }
}

impl Type {
    /// What pydantic calls the type in its errors.
    pub(crate) fn validator_name(&self, definitions: &Definitions) -> String {
        let name = |ty: &Self| ty.validator_name(definitions);
        let list = |types: &[Self]| types.iter().map(name).collect::<Vec<_>>();
        match self {
            Self::Str | Self::Int | Self::Float | Self::Bool => self.to_string(),
            Self::Named(own) => match definitions.get(own) {
                Some(Definition::Enum(its)) => format!("{}[{own}]", its.base.validator_name()),
                Some(Definition::Model(_)) | None => own.clone(),
            },
            Self::None => "none".to_owned(),
            Self::Any => "any".to_owned(),
            Self::BareList => "list[any]".to_owned(),
            Self::BareDict => "dict[any,any]".to_owned(),
            Self::List(item) => format!("list[{}]", name(item)),
            Self::Dict(key, value) => {
                format!("dict[{},{}]", name(key), name(value))
            }
            Self::Tuple(items) => format!("tuple[{}]", list(items).join(", ")),
            Self::TupleOf(item) => format!("tuple[{}, ...]", name(item)),
            Self::BareTuple => "tuple[any, ...]".to_owned(),
            Self::Set(item) => format!("set[{}]", name(item)),
            Self::BareSet => "set[any]".to_owned(),
            Self::FrozenSet(item) => format!("frozenset[{}]", name(item)),
            Self::BareFrozenSet => "frozenset[any]".to_owned(),
            Self::Scalar(scalar) => scalar.validator_name(),
            Self::Dspy(ty) => ty.class_name(),
            Self::Constrained(its) if matches!(its.ty, Self::List(_) | Self::BareList) => {
                name(&its.ty)
            }
            Self::Constrained(its) => format!("constrained-{}", its.ty),
            Self::Literal(values) => {
                let values: Vec<_> = values.iter().map(|it| repr::repr(&it.into())).collect();
                format!("literal[{}]", values.join(","))
            }
            Self::Union(args) => match without_none(args).as_slice() {
                rest if rest.len() == args.len() => format!("union[{}]", list(rest).join(",")),
                [only] => format!("nullable[{}]", name(only)),
                rest => format!("nullable[union[{}]]", list(rest).join(",")),
            },
        }
    }
}

fn without_none(args: &[Type]) -> Vec<Type> {
    args.iter().filter(|it| **it != Type::None).cloned().collect()
}

/// Where a type is named.
#[derive(Clone, Copy, PartialEq)]
enum Style {
    /// In a prompt: reasoning is text to the model.
    Prompt,
    /// In a file, to be read back.
    File,
    /// In a warning.
    Warning,
    /// In what pydantic prints of a field.
    Info,
}

fn named(ty: &Type, style: Style) -> String {
    let list = |types: &[Type]| types.iter().map(|it| named(it, style)).collect::<Vec<_>>();
    match ty {
        Type::Str => "str".to_owned(),
        Type::Int => "int".to_owned(),
        Type::Float => "float".to_owned(),
        Type::Bool => "bool".to_owned(),
        Type::None => "NoneType".to_owned(),
        Type::Any => "Any".to_owned(),
        Type::BareList => "list".to_owned(),
        Type::BareDict => "dict".to_owned(),
        Type::List(item) => format!("list[{}]", named(item, style)),
        Type::Dict(key, value) => format!("dict[{}, {}]", named(key, style), named(value, style)),
        Type::Tuple(items) => format!("tuple[{}]", list(items).join(", ")),
        Type::TupleOf(item) => {
            let is_short = matches!(style, Style::Warning | Style::Info);
            let more = if is_short { "..." } else { "Ellipsis" };
            format!("tuple[{}, {more}]", named(item, style))
        }
        Type::BareTuple => "tuple".to_owned(),
        Type::Set(item) => format!("set[{}]", named(item, style)),
        Type::BareSet => "set".to_owned(),
        Type::FrozenSet(item) => format!("frozenset[{}]", named(item, style)),
        Type::BareFrozenSet => "frozenset".to_owned(),
        Type::Scalar(scalar) if style == Style::File => scalar.full_name().to_owned(),
        Type::Scalar(scalar) => scalar.class_name().to_owned(),
        Type::Dspy(DspyType::Reasoning) if style == Style::Prompt => "str".to_owned(),
        Type::Dspy(DspyType::Code(Some(language))) if style == Style::File => {
            format!("dspy.Code[{}]", repr::string(language))
        }
        Type::Dspy(ty) if style == Style::File => format!("dspy.{}", ty.class_name()),
        Type::Dspy(ty) => ty.class_name(),
        Type::Union(args) => format!("Union[{}]", list(args).join(", ")),
        Type::Literal(values) => {
            let quote = if style == Style::Prompt { quoted } else { repr::string };
            let values: Vec<_> = values.iter().map(|it| literal(it, quote)).collect();
            format!("Literal[{}]", values.join(", "))
        }
        Type::Named(name) => name.clone(),
        Type::Constrained(its) => {
            let rules = match style {
                Style::File => &its.written,
                Style::Prompt | Style::Warning => &its.printed,
                Style::Info => &its.displayed,
            };
            format!("Annotated[{}, {rules}]", named(&its.ty, style))
        }
    }
}

fn literal(value: &Value, quote: fn(&str) -> String) -> String {
    match value {
        Value::String(text) => quote(text),
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => json::number(number),
        Value::Array(_) | Value::Object(_) => json::dumps(value),
    }
}

/// DSPy's way with quotes: nothing is escaped but a single quote beside a double one.
fn quoted(text: &str) -> String {
    match (text.contains('\''), text.contains('"')) {
        (true, false) => format!("\"{text}\""),
        (true, true) => format!("'{}'", text.replace('\'', "\\'")),
        (false, _) => format!("'{text}'"),
    }
}

//! One value: how it is shown to the model, and how it is read from a reply.

use serde_json::Value;

use crate::{
    Definition, Definitions, DspyType, EnumMember, Field, Type, Uncaught, json_repair,
    python::{json, literal, object::Object, repr, text::strip},
    types::{ValidationError, validate},
};

/// A value as the model reads it.
pub(crate) fn shown(field: &Field, value: &Value) -> String {
    match value {
        Value::Array(items) if field.ty == Type::Str => numbered(items),
        Value::Array(_) | Value::Object(_) => json::dumps(value),
        Value::String(text) => text.clone(),
        Value::Number(number) => json::number(number),
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
    }
}

/// A list given for text: each item apart.
fn numbered(items: &[Value]) -> String {
    match items {
        [] => "N/A".to_owned(),
        [only] => blob(only),
        items => {
            let lines = items.iter().enumerate();
            let lines = lines.map(|(i, item)| format!("[{}] {}", i + 1, blob(item)));
            lines.collect::<Vec<_>>().join("\n")
        }
    }
}

fn blob(item: &Value) -> String {
    match item.as_str().filter(|it| it.contains(['\n', '«', '»'])) {
        Some(text) => format!("«««\n    {}\n»»»", text.replace('\n', "\n    ")),
        None => format!("«{}»", repr::str(&item.into())),
    }
}

/// Why a value is not of its type.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ValueError {
    #[error(transparent)]
    Invalid(#[from] ValidationError),
    #[error(transparent)]
    Unreadable(#[from] json_repair::RepairError),
    #[error("{0} is not a valid name or value for the enum {1}")]
    NoMember(String, String),
    #[error("unhashable type: '{0}'")]
    Unhashable(&'static str),
}

impl ValueError {
    /// What is raised, if it is no `ValueError` of Python's.
    pub(crate) fn uncaught(&self) -> Option<Uncaught> {
        match self {
            Self::NoMember(..) => None,
            Self::Invalid(error) => error.is_raised().then_some(Uncaught::Type),
            Self::Unreadable(error) => error.uncaught(),
            Self::Unhashable(_) => Some(Uncaught::Type),
        }
    }
}

/// The value of a type that a text holds.
pub(crate) fn parse_text(
    ty: &Type,
    text: &str,
    definitions: &Definitions,
) -> Result<Object, ValueError> {
    parse(ty, Object::Str(text.to_owned()), definitions)
}

/// The value of a type that a value is, or that its text holds.
pub(crate) fn parse(
    ty: &Type,
    value: Object,
    definitions: &Definitions,
) -> Result<Object, ValueError> {
    let value = match (ty, definition(ty, definitions)) {
        (Type::Str, _) if matches!(value, Object::Str(_)) => return Ok(value),
        (Type::Str, _) => return Ok(Object::Str(repr::str(&value))),
        (Type::Named(name), Some(Definition::Enum(its))) => {
            return member(name, &its.members, &value);
        }
        (Type::Literal(values), _) => match choice(values, value) {
            Ok(value) => return Ok(value),
            Err(value) => value,
        },
        (_, _) => value,
    };
    let Object::Str(text) = value else { return Ok(validate(ty, value, definitions)?) };
    let is_optional_text = matches!(
        ty, Type::Union(args) if args.contains(&Type::None) && args.contains(&Type::Str)
    );
    if is_optional_text {
        return Ok(validate(ty, Object::Str(text), definitions)?);
    }
    // DSPy's own types may make something of the text where its JSON is none of them.
    let again = has_own_parser(ty).then(|| text.clone());
    let error = match validate(ty, candidate(text)?, definitions) {
        Ok(value) => return Ok(value),
        Err(error) if error.is_raised() => return Err(error.into()),
        Err(error) => error,
    };
    let value = again.and_then(|it| validate(ty, Object::Str(it), definitions).ok());
    value.ok_or(ValueError::Invalid(error))
}

/// Whether the type is a subclass of `dspy.Type`.
fn has_own_parser(ty: &Type) -> bool {
    let is_model = matches!(ty, Type::Dspy(DspyType::History | DspyType::ToolCallResults));
    matches!(ty, Type::Dspy(_)) && !is_model
}

fn definition<'a>(ty: &Type, definitions: &'a Definitions) -> Option<&'a Definition> {
    let Type::Named(name) = ty else { return None };
    definitions.get(name)
}

/// The JSON that a text holds, else the Python literal, else the text.
fn candidate(text: String) -> Result<Object, json_repair::RepairError> {
    let value = json_repair::loads(&text)?;
    let is_nothing = matches!(&value, Object::Str(it) if it.is_empty());
    if !is_nothing || text.is_empty() {
        return Ok(value);
    }
    Ok(literal::eval(&text).unwrap_or(Object::Str(text)))
}

/// The member of an enum by its value, else by its name.
fn member(name: &str, members: &[EnumMember], value: &Object) -> Result<Object, ValueError> {
    let by_value = members.iter().find(|it| Object::from(&it.value).equals(value));
    let by_name = || members.iter().find(|it| matches!(value, Object::Str(v) if *v == it.name));
    match by_value.or_else(by_name) {
        Some(member) => Ok((&member.value).into()),
        None if matches!(value, Object::List(_) | Object::Dict(_) | Object::Set(_)) => {
            Err(ValueError::Unhashable(value.type_name()))
        }
        None => Err(ValueError::NoMember(repr::str(value), name.to_owned())),
    }
}

/// A choice of a literal: as it is, or without the decoration that models add. `Err` gives back
/// what is to be validated.
fn choice(values: &[Value], value: Object) -> Result<Object, Object> {
    let is_allowed = |value: &Object| values.iter().any(|it| Object::from(it).equals(value));
    if is_allowed(&value) {
        return Ok(value);
    }
    let Object::Str(text) = value else { return Err(value) };
    let bare = Object::Str(undecorated(&text).to_owned());
    if is_allowed(&bare) { Ok(bare) } else { Err(bare) }
}

/// The text in `Literal[…]` or `str[…]`, and in one pair of quotes.
fn undecorated(text: &str) -> &str {
    let mut text = strip(text);
    if (text.starts_with("Literal[") || text.starts_with("str[")) && text.ends_with(']') {
        let open = text.find('[').map_or(0, |at| at + 1);
        text = &text[open..text.len() - 1];
    }
    let quoted = ['"', '\''].iter().find_map(|q| text.strip_prefix(*q)?.strip_suffix(*q));
    quoted.unwrap_or(text)
}

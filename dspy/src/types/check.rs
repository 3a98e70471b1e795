//! Whether an input that came as JSON is of its field's type.

use serde_json::Value;

use super::{Definition, Definitions, Type, validate};
use crate::{Mistyped, python::json};

/// The longest value shown in a message.
const SHOWN_MAX: usize = 60;

impl Type {
    /// Finds what in `value` is not of this type, by JSON pointer.
    pub(crate) fn check(
        &self,
        value: &Value,
        pointer: &str,
        definitions: &Definitions,
        wrong: &mut Vec<Mistyped>,
    ) {
        match (self, value) {
            (
                Self::List(item) | Self::TupleOf(item) | Self::Set(item) | Self::FrozenSet(item),
                Value::Array(items),
            ) => {
                for (i, value) in items.iter().enumerate() {
                    item.check(value, &format!("{pointer}/{i}"), definitions, wrong);
                }
            }
            (Self::Tuple(types), Value::Array(items)) if types.len() == items.len() => {
                for (i, (ty, value)) in types.iter().zip(items).enumerate() {
                    ty.check(value, &format!("{pointer}/{i}"), definitions, wrong);
                }
            }
            (Self::Dict(_, item), Value::Object(map)) => {
                for (name, value) in map {
                    let name = name.replace('~', "~0").replace('/', "~1");
                    item.check(value, &format!("{pointer}/{name}"), definitions, wrong);
                }
            }
            (Self::Constrained(its), value) => its.ty.check(value, pointer, definitions, wrong),
            (ty, value) if ty.accepts(value, definitions) => {}
            (ty, value) => wrong.push(Mistyped {
                pointer: pointer.to_owned(),
                message: format!("expected {ty}, got {}", shown(value)),
            }),
        }
    }

    pub(crate) fn accepts(&self, value: &Value, definitions: &Definitions) -> bool {
        match self {
            // DSPy numbers the items of a list of text that is given for text.
            Self::Str => {
                let is_list = |items: &Vec<Value>| items.iter().all(Value::is_string);
                value.is_string() || value.as_array().is_some_and(is_list)
            }
            Self::Int => value.is_i64() || value.is_u64(),
            Self::Float => value.is_number(),
            Self::Bool => value.is_boolean(),
            Self::None => value.is_null(),
            Self::Any => true,
            Self::BareList | Self::BareTuple | Self::BareSet | Self::BareFrozenSet => {
                value.is_array()
            }
            Self::Scalar(_) | Self::Dspy(_) => self.input(value, definitions).is_some(),
            Self::BareDict => value.is_object(),
            Self::Literal(values) => values.contains(value),
            Self::Union(args) => args.iter().any(|it| it.fits(value, definitions)),
            Self::Named(name) => match definitions.get(name) {
                Some(Definition::Enum(its)) => its.members.iter().any(|it| it.value == *value),
                Some(Definition::Model(_)) | None => {
                    validate(self, value.into(), definitions).is_ok()
                }
            },
            Self::List(_)
            | Self::Dict(..)
            | Self::Tuple(_)
            | Self::TupleOf(_)
            | Self::Set(_)
            | Self::FrozenSet(_) => false,
            Self::Constrained(its) => its.ty.accepts(value, definitions),
        }
    }
}

impl Type {
    /// Whether a value and all that is in it are of the type.
    pub(crate) fn fits(&self, value: &Value, definitions: &Definitions) -> bool {
        let mut wrong = Vec::new();
        self.check(value, "", definitions, &mut wrong);
        wrong.is_empty()
    }
}

fn shown(value: &Value) -> String {
    let text = json::dumps(value);
    if text.chars().count() <= SHOWN_MAX {
        return text;
    }
    text.chars().take(SHOWN_MAX).chain(['…']).collect()
}

//! What an input or an example that came as JSON is, once it has its type.
//!
//! A Python program gives objects; a request gives JSON. Where the two differ, the value is what
//! the package shows of the object: a date in ISO form, an image as a part of the message.

use serde_json::Value;

use super::{
    Definition, Definitions, DspyType, Origin, Scalar, Type, dspy_value, taken_for, validate,
    validate_as,
};
use crate::python::object::Object;

/// Which types are looked at.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Looked {
    /// All of them: an input stands for the object that a Python program would give.
    All,
    /// All of them, and models as pydantic dumps them: with defaults, without unknown fields.
    Models,
    /// DSPy's own. An example's dates are text already, as saved states hold them.
    Own,
    /// All of them and models, but DSPy's own, which are shown as Python prints them.
    Others,
}

impl Looked {
    /// As what models are validated, if they are.
    fn models(self) -> Option<Origin> {
        match self {
            Self::All | Self::Own => None,
            Self::Models => Some(Origin::Json),
            Self::Others => Some(Origin::Printed),
        }
    }
}

impl Type {
    /// Whether the package shows each value of it as it is given.
    pub(crate) fn is_shown_as_given(&self) -> bool {
        matches!(self, Self::Str | Self::Int | Self::Float | Self::Bool | Self::Literal(_))
    }

    /// A value of it, as the package shows the value. What is not of the type stays as it is.
    pub(crate) fn shown(&self, value: &Value, definitions: &Definitions, looked: Looked) -> Value {
        let inner = |ty: &Self, it: &Value| ty.shown(it, definitions, looked);
        match (self, value) {
            // Several tools where one is wanted are told of one by one, too.
            (Self::Dspy(DspyType::Tool), Value::Array(items)) => {
                items.iter().map(|it| inner(self, it)).collect()
            }
            (Self::Scalar(_) | Self::Dspy(_), value) if self.is_looked_at(looked) => {
                self.input(value, definitions).unwrap_or_else(|| value.clone())
            }
            (
                Self::List(item) | Self::TupleOf(item) | Self::Set(item) | Self::FrozenSet(item),
                Value::Array(items),
            ) => items.iter().map(|it| inner(item, it)).collect(),
            (Self::Tuple(types), Value::Array(items)) if types.len() == items.len() => {
                types.iter().zip(items).map(|(ty, it)| inner(ty, it)).collect()
            }
            (Self::Dict(_, item), Value::Object(map)) => {
                let entries = map.iter().map(|(name, it)| (name.clone(), inner(item, it)));
                Value::Object(entries.collect())
            }
            (Self::Union(args), value) => {
                let is_text = value.is_string() && args.contains(&Self::Str);
                let accepted = || args.iter().find(|it| !is_text && it.accepts(value, definitions));
                let its = taken_for(Origin::Json, args, value, definitions).or_else(accepted);
                its.map_or_else(|| value.clone(), |it| inner(it, value))
            }
            (Self::Constrained(its), value) => inner(&its.ty, value),
            (Self::Named(name), Value::Object(map)) => {
                let Some(Definition::Model(model)) = definitions.get(name) else {
                    return value.clone();
                };
                if let Some(origin) = looked.models()
                    && let Ok(object) = validate_as(origin, self, value.into(), definitions)
                {
                    return object.into_json();
                }
                let entries = map.iter().map(|(name, it)| {
                    let is_it = |field: &&super::ModelField| {
                        field.name == *name || field.alias.as_ref() == Some(name)
                    };
                    let field = model.fields.iter().find(is_it);
                    (name.clone(), field.map_or_else(|| it.clone(), |field| inner(&field.ty, it)))
                });
                Value::Object(entries.collect())
            }
            (_, value) => value.clone(),
        }
    }

    fn is_looked_at(&self, looked: Looked) -> bool {
        match looked {
            Looked::All | Looked::Models => true,
            Looked::Own => matches!(self, Self::Dspy(_)),
            Looked::Others => !matches!(self, Self::Dspy(_)),
        }
    }

    /// What the package shows of the object that `value` stands for, if it stands for one.
    pub(crate) fn input(&self, value: &Value, definitions: &Definitions) -> Option<Value> {
        let is_writable = match (self, value) {
            (Self::Scalar(Scalar::Decimal), value) => value.is_string() || value.is_number(),
            (Self::Scalar(_), value) => value.is_string(),
            (_, _) => true,
        };
        let value = match (self, value) {
            (Self::Dspy(_), Value::String(text)) if is_marked(text) => return Some(value.clone()),
            // `dspy.Image(text)` takes what its class does not take of a reply.
            (Self::Dspy(DspyType::Image), Value::String(text))
                if dspy_value::is_media_text(text) =>
            {
                &serde_json::json!({ "url": text })
            }
            (_, value) => value,
        };
        let valid = is_writable.then(|| validate(self, value.into(), definitions).ok());
        let shown = valid.flatten().map(Object::into_json);
        shown.map(|it| if *self == Self::Dspy(DspyType::ToolCalls) { without_ids(it) } else { it })
    }
}

/// Calls of tools as the package shows them: what they answer to is for providers only.
fn without_ids(mut calls: Value) -> Value {
    for call in calls["tool_calls"].as_array_mut().into_iter().flatten() {
        if let Some(call) = call.as_object_mut() {
            call.shift_remove("id");
        }
    }
    calls
}

/// Whether a text holds the parts of a message: what was once shown of such a value.
fn is_marked(text: &str) -> bool {
    text.contains(dspy_value::MARKER_START) && text.contains(dspy_value::MARKER_END)
}

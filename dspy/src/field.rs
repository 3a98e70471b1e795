//! One field of a signature.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::Type;

/// One field of a signature. Make it with [`Field::new`] and set what differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: Type,
    /// Whether no type was written: `str` is what the model is told, and any value is taken.
    #[serde(default)]
    pub untyped: bool,
    /// What it holds, for the model; `None` or `${name}` is not shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desc: Option<String>,
    /// A label of older prompts; kept for saved states, without effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// The value where none is given; `Some(null)` is a default of `None`.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// Bounds as the model reads them: `greater than or equal to: 0`. Shown, never enforced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub constraints: Option<String>,
    /// The JSON Schema, where the type's own is not the one to show (models, enums).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json_schema: Option<Value>,
}

impl Field {
    /// A field with a name and a type.
    pub fn new(name: impl Into<String>, ty: Type) -> Self {
        Self {
            name: name.into(),
            ty,
            untyped: false,
            desc: None,
            prefix: None,
            default: None,
            constraints: None,
            json_schema: None,
        }
    }

    /// The description, unless it is the one that DSPy makes of the name.
    pub(crate) fn shown_desc(&self) -> &str {
        let made = format!("${{{}}}", self.name);
        self.desc.as_deref().filter(|it| *it != made).unwrap_or("")
    }

    /// The JSON Schema of its values, with its description and default.
    pub(crate) fn described_schema(&self) -> Value {
        let mut schema = self.ty.json_schema();
        if !self.shown_desc().is_empty() {
            schema["description"] = self.shown_desc().into();
        }
        if let Some(default) = &self.default {
            schema["default"] = default.clone();
        }
        schema
    }
}

/// A value that was given, be it `null`.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

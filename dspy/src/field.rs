//! One field of a signature.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Type;

/// One field of a signature. Make it with [`Field::new`] and set what differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: Type,
    /// What it holds, for the model; `None` or `${name}` is not shown.
    pub desc: Option<String>,
    /// A label of older prompts; kept for saved states, without effect.
    pub prefix: Option<String>,
    /// The value where none is given.
    pub default: Option<Value>,
    /// Bounds as the model reads them: `greater than or equal to: 0`. Shown, never enforced.
    pub constraints: Option<String>,
    /// The JSON Schema, where the type's own is not the one to show (models, enums).
    pub json_schema: Option<Value>,
}

impl Field {
    /// A field with a name and a type.
    pub fn new(name: impl Into<String>, ty: Type) -> Self {
        let (name, desc, prefix, default) = (name.into(), None, None, None);
        Self { name, ty, desc, prefix, default, constraints: None, json_schema: None }
    }
}

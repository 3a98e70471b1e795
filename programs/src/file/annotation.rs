//! The type of a field, as Python annotates it; and what people write instead.

use dspy::{Definitions, Type};

use super::{nearest::nearest, spot::Spot};
use crate::LoadError;

/// What other languages call Python's types.
const FOREIGN: [(&str, &str); 11] = [
    ("string", "str"),
    ("text", "str"),
    ("integer", "int"),
    ("number", "float"),
    ("double", "float"),
    ("boolean", "bool"),
    ("array", "list"),
    ("object", "dict[str, Any]"),
    ("map", "dict[str, Any]"),
    ("null", "None"),
    ("enum", "Literal['a', 'b']"),
];

const TYPES: [&str; 5] = ["str", "int", "float", "bool", "list"];

const OTHERWISE: &str = "write one of those, define it under `types`, or write a Python program \
                         with `source: {type: local, path: …}`, which the python runtime runs";

/// The type of an annotation that may name types of the program's own.
pub(super) fn read(spot: &Spot<'_>, types: &Definitions) -> Result<Type, LoadError> {
    let annotation = spot.text()?;
    Type::parse_with(annotation, types).map_err(|e| {
        let bare = annotation.trim();
        let own: Vec<&str> = types.0.keys().map(String::as_str).chain(TYPES).collect();
        let word = bare.to_lowercase();
        let foreign = FOREIGN.iter().find(|(name, _)| *name == word).map(|(_, ty)| *ty);
        if let Some(near) = foreign.or_else(|| nearest(bare, &own).filter(|it| *it != bare)) {
            return spot.fail(format!("`{bare}` is no type"), format!("did you mean `{near}`?"));
        }
        let is_literal = bare.starts_with("Literal");
        let fix = if is_literal { "write it as \"Literal['a', 'b']\"" } else { OTHERWISE };
        spot.fail(e.to_string(), fix)
    })
}

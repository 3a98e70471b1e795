//! pydantic's own words for a field: what `str(FieldInfo)` is, which DSPy puts into a message.

use super::python_form;
use crate::{Definitions, Field, prefix, python::repr, types::RULES};

/// How the prompt words the bound that each of the rules sets.
const WORDS: [&str; RULES.len()] = [
    "greater than: ",
    "greater than or equal to: ",
    "less than: ",
    "less than or equal to: ",
    "a multiple of the given number: ",
    "minimum length: ",
    "maximum length: ",
];

/// The words for an output field.
pub(super) fn of(field: &Field, definitions: &Definitions) -> String {
    let Field { name, ty, .. } = field;
    let annotation = ty.displayed_name();
    let needed = match &field.default {
        None => "required=True".to_owned(),
        Some(default) => {
            let default = python_form::repr(ty, default, definitions);
            format!("required=False default={default}")
        }
    };
    let made = format!("${{{name}}}");
    let own = field.desc.as_ref().filter(|it| **it != made);
    let prefix = format!("{}:", prefix::inferred(name));
    let own_prefix = field.prefix.as_ref().filter(|it| **it != prefix);
    let entry = |key: &str, value: &str| format!("'{key}': {}", repr::string(value));
    let mut extra = Vec::new();
    extra.extend(own.map(|it| entry("desc", it)));
    extra.extend(own_prefix.map(|it| entry("prefix", it)));
    extra.push(entry("__dspy_field_type", "output"));
    extra.extend(field.constraints.as_ref().map(|it| entry("constraints", it)));
    if own_prefix.is_none() {
        extra.push(entry("prefix", &prefix));
    }
    if own.is_none() {
        extra.push(entry("desc", &made));
    }
    let extra = extra.join(", ");
    let metadata = metadata(field.constraints.as_deref().unwrap_or_default());
    format!("annotation={annotation} {needed} json_schema_extra={{{extra}}}{metadata}")
}

fn metadata(constraints: &str) -> String {
    let bounds = WORDS.iter().zip(RULES).filter_map(|(words, (class, name))| {
        let bound = constraints.split(", ").find_map(|it| it.strip_prefix(words))?;
        Some(format!("{class}({name}={bound})"))
    });
    let bounds: Vec<_> = bounds.collect();
    if bounds.is_empty() { String::new() } else { format!(" metadata=[{}]", bounds.join(", ")) }
}

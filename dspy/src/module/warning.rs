//! What DSPy logs of inputs and replies, word for word. Nothing here fails.

use serde_json::Value;

use super::instance;
use crate::{
    Field, Fields, LmReply, Signature,
    adapter::python_form,
    python::{object::Object, repr},
};

/// The inputs that are unknown, of another type, or missing.
pub(super) fn of_inputs(signature: &Signature, inputs: &Fields) -> Vec<String> {
    let mut warnings = Vec::new();
    let is_known = |name: &String| signature.inputs.iter().any(|it| it.name == *name);
    let extra: Vec<_> = inputs.keys().filter(|it| !is_known(it)).collect();
    let expected: Vec<_> = signature.inputs.iter().map(|it| &it.name).collect();
    if !extra.is_empty() {
        warnings.push(format!(
            "Input contains fields not in signature. These fields will be ignored: {}. Expected \
             fields: {}.",
            repr::str_list(&extra),
            repr::str_list(&expected)
        ));
    }
    for field in &signature.inputs {
        if let Some(value) = inputs.get(&field.name).filter(|it| !it.is_null() && !field.untyped) {
            warnings.extend(mistyped(signature, field, value));
        }
    }
    let is_missing = |it: &&&Field| !inputs.contains_key(&it.name) && !it.ty.allows_none();
    let fields: Vec<_> = signature.inputs.iter().collect();
    let missing: Vec<_> = fields.iter().filter(is_missing).map(|it| &it.name).collect();
    if !missing.is_empty() {
        let present: Vec<_> = expected.iter().filter(|it| inputs.contains_key(**it)).collect();
        warnings.push(format!(
            "Not all input fields were provided to module. Present: {}. Missing: {}.",
            repr::str_list(&present),
            repr::str_list(&missing)
        ));
    }
    warnings
}

fn mistyped(signature: &Signature, field: &Field, value: &Value) -> Option<String> {
    if instance::is_compatible(field, value, &signature.types) {
        return None;
    }
    let Field { name, ty, .. } = field;
    let ty_name = ty.warned_name();
    // What the package warns of within `Annotated` may well be of its type.
    let value = if ty.fits(value, &signature.types) {
        python_form::str(ty, value, &signature.types)
    } else {
        repr::str(&Object::from(value))
    };
    Some(format!(
        "Type mismatch for field '{name}': expected {ty_name} based on given Signature, but the \
         provided value is incompatible: {value}."
    ))
}

/// A reply that was cut. One that calls tools ended with them, to the package.
pub(super) fn of_reply(reply: &LmReply) -> Option<String> {
    let is_cut = reply.finish_reason.as_deref() == Some("length") && reply.tool_calls.is_empty();
    let warning = "LM response was truncated; increase max_tokens or inspect history.";
    is_cut.then(|| warning.to_owned())
}

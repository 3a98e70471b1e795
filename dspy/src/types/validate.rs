//! Where validation begins: of a value by its type, of a union's value by the member it fits.

use serde_json::Value;

use super::{Definitions, Type, ValidationError, coerce::Coercer, union};
use crate::python::object::Object;

/// The value of `ty` that `value` is or becomes.
pub(crate) fn validate(
    ty: &Type,
    value: Object,
    definitions: &Definitions,
) -> Result<Object, ValidationError> {
    validate_as(Origin::Reply, ty, value, definitions)
}

/// The same of a value that is given in one of the ways there are.
pub(crate) fn validate_as(
    origin: Origin,
    ty: &Type,
    value: Object,
    definitions: &Definitions,
) -> Result<Object, ValidationError> {
    let coerced = Coercer { definitions, origin }.coerce(ty, value);
    coerced
        .map(|(value, _)| value)
        .map_err(|issues| ValidationError { title: ty.validator_name(definitions), issues })
}

/// The member of a union that a value is taken for; none if it is of none of them.
pub(crate) fn taken_for<'t>(
    origin: Origin,
    members: &'t [Type],
    value: &Value,
    definitions: &Definitions,
) -> Option<&'t Type> {
    union::chosen(&Coercer { definitions, origin }, &value.into(), members)
}

/// How a value is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// As a model writes it: fields of models go by their aliases.
    Reply,
    /// As JSON that stands for an object: fields go by their names or aliases.
    Json,
    /// The same, of which values of DSPy's own types stay as they are: Python prints them.
    Printed,
    /// As validation made it: what is a field's default was not checked then, nor is it now.
    Made,
}

//! pydantic's smart unions: the member that fits best, the first of equals.

use super::{
    Type,
    coerce::{Coerced, Coercer},
    fit::Fit,
};
use crate::python::object::Object;

/// `Optional` is no union to pydantic: a value that is not `None` is of the other types.
pub(super) fn coerce(coercer: &Coercer<'_>, value: Object, args: &[Type]) -> Coerced {
    let others: Vec<&Type> = args.iter().filter(|it| **it != Type::None).collect();
    if value == Object::None && others.len() < args.len() {
        return Ok((Object::None, Fit::EXACT));
    }
    if let [only] = others.as_slice() {
        return coercer.coerce(only, value);
    }
    let mut best: Option<(Object, Fit)> = None;
    let mut issues = Vec::new();
    for ty in others {
        match coercer.coerce(ty, value.clone()) {
            Ok((value, Fit::EXACT)) => return Ok((value, Fit::EXACT)),
            Ok((value, fit)) if best.as_ref().is_none_or(|(_, its)| fit.is_better_than(*its)) => {
                best = Some((value, fit));
            }
            Ok(_) => {}
            Err(more) => {
                let place = ty.validator_name(coercer.definitions);
                issues.extend(more.into_iter().map(|it| it.at(place.clone())));
            }
        }
    }
    best.ok_or(issues)
}

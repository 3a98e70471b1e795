//! pydantic's smart unions: the member that fits best, the first of equals.

use super::{
    Type,
    coerce::{Coerced, Coercer},
    fit::Fit,
    issue::Issue,
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
    best(coercer, &value, &others).map(|(_, value, fit)| (value, fit))
}

/// The member that a value is taken for; none if it is of none of them.
pub(super) fn chosen<'t>(
    coercer: &Coercer<'_>,
    value: &Object,
    args: &'t [Type],
) -> Option<&'t Type> {
    let members: Vec<&Type> = args.iter().collect();
    best(coercer, value, &members).ok().map(|(ty, ..)| ty)
}

/// The member that fits best, and the value as one of it.
fn best<'t>(
    coercer: &Coercer<'_>,
    value: &Object,
    members: &[&'t Type],
) -> Result<(&'t Type, Object, Fit), Vec<Issue>> {
    let mut best: Option<(&Type, Object, Fit)> = None;
    let mut issues = Vec::new();
    for ty in members.iter().copied() {
        match coercer.coerce(ty, value.clone()) {
            Ok((value, Fit::EXACT)) => return Ok((ty, value, Fit::EXACT)),
            Ok((value, fit)) if best.as_ref().is_none_or(|(.., its)| fit.is_better_than(*its)) => {
                best = Some((ty, value, fit));
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

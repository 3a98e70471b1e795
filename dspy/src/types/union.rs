//! pydantic's smart unions: the member that fits best, the first of equals.

use super::{
    Type,
    coerce::{Coerced, Coercer, Fit},
};
use crate::python::object::Object;

pub(super) fn coerce(coercer: &Coercer<'_>, value: Object, args: &[Type]) -> Coerced {
    let mut best: Option<(Object, Fit)> = None;
    let mut issues = Vec::new();
    for ty in args {
        match coercer.coerce(ty, value.clone()) {
            Ok((value, Fit::Exact)) => return Ok((value, Fit::Exact)),
            Ok((value, fit)) if best.as_ref().is_none_or(|(_, its)| fit > *its) => {
                best = Some((value, fit));
            }
            Ok(_) => {}
            Err(more) if is_only_none(ty, args) => drop(more),
            Err(more) => issues.extend(more.into_iter().map(|it| it.at(ty.validator_name()))),
        }
    }
    best.ok_or(issues)
}

/// `Optional` is no union to pydantic: what is wrong is told of the other type only.
fn is_only_none(ty: &Type, args: &[Type]) -> bool {
    *ty == Type::None && args.len() == 2
}

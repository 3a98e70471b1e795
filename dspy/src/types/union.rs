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

/// The member that a value is taken for; none if it is of none of them. Of an `Optional`, what is
/// not `None` is taken for the other type in any case.
pub(super) fn chosen<'t>(
    coercer: &Coercer<'_>,
    value: &Object,
    args: &'t [Type],
) -> Option<&'t Type> {
    let members: Vec<&Type> = args.iter().collect();
    match members.as_slice() {
        [only, Type::None] | [Type::None, only] if *value != Object::None => Some(only),
        members => best(coercer, value, members).ok().map(|(ty, ..)| ty),
    }
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        Definition, Definitions, Model, ModelField,
        types::{Origin, taken_for},
    };

    /// Models whose only field is the one named, an integer with a default.
    fn models(fields: &[(&str, &str)]) -> Definitions {
        let model = |field: &str| Model {
            fields: vec![ModelField {
                name: field.to_owned(),
                alias: None,
                ty: Type::Int,
                desc: None,
                default: Some(0.into()),
                bounds: serde_json::Map::new(),
            }],
            ..Model::default()
        };
        let defined =
            fields.iter().map(|(name, it)| ((*name).to_owned(), Definition::Model(model(it))));
        Definitions(defined.collect())
    }

    #[test]
    fn model_of_which_more_fields_are_given_is_chosen() {
        let definitions = models(&[("A", "x"), ("B", "y")]);
        let named = |name: &str| Type::Named(name.to_owned());
        let counts = Type::Dict(Box::new(Type::Str), Box::new(Type::Int));
        let chosen = |members: &[Type], value: Value| {
            taken_for(Origin::Json, members, &value, &definitions).map(ToString::to_string)
        };
        let (models, mixed) = ([named("A"), named("B")], [counts, named("A")]);

        assert_eq!(chosen(&models, json!({"y": 1})).as_deref(), Some("B"));
        assert_eq!(chosen(&models, json!({})).as_deref(), Some("A"));
        assert_eq!(chosen(&mixed, json!({"y": 1})).as_deref(), Some("dict[str, int]"));
        assert_eq!(chosen(&mixed, json!({"y": "1"})).as_deref(), Some("A"));
    }
}

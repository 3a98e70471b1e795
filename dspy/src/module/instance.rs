//! Whether an input is an instance of its field's type, as DSPy asks before it warns.

use serde_json::Value;

use crate::{
    Definitions, Field, Type,
    python::object::Object,
    types::{Origin, validate_as},
};

/// Whether DSPy takes the value without a warning: a list of text may stand for text.
pub(super) fn is_compatible(field: &Field, value: &Value, definitions: &Definitions) -> bool {
    let is_texts = |items: &Vec<Value>| items.iter().all(Value::is_string);
    (field.ty == Type::Str && value.as_array().is_some_and(is_texts))
        || is_instance(&field.ty, value, definitions)
}

/// Whether a name may be a key of the type. JSON has texts alone for keys: of a type that has
/// others they may mean one of those.
fn may_be_key(ty: &Type, name: &str) -> bool {
    let Type::Literal(values) = ty else { return true };
    !values.iter().all(Value::is_string) || values.iter().any(|it| it == name)
}

/// Python's `isinstance`, given that JSON has no tuples, no sets, no members and no models.
fn is_instance(ty: &Type, value: &Value, definitions: &Definitions) -> bool {
    let all = |ty: &Type, items: &[Value]| items.iter().all(|it| is_instance(ty, it, definitions));
    match (ty, value) {
        (Type::Any, _) => true,
        (Type::Str, value) => value.is_string(),
        (Type::Int, value) => value.is_i64() || value.is_u64() || value.is_boolean(),
        (Type::Float, value) => value.is_f64(),
        (Type::Bool, value) => value.is_boolean(),
        (Type::None, value) => value.is_null(),
        (Type::BareList | Type::BareTuple | Type::BareSet | Type::BareFrozenSet, value) => {
            value.is_array()
        }
        (Type::BareDict, value) => value.is_object(),
        (
            Type::List(item) | Type::TupleOf(item) | Type::Set(item) | Type::FrozenSet(item),
            Value::Array(items),
        ) => all(item, items),
        (Type::Tuple(types), Value::Array(items)) => {
            let mut pairs = types.iter().zip(items);
            types.len() == items.len() && pairs.all(|(ty, it)| is_instance(ty, it, definitions))
        }
        (Type::Dict(key, item), Value::Object(map)) => {
            map.iter().all(|(name, it)| may_be_key(key, name) && is_instance(item, it, definitions))
        }
        (Type::Literal(values), value) => {
            values.iter().any(|it| Object::from(it).equals(&value.into()))
        }
        (Type::Union(args), value) => args.iter().any(|it| is_instance(it, value, definitions)),
        // A model of the program's own, as Python holds it: by the names of its fields.
        (Type::Named(_), value) => {
            ty.accepts(value, definitions)
                || validate_as(Origin::Json, ty, value.into(), definitions).is_ok()
        }
        (Type::Scalar(_) | Type::Dspy(_), value) => ty.accepts(value, definitions),
        (
            Type::List(_)
            | Type::TupleOf(_)
            | Type::Set(_)
            | Type::FrozenSet(_)
            | Type::Tuple(_)
            | Type::Dict(..)
            // The package does not look into `Annotated`, and warns of what it holds.
            | Type::Constrained(_),
            _,
        ) => false,
    }
}

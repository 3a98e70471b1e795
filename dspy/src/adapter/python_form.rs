//! Python's `str` and `repr` of a typed value: members of enums and models by their classes.

use std::slice;

use serde_json::{Map, Value};

use super::python_own;
use crate::{
    Definitions, DspyType, Enum, Extra, Model, Type,
    python::{object::Object, repr},
    types::{Origin, taken_for},
};

/// `str(value)`.
pub(crate) fn str(ty: &Type, value: &Value, definitions: &Definitions) -> String {
    if let Some(shown) = own(ty, value).and_then(|ty| python_own::str(ty, value)) {
        return shown;
    }
    let ty = taken(ty, value, definitions);
    if let Type::Scalar(scalar) = ty
        && let Some(shown) = scalar.str(value)
    {
        return shown;
    }
    match typed(ty, value, definitions) {
        Some(Typed::Model(_, model, map)) => fields(model, map, definitions, " "),
        Some(Typed::Member(_, its, _)) if its.base.prints_values() => repr::str(&value.into()),
        Some(Typed::Member(class, _, name)) => format!("{class}.{name}"),
        None => value.as_str().map_or_else(|| repr(ty, value, definitions), ToOwned::to_owned),
    }
}

/// `repr(value)`.
pub(super) fn repr(ty: &Type, value: &Value, definitions: &Definitions) -> String {
    if let Some(shown) = own(ty, value).and_then(|ty| python_own::repr(ty, value)) {
        return shown;
    }
    let ty = taken(ty, value, definitions);
    if let Type::Scalar(scalar) = ty
        && let Some(shown) = scalar.repr(value)
    {
        return shown;
    }
    match typed(ty, value, definitions) {
        Some(Typed::Model(class, model, map)) => {
            return format!("{class}({})", fields(model, map, definitions, ", "));
        }
        Some(Typed::Member(class, _, name)) => {
            return format!("<{class}.{name}: {}>", repr::repr(&value.into()));
        }
        None => {}
    }
    match (ty, value) {
        (Type::List(item), Value::Array(items)) => {
            format!("[{}]", list(item, items, definitions))
        }
        (Type::TupleOf(item), Value::Array(items)) => {
            tuple(&items.iter().map(|it| repr(item, it, definitions)).collect::<Vec<_>>())
        }
        (Type::Tuple(types), Value::Array(items)) => {
            let pairs = types.iter().zip(items);
            tuple(&pairs.map(|(ty, it)| repr(ty, it, definitions)).collect::<Vec<_>>())
        }
        (Type::Set(item), Value::Array(items)) if !items.is_empty() => {
            format!("{{{}}}", list(item, items, definitions))
        }
        (Type::Set(_), Value::Array(_)) => "set()".to_owned(),
        (Type::Dict(_, item), Value::Object(map)) => {
            let entry = |(key, value): (&String, &Value)| {
                format!("{}: {}", repr::string(key), repr(item, value, definitions))
            };
            format!("{{{}}}", map.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        _ => repr::repr(&Object::from(value)),
    }
}

/// The type of DSPy's own that a value may be of.
pub(super) fn own<'a>(ty: &'a Type, value: &Value) -> Option<&'a DspyType> {
    let members = if let Type::Union(args) = ty { args.as_slice() } else { slice::from_ref(ty) };
    let own = members.iter().find_map(|it| if let Type::Dspy(own) = it { Some(own) } else { None });
    own.filter(|_| !value.is_null())
}

/// Of a union the member that the value is taken for; of any other type, it.
pub(super) fn taken<'a>(ty: &'a Type, value: &Value, definitions: &Definitions) -> &'a Type {
    let member = if let Type::Union(args) = ty {
        taken_for(Origin::Made, args, value, definitions).unwrap_or(ty)
    } else {
        ty
    };
    if let Type::Constrained(its) = member { its.ty() } else { member }
}

/// A value of a class.
enum Typed<'a> {
    Model(&'a str, &'a Model, &'a Map<String, Value>),
    Member(&'a str, &'a Enum, &'a str),
}

fn typed<'a>(ty: &'a Type, value: &'a Value, definitions: &'a Definitions) -> Option<Typed<'a>> {
    if let Some((class, its)) = definitions.enumeration(ty) {
        let member = its.members.iter().find(|it| it.value == *value)?;
        return Some(Typed::Member(class, its, &member.name));
    }
    let (class, model) = definitions.model(ty)?;
    Some(Typed::Model(class, model, value.as_object()?))
}

fn fields(
    model: &Model,
    map: &Map<String, Value>,
    definitions: &Definitions,
    between: &str,
) -> String {
    let fields = model.fields.iter().filter_map(|field| {
        let named = || field.alias.as_ref().and_then(|it| map.get(it));
        let value = map.get(&field.name).or_else(named).or(field.default.as_ref())?;
        Some(format!("{}={}", field.name, repr(&field.ty, value, definitions)))
    });
    let is_own = |name: &String| {
        model.fields.iter().any(|it| it.name == *name || it.alias.as_ref() == Some(name))
    };
    let extra = map.iter().filter(|(name, _)| model.extra == Extra::Allow && !is_own(name));
    let extra = extra.map(|(name, it)| format!("{name}={}", repr::repr(&it.into())));
    fields.chain(extra).collect::<Vec<_>>().join(between)
}

fn list(item: &Type, items: &[Value], definitions: &Definitions) -> String {
    items.iter().map(|it| repr(item, it, definitions)).collect::<Vec<_>>().join(", ")
}

fn tuple(items: &[String]) -> String {
    match items {
        [only] => format!("({only},)"),
        items => format!("({})", items.join(", ")),
    }
}

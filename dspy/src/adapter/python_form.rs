//! Python's `str` and `repr` of a typed value: members of enums and models by their classes.

use serde_json::{Map, Value};

use super::python_own;
use crate::{
    Definitions, DspyType, Model, Type,
    python::{object::Object, repr},
};

/// `str(value)`.
pub(super) fn str(ty: &Type, value: &Value, definitions: &Definitions) -> String {
    if let Some(shown) = own(ty, value).and_then(|ty| python_own::str(ty, value)) {
        return shown;
    }
    if let Value::String(text) = value
        && member(ty, value, definitions).is_none()
    {
        return text.clone();
    }
    match typed(ty, value, definitions) {
        Some(Typed::Model(_, model, map)) => fields(model, map, definitions, " "),
        Some(Typed::Member(class, name)) => format!("{class}.{name}"),
        None => repr(ty, value, definitions),
    }
}

/// `repr(value)`.
pub(super) fn repr(ty: &Type, value: &Value, definitions: &Definitions) -> String {
    if let Some(shown) = own(ty, value).and_then(|ty| python_own::repr(ty, value)) {
        return shown;
    }
    match typed(ty, value, definitions) {
        Some(Typed::Model(class, model, map)) => {
            return format!("{class}({})", fields(model, map, definitions, ", "));
        }
        Some(Typed::Member(class, name)) => {
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
        (Type::Union(args), value) => {
            let fits = |ty: &&Type| ty.fits(value, definitions);
            match args.iter().find(fits) {
                Some(ty) => repr(ty, value, definitions),
                None => repr::repr(&value.into()),
            }
        }
        _ => repr::repr(&Object::from(value)),
    }
}

/// The type of DSPy's own that a value may be of.
pub(super) fn own<'a>(ty: &'a Type, value: &Value) -> Option<&'a DspyType> {
    let mut own =
        members(ty).filter_map(|it| if let Type::Dspy(own) = it { Some(own) } else { None });
    own.next().filter(|_| !value.is_null())
}

/// A value of a class.
enum Typed<'a> {
    Model(&'a str, &'a Model, &'a Map<String, Value>),
    Member(&'a str, &'a str),
}

fn typed<'a>(ty: &'a Type, value: &'a Value, definitions: &'a Definitions) -> Option<Typed<'a>> {
    if let Some((class, name)) = member(ty, value, definitions) {
        return Some(Typed::Member(class, name));
    }
    let (class, model) = model(ty, definitions)?;
    Some(Typed::Model(class, model, value.as_object()?))
}

/// The model that a type is or may be.
pub(super) fn model<'a>(
    ty: &'a Type,
    definitions: &'a Definitions,
) -> Option<(&'a str, &'a Model)> {
    members(ty).find_map(|it| definitions.model(it))
}

/// The class and the name of the member that a value is.
fn member<'a>(
    ty: &'a Type,
    value: &Value,
    definitions: &'a Definitions,
) -> Option<(&'a str, &'a str)> {
    let mut enums = members(ty).filter_map(|it| definitions.members(it));
    enums.find_map(|(class, members)| {
        let found = members.iter().find(|it| it.value == *value)?;
        Some((class, found.name.as_str()))
    })
}

/// The types that a union is of; of any other type, it.
fn members(ty: &Type) -> std::slice::Iter<'_, Type> {
    if let Type::Union(args) = ty { args.iter() } else { std::slice::from_ref(ty).iter() }
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
    fields.collect::<Vec<_>>().join(between)
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

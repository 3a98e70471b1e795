//! One field of a signature: `recipient`, `recipient: str`, `recipient: {type: str, desc: …}`.

use dspy::{Definitions, Field, Fields, Signature, Type};
use serde_json::Value;

use super::{
    annotation, bounds, python_name,
    spot::{Named, Spot, Table},
};
use crate::LoadError;

/// The most fields of one side of a signature.
const FIELDS_MAX: usize = 100;

const KEYS: [&str; 7] = ["name", "type", "desc", "description", "default", "prefix", "json_schema"];

const A_FIELD: &str = "a field";

/// The fields of one side: a mapping of names to types, or a list.
pub(super) fn read_all(spot: &Spot<'_>, types: &Definitions) -> Result<Vec<Field>, LoadError> {
    let fields: Vec<(Field, Named<'_>)> = if spot.is_list() {
        let items = spot.list(FIELDS_MAX)?;
        items.iter().map(|it| item(it, types)).collect::<Result<_, _>>()?
    } else {
        let names = spot.names()?;
        names
            .into_iter()
            .map(|it| Ok((named(&it, types)?, it)))
            .collect::<Result<_, LoadError>>()?
    };
    if fields.is_empty() || fields.len() > FIELDS_MAX {
        let problem = format!("has {} fields, but must have 1 to {FIELDS_MAX}", fields.len());
        return Err(spot.fail(problem, "write `[name, …]` or a line `name: type` for each"));
    }
    for (i, (field, named)) in fields.iter().enumerate() {
        if fields[..i].iter().any(|(other, _)| other.name == field.name) {
            let problem = format!("the field `{}` is there twice", field.name);
            return Err(named.fail(problem, "keep one of them"));
        }
    }
    Ok(fields.into_iter().map(|(field, _)| field).collect())
}

/// Checks that a value is of a field's type.
pub(super) fn check(
    field: &Field,
    value: Value,
    spot: &Spot<'_>,
    types: &Definitions,
) -> Result<Value, LoadError> {
    // Without a type it is text where the author writes it, lest `yes` become true.
    let bare = Field { default: None, untyped: false, ..field.clone() };
    let mut signature = Signature::new("", "-", vec![bare], Vec::new());
    signature.types = types.clone();
    let mut inputs = Fields::new();
    inputs.insert(field.name.clone(), value.clone());
    match signature.check_inputs(&inputs) {
        Ok(()) => Ok(value),
        Err(error) => {
            let problem = error.mistyped.first().map(|it| it.message.clone());
            let is_text = field.ty == Type::Str;
            let change = "write a value of that type, or change the `type`";
            let fix = if is_text { "put it in quotes" } else { change };
            Err(spot.fail(problem.unwrap_or_else(|| error.to_string()), fix))
        }
    }
}

/// An item of a list: a name, `name: type`, or a mapping with `name`.
fn item<'a>(spot: &Spot<'a>, types: &Definitions) -> Result<(Field, Named<'a>), LoadError> {
    if !spot.is_table() {
        let here = Named::of(spot.text()?, spot.clone());
        return Ok((untyped(python_name::read(&here, A_FIELD)?), here));
    }
    let names = spot.names()?;
    match names.as_slice() {
        [one] if one.name != "name" => Ok((named(one, types)?, one.clone())),
        _ => {
            let table = spot.table(&[&KEYS[..], &bounds::KEYS].concat())?;
            let fix = "write the field's `name`, or `name: type`";
            let word = table.need("name", fix)?;
            let here = Named::of(word.text()?, word);
            Ok((detailed(python_name::read(&here, A_FIELD)?, &table, types)?, here))
        }
    }
}

/// An entry of a mapping: the name, and a type or the details.
fn named(named: &Named<'_>, types: &Definitions) -> Result<Field, LoadError> {
    let name = python_name::read(named, A_FIELD)?;
    if named.spot.is_null() {
        return Ok(untyped(name));
    }
    if named.spot.is_table() {
        return detailed(name, &named.spot.table(&[&KEYS[1..], &bounds::KEYS].concat())?, types);
    }
    Ok(Field::new(name, annotation::read(&named.spot, types)?))
}

/// A field without a type: text, of which DSPy takes anything for a value.
fn untyped(name: String) -> Field {
    Field { untyped: true, ..Field::new(name, Type::Str) }
}

fn detailed(name: String, table: &Table<'_>, types: &Definitions) -> Result<Field, LoadError> {
    let ty = table.get("type").map(|it| annotation::read(&it, types)).transpose()?;
    let mut field = match ty {
        Some(ty) => Field::new(name, ty),
        None => untyped(name),
    };
    field.desc = table.one_of(&["desc", "description"])?.map(|it| it.prose()).transpose()?;
    field.prefix = table.get("prefix").map(|it| it.prose()).transpose()?;
    field.constraints = bounds::in_words(&bounds::read(table)?);
    field.json_schema = table.get("json_schema").map(|it| schema(&it)).transpose()?;
    if let Some(default) = table.get_or_null("default") {
        field.default = Some(check(&field, default.json(), &default, types)?);
    }
    Ok(field)
}

/// A JSON Schema that is shown as it is.
pub(super) fn schema(spot: &Spot<'_>) -> Result<Value, LoadError> {
    spot.names().map(|_| spot.json())
}

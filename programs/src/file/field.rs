//! One field of a signature: `recipient`, `recipient: str`, `recipient: {type: str, desc: …}`.

use dspy::{Field, Fields, Signature, Type};
use serde_json::Value;

use super::{
    nearest::nearest,
    spot::{Named, Spot, Table},
};
use crate::LoadError;

/// The most fields of one side of a signature.
const FIELDS_MAX: usize = 100;
/// The longest name of a field.
const NAME_CHARS_MAX: usize = 128;

const KEYS: [&str; 14] = [
    "name",
    "type",
    "desc",
    "description",
    "default",
    "prefix",
    "gt",
    "ge",
    "lt",
    "le",
    "min_length",
    "max_length",
    "multiple_of",
    "allow_inf_nan",
];

/// DSPy's words for bounds, in its order.
const BOUNDS: [(&str, &str); 8] = [
    ("gt", "greater than: "),
    ("ge", "greater than or equal to: "),
    ("lt", "less than: "),
    ("le", "less than or equal to: "),
    ("min_length", "minimum length: "),
    ("max_length", "maximum length: "),
    ("multiple_of", "a multiple of the given number: "),
    ("allow_inf_nan", "allow 'inf', '-inf', 'nan' values: "),
];

/// What other languages call Python's types.
const FOREIGN: [(&str, &str); 11] = [
    ("string", "str"),
    ("text", "str"),
    ("integer", "int"),
    ("number", "float"),
    ("double", "float"),
    ("boolean", "bool"),
    ("array", "list"),
    ("object", "dict[str, Any]"),
    ("map", "dict[str, Any]"),
    ("null", "None"),
    ("enum", "Literal['a', 'b']"),
];

const TYPES: [&str; 5] = ["str", "int", "float", "bool", "list"];

const KEYWORDS: [&str; 35] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue",
    "def", "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import",
    "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while",
    "with", "yield",
];

/// The fields of one side: a mapping of names to types, or a list.
pub(super) fn read_all(spot: &Spot<'_>) -> Result<Vec<Field>, LoadError> {
    let fields: Vec<(Field, Named<'_>)> = if spot.is_list() {
        let items = spot.list(FIELDS_MAX)?;
        items.iter().map(item).collect::<Result<_, _>>()?
    } else {
        let names = spot.names()?;
        names.into_iter().map(|it| Ok((named(&it)?, it))).collect::<Result<_, LoadError>>()?
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
pub(super) fn check(field: &Field, value: Value, spot: &Spot<'_>) -> Result<Value, LoadError> {
    let bare = Field { default: None, ..field.clone() };
    let signature = Signature::new("", "-", vec![bare], Vec::new());
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
fn item<'a>(spot: &Spot<'a>) -> Result<(Field, Named<'a>), LoadError> {
    if !spot.is_table() {
        let here = Named::of(spot.text()?, spot.clone());
        return Ok((Field::new(name(&here)?, Type::Str), here));
    }
    let names = spot.names()?;
    match names.as_slice() {
        [one] if one.name != "name" => Ok((named(one)?, one.clone())),
        _ => {
            let table = spot.table(&KEYS)?;
            let fix = "write the field's `name`, or `name: type`";
            let word = table.need("name", fix)?;
            let here = Named::of(word.text()?, word);
            Ok((detailed(name(&here)?, &table)?, here))
        }
    }
}

/// An entry of a mapping: the name, and a type or the details.
fn named(named: &Named<'_>) -> Result<Field, LoadError> {
    let name = name(named)?;
    if named.spot.is_null() {
        return Ok(Field::new(name, Type::Str));
    }
    if named.spot.is_table() {
        return detailed(name, &named.spot.table(&KEYS[1..])?);
    }
    Ok(Field::new(name, ty(&named.spot)?))
}

fn detailed(name: String, table: &Table<'_>) -> Result<Field, LoadError> {
    let ty = table.get("type").map(|it| ty(&it)).transpose()?.unwrap_or(Type::Str);
    let text = |spot: Option<Spot<'_>>| -> Result<Option<String>, LoadError> {
        spot.map(|it| it.text().map(|it| it.trim().to_owned())).transpose()
    };
    let mut field = Field::new(name, ty);
    field.desc = text(table.one_of(&["desc", "description"])?)?;
    field.prefix = text(table.get("prefix"))?;
    field.constraints = constraints(table)?;
    if let Some(default) = table.get_or_null("default") {
        field.default = Some(check(&field, default.json(), &default)?);
    }
    Ok(field)
}

fn constraints(table: &Table<'_>) -> Result<Option<String>, LoadError> {
    let mut all = Vec::new();
    for (key, words) in BOUNDS {
        let Some(spot) = table.get(key) else { continue };
        let value = match key {
            "allow_inf_nan" => if spot.bool()? { "True" } else { "False" }.to_owned(),
            "min_length" | "max_length" => spot.count(0, u64::MAX)?.to_string(),
            _ => {
                spot.number(f64::MIN, f64::MAX)?;
                spot.json().to_string()
            }
        };
        all.push(format!("{words}{value}"));
    }
    Ok((!all.is_empty()).then(|| all.join(", ")))
}

fn ty(spot: &Spot<'_>) -> Result<Type, LoadError> {
    let annotation = spot.text()?;
    Type::parse(annotation).map_err(|e| {
        let bare = annotation.trim();
        let word = bare.to_lowercase();
        let foreign = FOREIGN.iter().find(|(name, _)| *name == word).map(|(_, ty)| *ty);
        if let Some(near) = foreign.or_else(|| nearest(bare, &TYPES).filter(|it| *it != bare)) {
            let (problem, fix) =
                (format!("`{bare}` is no type"), format!("did you mean `{near}`?"));
            return spot.fail(problem, fix);
        }
        let fix = if bare.starts_with("Literal") {
            "write it as \"Literal['a', 'b']\""
        } else {
            "write one of those, or a Python program with `source: {type: local, path: …}`, which \
             the python runtime runs"
        };
        spot.fail(e.to_string(), fix)
    })
}

/// A name that Python takes as a field's.
fn name(named: &Named<'_>) -> Result<String, LoadError> {
    let name = named.name;
    let shape = name.starts_with(char::is_alphabetic)
        && name.chars().all(|c| c.is_alphanumeric() || c == '_')
        && name.chars().count() <= NAME_CHARS_MAX;
    if shape && !KEYWORDS.contains(&name) {
        return Ok(name.to_owned());
    }
    let fix = "use letters, digits and `_`, a letter first, and no word of Python's own";
    Err(named.fail(format!("`{name}` is no name for a field"), fix))
}

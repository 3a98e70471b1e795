//! The program's own types: `types`, enums and models by name.

use dspy::{Definition, Definitions, Enum, Extra, Field, Model, ModelField, Type};

use super::{
    annotation, bounds, enumeration, field,
    nearest::nearest,
    python_name,
    spot::{Named, Spot, Table},
};
use crate::LoadError;

/// The most types of a file.
const TYPES_MAX: usize = 200;
/// The most fields of a model, and members of an enum.
pub(super) const PARTS_MAX: usize = 500;

const KEYS: [&str; 8] =
    ["enum", "base", "fields", "extra", "populate_by_name", "description", "desc", "json_schema"];
const MODEL_KEYS: [&str; 6] =
    ["fields", "extra", "populate_by_name", "description", "desc", "json_schema"];

const FIELD_KEYS: [&str; 5] = ["type", "alias", "default", "desc", "description"];

const EXTRAS: [(&str, Extra); 3] =
    [("ignore", Extra::Ignore), ("forbid", Extra::Forbid), ("allow", Extra::Allow)];

/// A default, to be checked once all types are known.
type Default<'a> = (Type, Spot<'a>);

/// The types of a file.
pub(super) fn read_all(file: &Table<'_>) -> Result<Definitions, LoadError> {
    let Some(spot) = file.get("types") else { return Ok(Definitions::default()) };
    let names = spot.names()?;
    if names.len() > TYPES_MAX {
        let problem = format!("has {} types, but may have {TYPES_MAX}", names.len());
        return Err(spot.fail(problem, "remove some"));
    }
    let mut types = Definitions::default();
    for named in &names {
        // Its name is known before what it is: models may hold each other.
        types.0.insert(name(named)?, Definition::Enum(Enum::default()));
    }
    let mut defaults = Vec::new();
    let mut read = Definitions::default();
    for named in &names {
        read.0.insert(named.name.to_owned(), definition(named, &types, &mut defaults)?);
    }
    for (ty, spot) in defaults {
        field::check(&Field::new("default", ty), spot.json(), &spot, &read)?;
    }
    match names.iter().find(|it| !is_finite(it.name, &read)) {
        None => Ok(read),
        Some(endless) => {
            let fix = "make the field that leads back to it `Optional[…]`, or a list";
            Err(endless.fail("can never have a value: it needs another of itself", fix))
        }
    }
}

fn name(named: &Named<'_>) -> Result<String, LoadError> {
    let name = python_name::read(named, "a type")?;
    if Type::parse(&name).is_ok() {
        let problem = format!("`{name}` is a type of Python's or DSPy's own");
        return Err(named.fail(problem, "give it another name"));
    }
    Ok(name)
}

fn definition<'a>(
    named: &Named<'a>,
    types: &Definitions,
    defaults: &mut Vec<Default<'a>>,
) -> Result<Definition, LoadError> {
    if named.spot.is_list() {
        return enumeration::listed(&named.spot).map(Definition::Enum);
    }
    if !named.spot.is_table() {
        let fix = "write `{fields: {name: type}}` or `{enum: [a, b]}`; an annotation needs no name";
        return Err(named.spot.fail("is neither a model nor an enum", fix));
    }
    let table = named.spot.table(&KEYS)?;
    if table.get("enum").is_none() {
        return model(&named.spot.table(&MODEL_KEYS)?, types, defaults).map(Definition::Model);
    }
    enumeration::read(&named.spot.table(&enumeration::KEYS)?).map(Definition::Enum)
}

fn model<'a>(
    table: &Table<'a>,
    types: &Definitions,
    defaults: &mut Vec<Default<'a>>,
) -> Result<Model, LoadError> {
    let spot = table.need("fields", "write `fields: {name: type}`, or `enum: [a, b]`")?;
    let names = spot.names()?;
    if names.is_empty() || names.len() > PARTS_MAX {
        let problem = format!("has {} fields, but must have 1 to {PARTS_MAX}", names.len());
        return Err(spot.fail(problem, "write a line `name: type` for each"));
    }
    let mut fields: Vec<ModelField> = Vec::new();
    for named in &names {
        let field = model_field(named, types, defaults)?;
        let json_name = |it: &ModelField| it.alias.clone().unwrap_or_else(|| it.name.clone());
        if fields.iter().any(|it| json_name(it) == json_name(&field)) {
            let problem = format!("`{}` is another field's name or alias", json_name(&field));
            return Err(named.fail(problem, "give one of them another"));
        }
        fields.push(field);
    }
    let extra = table.get("extra").map(|it| extra(&it)).transpose()?;
    let by_name = table.get("populate_by_name").map(|it| it.bool()).transpose()?;
    let doc = table.one_of(&["description", "desc"])?.map(|it| it.prose()).transpose()?;
    Ok(Model {
        fields,
        extra: extra.unwrap_or_default(),
        populate_by_name: by_name.unwrap_or_default(),
        doc,
        json_schema: table.get("json_schema").map(|it| field::schema(&it)).transpose()?,
    })
}

fn model_field<'a>(
    named: &Named<'a>,
    types: &Definitions,
    defaults: &mut Vec<Default<'a>>,
) -> Result<ModelField, LoadError> {
    let name = python_name::read(named, "a field")?;
    let plain = |ty| ModelField {
        name: name.clone(),
        alias: None,
        ty,
        desc: None,
        default: None,
        bounds: serde_json::Map::new(),
    };
    if !named.spot.is_table() {
        let bare = named.spot.is_null();
        let ty = if bare { Type::Str } else { annotation::read(&named.spot, types)? };
        return Ok(plain(ty));
    }
    let table = named.spot.table(&[&FIELD_KEYS[..], &bounds::KEYS].concat())?;
    let ty = table.get("type").map(|it| annotation::read(&it, types)).transpose()?;
    let mut field = plain(ty.unwrap_or(Type::Str));
    bounds::check(&table, &field.ty)?;
    field.bounds = bounds::read(&table)?;
    field.alias = table.get("alias").map(|it| it.text().map(str::to_owned)).transpose()?;
    field.desc = table.one_of(&["desc", "description"])?.map(|it| it.prose()).transpose()?;
    if let Some(spot) = table.get_or_null("default") {
        field.default = Some(spot.json());
        defaults.push((field.ty.clone(), spot));
    }
    Ok(field)
}

fn extra(spot: &Spot<'_>) -> Result<Extra, LoadError> {
    let word = spot.text()?;
    let names = EXTRAS.map(|(name, _)| name);
    let found = EXTRAS.iter().find(|(name, _)| *name == word).map(|(_, extra)| *extra);
    found.ok_or_else(|| {
        let near = nearest(word, &names).map(|it| format!("did you mean `{it}`?"));
        let fix = near.unwrap_or_else(|| "write `ignore`, `forbid` or `allow`".to_owned());
        spot.fail(format!("`{word}` is none of pydantic's ways with other fields"), fix)
    })
}

/// Whether a type can have a value at all: a model that must hold another of itself can not.
fn is_finite(name: &str, types: &Definitions) -> bool {
    let mut finite: Vec<&str> = Vec::new();
    loop {
        let before = finite.len();
        for (name, definition) in &types.0 {
            if !finite.contains(&name.as_str()) && has_value(definition, &finite) {
                finite.push(name);
            }
        }
        if finite.contains(&name) || finite.len() == before {
            return finite.contains(&name);
        }
    }
}

fn has_value(definition: &Definition, finite: &[&str]) -> bool {
    match definition {
        Definition::Enum(_) => true,
        Definition::Model(model) => {
            model.fields.iter().all(|it| it.default.is_some() || is_reached(&it.ty, finite))
        }
    }
}

/// Whether a type has a value made of types that have one.
fn is_reached(ty: &Type, finite: &[&str]) -> bool {
    let reached = |it: &Type| is_reached(it, finite);
    if let Type::Named(name) = ty {
        finite.contains(&name.as_str())
    } else if let Type::Union(args) = ty {
        args.iter().any(reached)
    } else if let Type::Tuple(items) = ty {
        items.iter().all(reached)
    } else {
        true
    }
}

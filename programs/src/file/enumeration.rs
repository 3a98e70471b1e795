//! An enum of the program's own: its members, and what they are besides.

use dspy::{Enum, EnumBase, EnumMember};
use serde_json::Value;

use super::{
    definition::PARTS_MAX,
    nearest::nearest,
    python_name,
    spot::{Spot, Table},
};
use crate::LoadError;

/// The keys of an enum.
pub(super) const KEYS: [&str; 4] = ["enum", "base", "description", "desc"];

/// The classes that an enum may have beside `Enum`, and what their values are.
const BASES: [(&str, EnumBase, &str); 5] = [
    ("str", EnumBase::Str, "a text"),
    ("int", EnumBase::Int, "an integer"),
    ("float", EnumBase::Float, "a number"),
    ("StrEnum", EnumBase::StrEnum, "a text"),
    ("IntEnum", EnumBase::IntEnum, "an integer"),
];

/// The enum of a table with `enum`.
pub(super) fn read(table: &Table<'_>) -> Result<Enum, LoadError> {
    let spot = table.need("enum", "write `[a, b]`, or a line `NAME: value` for each")?;
    let base = table.get("base").map(|it| base(&it)).transpose()?.unwrap_or_default();
    let doc = table.one_of(&["description", "desc"])?.map(|it| it.prose()).transpose()?;
    Ok(Enum { base, members: members(&spot, base)?, doc })
}

/// The enum of a list of values.
pub(super) fn listed(spot: &Spot<'_>) -> Result<Enum, LoadError> {
    Ok(Enum { members: members(spot, EnumBase::None)?, ..Enum::default() })
}

fn base(spot: &Spot<'_>) -> Result<EnumBase, LoadError> {
    let word = spot.text()?;
    let found = BASES.iter().find(|(name, ..)| *name == word).map(|(_, base, _)| *base);
    found.ok_or_else(|| {
        let near = nearest(word, &BASES.map(|(name, ..)| name));
        let fix = near.map(|it| format!("did you mean `{it}`?"));
        let fix = fix.unwrap_or_else(|| {
            "write `str`, `int`, `float`, `StrEnum` or `IntEnum`, or leave it out".to_owned()
        });
        spot.fail(format!("`{word}` is no class of which an enum may be besides"), fix)
    })
}

/// The members of an enum: values by name, or values that are their own names.
fn members(spot: &Spot<'_>, base: EnumBase) -> Result<Vec<EnumMember>, LoadError> {
    let mut members: Vec<EnumMember> = Vec::new();
    let mut put = |name: String, spot: &Spot<'_>| {
        let value = value(spot, base)?;
        if let Some(twin) = members.iter().find(|it| it.value == value) {
            let problem = format!("has the value of the member `{}`", twin.name);
            return Err(spot.fail(problem, "keep one of them"));
        }
        members.push(EnumMember { name, value });
        Ok(())
    };
    if spot.is_list() {
        for item in spot.list(PARTS_MAX)? {
            put(item.word()?.to_owned(), &item)?;
        }
    } else {
        for named in spot.names()? {
            put(python_name::read(&named, "a member")?, &named.spot)?;
        }
    }
    if members.is_empty() {
        return Err(spot.fail("has no members", "write `[a, b]`, or a line `NAME: value` for each"));
    }
    Ok(members)
}

/// A member's value, as its base holds it.
fn value(spot: &Spot<'_>, base: EnumBase) -> Result<Value, LoadError> {
    if spot.is_list() || spot.is_table() || spot.is_null() {
        return Err(
            spot.fail("a member's value must be a text, a number, true or false", "write one")
        );
    }
    let value = spot.json();
    let held = match base {
        EnumBase::None => Some(value),
        EnumBase::Str | EnumBase::StrEnum => Some(value).filter(Value::is_string),
        EnumBase::Int | EnumBase::IntEnum => Some(value).filter(Value::is_i64),
        EnumBase::Float => value.as_f64().map(Value::from),
    };
    let named = BASES.iter().find(|(_, its, _)| *its == base);
    let (name, _, what) = named.copied().unwrap_or_default();
    held.ok_or_else(|| {
        spot.fail(format!("is no value of an enum of `{name}`"), format!("write {what}"))
    })
}

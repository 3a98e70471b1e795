//! Bounds of a field: shown to the model where a signature has them, enforced where a model has.

use dspy::{Fields, Type};

use super::spot::{Spot, Table};
use crate::LoadError;

/// The keys of bounds.
pub(super) const KEYS: [&str; 8] =
    ["gt", "ge", "lt", "le", "min_length", "max_length", "multiple_of", "allow_inf_nan"];

/// DSPy's words for them, in its order.
const WORDS: [&str; 8] = [
    "greater than: ",
    "greater than or equal to: ",
    "less than: ",
    "less than or equal to: ",
    "minimum length: ",
    "maximum length: ",
    "a multiple of the given number: ",
    "allow 'inf', '-inf', 'nan' values: ",
];

/// The bounds of a field, by pydantic's names.
pub(super) fn read(table: &Table<'_>) -> Result<Fields, LoadError> {
    let mut bounds = Fields::new();
    for key in KEYS {
        let Some(spot) = table.get(key) else { continue };
        match key {
            "allow_inf_nan" => spot.bool().map(drop)?,
            "min_length" | "max_length" => spot.count(0, u64::MAX).map(drop)?,
            "multiple_of" if spot.number(f64::MIN, f64::MAX)? <= 0.0 => {
                return Err(spot.fail("must be more than 0", "write another number"));
            }
            _ => spot.number(f64::MIN, f64::MAX).map(drop)?,
        }
        bounds.insert(key.to_owned(), spot.json());
    }
    Ok(bounds)
}

/// The bounds as the model reads them.
pub(super) fn in_words(bounds: &Fields) -> Option<String> {
    let said = KEYS.iter().zip(WORDS).filter_map(|(key, words)| {
        let bound = bounds.get(*key)?;
        let truth = bound.as_bool().map(|it| if it { "True" } else { "False" }.to_owned());
        let value = truth.unwrap_or_else(|| bound.to_string());
        Some(format!("{words}{value}"))
    });
    let all: Vec<String> = said.collect();
    (!all.is_empty()).then(|| all.join(", "))
}

/// Refuses bounds that pydantic has no meaning for with this type.
pub(super) fn check(table: &Table<'_>, ty: &Type) -> Result<(), LoadError> {
    let (numbers, lengths, floats) = kind(ty);
    for key in KEYS {
        let Some(spot) = table.get(key) else { continue };
        let fits = match key {
            "min_length" | "max_length" => lengths,
            "allow_inf_nan" => floats,
            _ => numbers,
        };
        if !fits {
            return Err(misplaced(&spot, key, ty));
        }
    }
    Ok(())
}

/// Whether a type has numbers, lengths, floats.
fn kind(ty: &Type) -> (bool, bool, bool) {
    if let Type::Union(args) = ty {
        let others: Vec<&Type> = args.iter().filter(|it| **it != Type::None).collect();
        return if let [only] = others.as_slice() { kind(only) } else { (false, false, false) };
    }
    let is_float = matches!(ty, Type::Float);
    let is_sized = matches!(
        ty,
        Type::Str
            | Type::List(_)
            | Type::BareList
            | Type::Dict(..)
            | Type::BareDict
            | Type::TupleOf(_)
            | Type::Set(_)
    );
    (is_float || matches!(ty, Type::Int), is_sized, is_float)
}

fn misplaced(spot: &Spot<'_>, key: &str, ty: &Type) -> LoadError {
    let fix = match key {
        "min_length" | "max_length" => "it is for texts, lists, sets and dictionaries; remove it",
        "allow_inf_nan" => "it is for `float`; remove it",
        _ => "it is for `int` and `float`; remove it",
    };
    spot.fail(format!("means nothing for `{ty}`"), fix)
}

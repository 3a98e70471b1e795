//! Examples for the model: `{input: {…}, output: {…}}`, or all fields side by side.

use dspy::{Definitions, Demo, Field, Fields, Signature};
use serde_json::Value;

use super::{field, nearest::nearest, spot::Spot};
use crate::LoadError;

/// The most examples of a signature.
const DEMOS_MAX: usize = 256;

const SIDES: [&str; 4] = ["input", "inputs", "output", "outputs"];

/// The examples of a signature, which has all fields that its module adds.
pub(super) fn read_all(spot: &Spot<'_>, signature: &Signature) -> Result<Vec<Demo>, LoadError> {
    let items = spot.list(DEMOS_MAX)?;
    items.iter().map(|it| read(it, signature)).collect()
}

fn read(spot: &Spot<'_>, signature: &Signature) -> Result<Demo, LoadError> {
    let Signature { inputs, outputs, types, .. } = signature;
    let names = spot.names()?;
    let is_split = names.iter().all(|it| SIDES.contains(&it.name) && it.spot.is_table());
    let values = if is_split {
        let table = spot.table(&SIDES)?;
        let mut values = Fields::new();
        for (keys, fields) in [(&SIDES[..2], inputs), (&SIDES[2..], outputs)] {
            if let Some(side) = table.one_of(keys)? {
                values.extend(side_of(&side, fields, types)?);
            }
        }
        values
    } else {
        side_of(spot, &[&inputs[..], outputs].concat(), types)?
    };
    let has = |fields: &[Field]| fields.iter().any(|it| values.contains_key(&it.name));
    if has(inputs) && has(outputs) {
        return Ok(Demo(values));
    }
    // DSPy leaves such an example out and says nothing.
    let fix = "give it both, or remove it";
    Err(spot.fail("an example needs at least one input and one output", fix))
}

fn side_of(spot: &Spot<'_>, fields: &[Field], types: &Definitions) -> Result<Fields, LoadError> {
    let mut values = Fields::new();
    for named in spot.names()? {
        let Some(field) = fields.iter().find(|it| it.name == named.name) else {
            let known: Vec<&str> = fields.iter().map(|it| it.name.as_str()).collect();
            let fix = match nearest(named.name, &known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the fields here are {}", known.join(", ")),
            };
            return Err(named.fail("is no field of this signature", fix));
        };
        // DSPy shows what is null as `None`, whatever the type; what is not there, as not supplied.
        let value = if named.spot.is_null() {
            Value::Null
        } else {
            field::check(field, named.spot.json(), &named.spot, types)?
        };
        values.insert(field.name.clone(), value);
    }
    Ok(values)
}

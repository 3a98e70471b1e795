//! Chains: signatures that run one after another. Read, so that their mistakes are told; the
//! native engine does not run them yet.

use super::{
    nearest::nearest,
    spot::{Spot, Table},
};
use crate::LoadError;

/// The most steps of a chain.
const STEPS_MAX: usize = 100;
/// The most turns of a chain.
const TURNS_MAX: u64 = 1_000;

const KEYS: [&str; 6] =
    ["description", "steps", "until", "max_iterations", "input_signature", "output_signature"];

/// The chain of a file, where it has one, or its first.
pub(super) fn read<'a>(
    file: &Table<'a>,
    signatures: &[String],
) -> Result<Option<Spot<'a>>, LoadError> {
    if let Some(spot) = file.get("steps") {
        check_steps(&spot, signatures)?;
        return Ok(Some(spot));
    }
    let Some(chains) = file.get("chains") else { return Ok(None) };
    let names = chains.names()?;
    for named in &names {
        check(&named.spot, signatures)?;
    }
    Ok(names.into_iter().next().map(|it| it.spot))
}

fn check(spot: &Spot<'_>, signatures: &[String]) -> Result<(), LoadError> {
    if spot.is_list() {
        return check_steps(spot, signatures);
    }
    let table = spot.table(&KEYS)?;
    check_steps(&table.need("steps", "name the signatures it runs, in order")?, signatures)?;
    for key in ["input_signature", "output_signature"] {
        table.get(key).map(|it| check_name(&it, signatures)).transpose()?;
    }
    table.get("until").map(|it| it.text()).transpose()?;
    table.get("max_iterations").map(|it| it.count(1, TURNS_MAX)).transpose()?;
    Ok(())
}

fn check_steps(spot: &Spot<'_>, signatures: &[String]) -> Result<(), LoadError> {
    let steps = spot.list(STEPS_MAX)?;
    steps.iter().try_for_each(|it| check_name(it, signatures))
}

fn check_name(spot: &Spot<'_>, signatures: &[String]) -> Result<(), LoadError> {
    let word = spot.text()?;
    let known: Vec<&str> = signatures.iter().map(String::as_str).collect();
    if known.contains(&word) {
        return Ok(());
    }
    let fix = match nearest(word, &known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the signatures are {}", known.join(", ")),
    };
    Err(spot.fail(format!("`{word}` is no signature of this program"), fix))
}

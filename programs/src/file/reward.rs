//! What an attempt is worth: `reward: {expression: …}`, `{regex: …}`, or `{judge: …}`.

use dspy::{Module, Reward, Signature};

use super::{
    module::Parts,
    nearest::unknown,
    signature,
    spot::{Spot, Table},
};
use crate::LoadError;

const KINDS: [&str; 4] = ["expression", "regex", "judge", "field"];

const WRITE: &str = "write `{expression: \"score >= 8\"}`, `{regex: {field: answer, pattern: …}}` \
                     or `{judge: signature, field: score}`";

/// The reward of a module.
pub(super) fn read(
    table: &Table<'_>,
    module: &Module,
    parts: &Parts<'_>,
) -> Result<Reward, LoadError> {
    let spot = table.need("reward", WRITE)?;
    let reward = if spot.is_table() { of_table(&spot, parts)? } else { expression(&spot)? };
    let judged: Signature = module.signature();
    reward.check(&judged).map_err(|problem| spot.fail(problem, "name its inputs and outputs"))?;
    Ok(reward)
}

fn of_table(spot: &Spot<'_>, parts: &Parts<'_>) -> Result<Reward, LoadError> {
    let table = spot.table(&KINDS)?;
    let one = |keys: &[&str]| spot.table(keys).map(drop);
    if let Some(it) = table.get("expression") {
        one(&["expression"])?;
        return expression(&it);
    }
    if let Some(it) = table.get("regex") {
        one(&["regex"])?;
        return regex(&it);
    }
    let judge = table.need("judge", WRITE)?;
    let field = table.need("field", "name the output of the judge that is the reward")?;
    let (judge, field) = (self::judge(&judge, parts)?, field.text()?.to_owned());
    Ok(Reward::Judge { judge, field })
}

fn expression(spot: &Spot<'_>) -> Result<Reward, LoadError> {
    let fix = "write it as Python does, over the fields' names: `score >= 8 and len(answer) < 99`";
    let parsed = spot.text()?.parse();
    parsed.map(Reward::Expression).map_err(|e: dspy::ExpressionError| spot.fail(e.to_string(), fix))
}

fn regex(spot: &Spot<'_>) -> Result<Reward, LoadError> {
    let table = spot.table(&["field", "pattern"])?;
    let field = table.need("field", "name the field that is searched")?.text()?.to_owned();
    let spot = table.need("pattern", "write what is searched for")?;
    let pattern = spot.text()?.parse();
    let pattern = pattern.map_err(|e: dspy::PatternError| {
        // Its last line says what is wrong; those before draw where.
        let told = e.to_string();
        let told = told.lines().last().unwrap_or(&told).trim_start_matches("error: ").to_owned();
        spot.fail(told, "write a pattern as Python's `re` reads it")
    })?;
    Ok(Reward::Regex { field, pattern })
}

/// The predictor of another signature of the file.
fn judge(spot: &Spot<'_>, parts: &Parts<'_>) -> Result<Box<dspy::Predictor>, LoadError> {
    let word = spot.text()?;
    let names: Vec<&str> = parts.shared.names.iter().map(|it| it.name).collect();
    let Some(named) = parts.shared.names.iter().find(|it| it.name == word) else {
        return Err(unknown(spot, "signature", word, &names));
    };
    if !signature::is_plain(named) {
        let fix = "write `module: predict` or `module: chain_of_thought` there";
        return Err(spot.fail(format!("`{word}` is more than a question, and judges nobody"), fix));
    }
    let Module::Predict(predictor) = signature::read(named, parts.shared)?.module else {
        return Err(spot.fail(format!("`{word}` judges nobody"), WRITE));
    };
    Ok(predictor)
}

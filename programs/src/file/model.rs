//! The language model of a file: `lm`, or `model_config` as files of the seed's time write it.

use dspy::{Fields, LmEndpoint, LmSettings};
use serde_json::Value;

use super::{
    hint,
    spot::{Spot, Table},
};
use crate::{LmConfig, LoadError, lm};

const KEYS: [&str; 13] = [
    "model",
    "model_name",
    "temperature",
    "max_tokens",
    "top_p",
    "stop",
    "seed",
    "n",
    "rollout_id",
    "api_base",
    "api_key_env",
    "fallbacks",
    "extra",
];

const TEMPERATURE_MAX: f64 = 10.0;
const TOKENS_MAX: u64 = 100_000_000;

/// What a signature's own `lm` may not say.
const ENDPOINT: [&str; 3] = ["api_base", "api_key_env", "fallbacks"];

/// The settings of a signature, over those of its program.
pub(super) fn of_signature(table: &Table<'_>) -> Result<LmSettings, LoadError> {
    table.get("lm").map_or_else(|| Ok(LmSettings::default()), |it| of_spot(&it))
}

/// A model beside the program's own, which may be asked elsewhere.
pub(super) fn of_second(spot: &Spot<'_>) -> Result<LmSettings, LoadError> {
    if !spot.is_table() && !spot.is_list() {
        return of_spot(spot);
    }
    let table = spot.table(&KEYS)?;
    if let Some(spot) = table.get("fallbacks") {
        let fix = "write them into the `lm` at the top, which all models share";
        return Err(spot.fail("belongs to the program, not to a second model", fix));
    }
    let endpoint = Some(endpoint(&table)?).filter(|it| *it != LmEndpoint::default());
    Ok(LmSettings { endpoint: endpoint.map(Box::new), ..settings(&table)? })
}

/// The settings of a model that has no endpoint of its own, or only its name.
pub(super) fn of_spot(spot: &Spot<'_>) -> Result<LmSettings, LoadError> {
    if !spot.is_table() && !spot.is_list() {
        return Ok(LmSettings { model: Some(spot.text()?.to_owned()), ..LmSettings::default() });
    }
    let table = spot.table(&KEYS)?;
    if let Some(spot) = ENDPOINT.iter().find_map(|key| table.get(key)) {
        let fix = "write it into the `lm` at the top, which all signatures share";
        return Err(spot.fail("belongs to the program, not to a signature", fix));
    }
    settings(&table)
}

/// The language model of a program.
pub(super) fn read(file: &Table<'_>) -> Result<LmConfig, LoadError> {
    let Some(spot) = file.one_of(&["lm", "model_config"])? else { return Ok(LmConfig::default()) };
    if !spot.is_table() && !spot.is_list() {
        let model = Some(spot.text()?.to_owned());
        let settings = LmSettings { model, ..LmSettings::default() };
        return Ok(LmConfig { settings, ..LmConfig::default() });
    }
    let table = spot.table(&KEYS)?;
    let fallbacks = table.get("fallbacks").map(|it| it.texts(lm::FALLBACKS_MAX)).transpose()?;
    Ok(LmConfig {
        settings: settings(&table)?,
        endpoint: endpoint(&table)?,
        fallbacks: fallbacks.unwrap_or_default(),
    })
}

/// Where a model is asked.
pub(super) fn endpoint(table: &Table<'_>) -> Result<LmEndpoint, LoadError> {
    Ok(LmEndpoint {
        api_base: table.get("api_base").map(|it| api_base(&it)).transpose()?,
        api_key_env: table.get("api_key_env").map(|it| api_key_env(&it)).transpose()?,
    })
}

fn settings(table: &Table<'_>) -> Result<LmSettings, LoadError> {
    let n = table.get("n").map(|it| it.count(1, lm::COMPLETIONS_MAX.into())).transpose()?;
    let model = table.one_of(&["model", "model_name"])?;
    let extra = table.get("extra").map(|it| extra(&it)).transpose()?;
    let settings = LmSettings {
        model: model.map(|it| it.text().map(str::to_owned)).transpose()?,
        temperature: table
            .get("temperature")
            .map(|it| it.number(0.0, TEMPERATURE_MAX))
            .transpose()?,
        max_tokens: table.get("max_tokens").map(|it| it.count(1, TOKENS_MAX)).transpose()?,
        top_p: table.get("top_p").map(|it| it.number(0.0, 1.0)).transpose()?,
        stop: table.get("stop").map(|it| stop(&it)).transpose()?,
        seed: table.get("seed").map(|it| it.whole()).transpose()?,
        n: n.and_then(|it| u32::try_from(it).ok()),
        rollout_id: table.get("rollout_id").map(|it| it.whole()).transpose()?,
        endpoint: None,
        extra: extra.unwrap_or_default(),
    };
    let fix = "a reasoning model takes the temperature 1 and at least 16000 tokens, or neither";
    settings.check().map_err(|e| table.spot().fail(e.to_string(), fix))?;
    Ok(settings)
}

fn stop(spot: &Spot<'_>) -> Result<Vec<String>, LoadError> {
    if spot.is_list() { spot.texts(lm::FALLBACKS_MAX) } else { Ok(vec![spot.text()?.to_owned()]) }
}

pub(super) fn api_base(spot: &Spot<'_>) -> Result<String, LoadError> {
    let url = spot.text()?;
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let Some(rest) = rest.filter(|it| !it.is_empty() && !it.contains(char::is_whitespace)) else {
        let fix = "write it as `https://host/v1`";
        return Err(spot.fail(format!("`{url}` is no base URL"), fix));
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    // The URL itself is not repeated: it holds a secret.
    if host.contains('@') {
        let fix = "remove what stands before the `@`, and name a variable in `lm.api_key_env`";
        return Err(spot.fail("a user or password in a URL is never read from a file", fix));
    }
    Ok(url.trim_end_matches('/').to_owned())
}

pub(super) fn api_key_env(spot: &Spot<'_>) -> Result<String, LoadError> {
    let name = spot.text()?;
    if lm::is_key_variable(name) {
        return Ok(name.to_owned());
    }
    // It is not repeated: it may be the key itself.
    let fix = "name a variable that ends in `_API_KEY` or begins with `LM_`: `OPENAI_API_KEY`";
    Err(spot.fail("this is no name of an environment variable for keys", fix))
}

fn extra(spot: &Spot<'_>) -> Result<Fields, LoadError> {
    hint::refuse_secrets(spot)?;
    for named in spot.names()? {
        if lm::RESERVED.contains(&named.name) {
            let fix = "remove it; the signature and `lm.model` decide it";
            return Err(named.fail("`extra` may not set this part of the request", fix));
        }
    }
    match spot.json() {
        Value::Object(fields) => Ok(fields),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Ok(Fields::new())
        }
    }
}

//! The model of a predictor, as DSPy saves it: its settings, never its endpoint or its key.

use dspy::{Fields, LmSettings};

use super::{hint, spot::Spot};
use crate::{LoadError, lm};

/// The class of a model that can be asked natively.
const CLASS: &str = "dspy.clients.lm.LM";

/// What DSPy itself drops when it loads a state: else a file could send keys anywhere.
const ENDPOINT: [&str; 3] = ["api_base", "base_url", "model_list"];

/// What is the business of who asks, or of training.
const NOT_HERE: [&str; 8] = [
    "cache",
    "num_retries",
    "finetuning_model",
    "launch_kwargs",
    "train_kwargs",
    "prompt_cache",
    "callbacks",
    "engine",
];

/// The settings of a saved model.
pub(super) fn read(spot: &Spot<'_>) -> Result<LmSettings, LoadError> {
    hint::refuse_secrets(spot)?;
    let mut settings = LmSettings::default();
    for named in spot.names()? {
        let (name, it) = (named.name, &named.spot);
        if it.is_null() || ENDPOINT.contains(&name) || NOT_HERE.contains(&name) {
            continue;
        }
        match name {
            "_dspy_lm_class" => need(it, CLASS)?,
            "model_type" => need(it, "chat")?,
            "model" => settings.model = Some(it.text()?.to_owned()),
            "temperature" => settings.temperature = Some(it.number(0.0, f64::MAX)?),
            "top_p" => settings.top_p = Some(it.number(0.0, 1.0)?),
            "max_tokens" | "max_completion_tokens" => {
                settings.max_tokens = Some(it.count(1, u64::MAX)?);
            }
            "seed" => settings.seed = Some(it.whole()?),
            "rollout_id" => settings.rollout_id = Some(it.whole()?),
            "n" => {
                let n = it.count(1, lm::COMPLETIONS_MAX.into())?;
                settings.n = u32::try_from(n).ok();
            }
            "stop" if it.is_list() => settings.stop = Some(it.texts(lm::FALLBACKS_MAX)?),
            "stop" => settings.stop = Some(vec![it.text()?.to_owned()]),
            "extra_body" => settings.extra.extend(object(it)?),
            name if lm::RESERVED.contains(&name) => {
                let fix = "remove it; the signature decides it";
                return Err(named.fail("a state may not set this part of a request", fix));
            }
            name => {
                settings.extra.insert(name.to_owned(), it.json());
            }
        }
    }
    Ok(settings)
}

fn need(spot: &Spot<'_>, wanted: &str) -> Result<(), LoadError> {
    let word = spot.text()?;
    if word == wanted {
        return Ok(());
    }
    let fix = "save the program with a `dspy.LM` of chat, or run it by the python runtime";
    Err(spot.fail(format!("`{word}` is not run natively, only `{wanted}` is"), fix))
}

fn object(spot: &Spot<'_>) -> Result<Fields, LoadError> {
    let pairs = spot.names()?.into_iter().map(|it| (it.name.to_owned(), it.spot.json()));
    let fields: Fields = pairs.collect();
    match fields.keys().find(|it| lm::RESERVED.contains(&it.as_str())) {
        Some(key) => Err(spot.fail(format!("may not set `{key}`"), "remove it")),
        None => Ok(fields),
    }
}

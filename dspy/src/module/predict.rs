//! `dspy.Predict`: asks once, or several times for several completions.

use std::collections::BTreeMap;

use super::{Prediction, Predictor, call::Call, warning};
use crate::{
    Error, Fields, Lm, LmSettings, Signature, Trace,
    adapter::{Format, response_format},
};

/// Below this, several completions would be one and the same.
const TEMPERATURE_OF_ONE: f64 = 0.15;
const TEMPERATURE_OF_MANY: f64 = 0.7;

/// The signature with the instructions that are shown.
pub(super) fn signature(signature: &Signature) -> Signature {
    let mut signature = signature.clone();
    if signature.instructions.is_empty() {
        signature.instructions =
            Signature::default_instructions(&signature.inputs, &signature.outputs);
    }
    signature
}

pub(super) async fn run(
    predictor: &Predictor,
    signature: &Signature,
    inputs: &Fields,
    overrides: &LmSettings,
    lm: &dyn Lm,
    trace: &mut Trace,
) -> Result<Prediction, Error> {
    let settings = settings(&predictor.settings, overrides);
    let inputs = with_defaults(signature, inputs);
    let mut prediction = Prediction {
        warnings: warning::of_inputs(signature, &inputs),
        usage: BTreeMap::new(),
        ..Prediction::default()
    };
    let mut call = Call { predictor, signature, inputs: &inputs, settings: &settings, lm, trace };
    let format = predictor.adapter.format();
    let completions = match call
        .ask(format, json_format(format, signature, &settings, lm), &mut prediction)
        .await
    {
        Err(Error::Parse(error)) => match predictor.adapter.fallback() {
            Some(fallback) => {
                let response = json_format(fallback, signature, &settings, lm);
                call.ask(fallback, response, &mut prediction).await
            }
            None => Err(Error::Parse(error)),
        },
        asked => asked,
    }?;
    finish(prediction, completions)
}

fn finish(mut prediction: Prediction, completions: Vec<Fields>) -> Result<Prediction, Error> {
    prediction.outputs = completions.first().cloned().unwrap_or_default();
    if completions.len() > 1 {
        prediction.completions = completions;
    }
    Ok(prediction)
}

/// The `response_format` of a call in this format.
pub(super) fn json_format(
    format: Format,
    signature: &Signature,
    settings: &LmSettings,
    lm: &dyn Lm,
) -> Option<serde_json::Value> {
    let model = settings.model.as_deref().unwrap_or_default();
    match format {
        Format::Chat => None,
        Format::Json => response_format(signature, lm.capabilities(model)),
    }
}

fn settings(own: &LmSettings, overrides: &LmSettings) -> LmSettings {
    let mut settings = own.overlaid(overrides);
    let is_cold = settings.temperature.is_none_or(|it| it <= TEMPERATURE_OF_ONE);
    if is_cold && settings.n.is_some_and(|n| n > 1) {
        settings.temperature = Some(TEMPERATURE_OF_MANY);
    }
    settings
}

fn with_defaults(signature: &Signature, inputs: &Fields) -> Fields {
    let mut inputs = inputs.clone();
    for field in &signature.inputs {
        if let (false, Some(default)) = (inputs.contains_key(&field.name), &field.default) {
            inputs.insert(field.name.clone(), default.clone());
        }
    }
    inputs
}

//! `dspy.Predict`: asks once, or several times for several completions.

use std::collections::BTreeMap;

use super::{Prediction, Predictor, call::Call, warning};
use crate::{Error, Fields, LmSettings, Run, Signature};

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
    run: Run<'_>,
) -> Result<Prediction, Error> {
    let settings = settings(&predictor.settings, run.overrides);
    let inputs = with_defaults(signature, inputs);
    let mut prediction = Prediction {
        warnings: warning::of_inputs(signature, &inputs),
        usage: BTreeMap::new(),
        ..Prediction::default()
    };
    let mut call = Call { predictor, signature, inputs: &inputs, settings: &settings, run };
    let asked = call.ask(predictor.adapter.format(), &mut prediction).await;
    let completions = match (asked, predictor.adapter.fallback()) {
        (Err(Error::Parse(_)), Some(fallback)) => call.ask(fallback, &mut prediction).await?,
        (asked, _) => asked?,
    };
    prediction.outputs = completions.first().cloned().unwrap_or_default();
    if completions.len() > 1 {
        prediction.completions = completions;
    }
    Ok(prediction)
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

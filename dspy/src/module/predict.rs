//! `dspy.Predict`: asks once, or several times for several completions.

use std::borrow::Cow;

use super::{Made, Notes, Predictor, call::Call, two_step, warning};
use crate::{Adapter, Error, Fields, LmSettings, Run, Signature};

/// Below this, several completions would be one and the same.
const TEMPERATURE_OF_ONE: f64 = 0.15;
const TEMPERATURE_OF_MANY: f64 = 0.7;

pub(super) async fn run(
    predictor: &Predictor,
    signature: &Signature,
    inputs: &Fields,
    run: Run<'_>,
    notes: &mut Notes,
) -> Result<Made, Error> {
    let settings = settings(predictor, run);
    // The model as it is set up; what is asked of it for this call only, its provider judges.
    predictor.lm.check_for(settings.model.as_deref())?;
    let inputs = with_defaults(signature, inputs);
    notes.warnings.extend(warning::of_inputs(signature, &inputs));
    let hinted = run.scope.advice.map(|it| it.hinted(run.scope, signature, &inputs));
    let (signature, shown) = hinted.as_ref().map_or((signature, &*inputs), |(a, b)| (a, b));
    let call = Call { predictor, signature, inputs: shown, settings: &settings, run };
    let completions = match &predictor.adapter {
        Adapter::TwoStep { extraction, .. } => two_step::ask(call, extraction, notes).await?,
        Adapter::Chat { .. }
        | Adapter::Json { .. }
        | Adapter::Xml { .. }
        | Adapter::Baml { .. } => call.ask_until_read(notes).await?,
    };
    let made = Made::first_of(completions);
    if let Some(calls) = run.scope.calls {
        calls.push(run.scope, shown, &made.outputs);
    }
    Ok(made)
}

/// The settings of the model, of this attempt, of the predictor, of the request: the last wins.
fn settings(predictor: &Predictor, run: Run<'_>) -> LmSettings {
    let lm = run.scope.attempt.map_or_else(
        || Cow::Borrowed(&predictor.lm),
        |attempt| Cow::Owned(predictor.lm.overlaid(attempt)),
    );
    let call = predictor.settings.overlaid(run.overrides);
    let mut settings = lm.overlaid(&call);
    // A temperature of zero is none to the package, which then looks at the model's own.
    let temperature = call.temperature.filter(|it| *it != 0.0).or(lm.temperature);
    let is_cold = temperature.is_none_or(|it| it <= TEMPERATURE_OF_ONE);
    if is_cold && settings.n.is_some_and(|n| n > 1) {
        settings.temperature = Some(TEMPERATURE_OF_MANY);
    }
    settings
}

fn with_defaults<'a>(signature: &Signature, inputs: &'a Fields) -> Cow<'a, Fields> {
    let mut inputs = Cow::Borrowed(inputs);
    for field in &signature.inputs {
        if let (false, Some(default)) = (inputs.contains_key(&field.name), &field.default) {
            inputs.to_mut().insert(field.name.clone(), default.clone());
        }
    }
    inputs
}

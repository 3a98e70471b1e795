//! The second step of the two-step adapter: another model takes the fields out of the text.

use super::{ModuleKind, Notes, Predictor, call::Call};
use crate::{
    Error, Fields, LmSettings, Run,
    adapter::{Format, extractor},
};

/// The fields of every completion. The settings of the second model are its own: what is laid
/// over the first one's for this run does not concern it.
pub(super) async fn ask(
    mut call: Call<'_>,
    extraction: &LmSettings,
    notes: &mut Notes,
) -> Result<Vec<Fields>, Error> {
    extraction.check()?;
    let texts = call.ask(Format::TwoStep, notes).await?;
    let signature = extractor(call.signature);
    let predictor = Predictor::new(&call.predictor.name, signature.clone(), ModuleKind::Predict);
    let run = Run { scope: call.run.scope.with_own_demos(), ..call.run };
    let mut completions = Vec::with_capacity(texts.len());
    for inputs in &texts {
        let second = Call {
            predictor: &predictor,
            signature: &signature,
            inputs,
            settings: extraction,
            run,
        };
        let read = second.ask_until_read(notes).await;
        let fields = read.map_err(|error| named(error, &call, inputs))?;
        completions.push(fields.into_iter().next().unwrap_or_default());
    }
    Ok(completions)
}

/// A reply of the second model that could not be read, as the adapter's own failure.
fn named(error: Error, call: &Call<'_>, inputs: &Fields) -> Error {
    let Error::Parse(inner) = error else { return error };
    let message = format!("Failed to parse response from the original completion: {inner}");
    let text = inputs.values().next().and_then(|it| it.as_str()).unwrap_or_default();
    Error::Parse(Box::new(Format::TwoStep.error(call.signature, text, Some(message))))
}

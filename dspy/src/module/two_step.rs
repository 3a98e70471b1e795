//! The second step of the two-step adapter: another model takes the fields out of the text.

use super::{
    ModuleKind, Notes, Predictor,
    call::{Call, Round},
};
use crate::{
    Error, Fields, LmReply, LmSettings, ParseError, Run, Signature,
    adapter::{
        Format, extractor,
        native::{Reading, complete, with_calls},
    },
};

/// The fields of every completion. The settings of the second model are its own: what is laid
/// over the first one's for this run does not concern it.
pub(super) async fn ask(
    call: Call<'_>,
    extraction: &LmSettings,
    notes: &mut Notes,
) -> Result<Vec<Fields>, Error> {
    extraction.check()?;
    let mut round = call.send(Format::TwoStep, notes).await?;
    let asked = std::mem::take(&mut round.asked);
    let mut completions = Vec::with_capacity(asked.len());
    for asked in asked {
        let reply = asked.reply.clone();
        let inputs = round.read(asked, &call, text)?;
        let found = if inputs.is_empty() {
            Fields::new()
        } else {
            extracted(&call, &round, extraction, (&inputs, &reply), notes).await?
        };
        completions.push(complete(call.signature, found, &reply));
    }
    Ok(completions)
}

/// The text of a reply, as the input of the second step; nothing where calls are all of it.
fn text(reading: Reading<'_>, reply: &LmReply) -> Result<Fields, ParseError> {
    match reading.text(reply)? {
        Some(text) => Format::TwoStep.parse(reading.asked, text),
        None => Ok(Fields::new()),
    }
}

/// The fields that the second model takes out of a text.
async fn extracted(
    call: &Call<'_>,
    round: &Round<'_>,
    extraction: &LmSettings,
    (inputs, reply): (&Fields, &LmReply),
    notes: &mut Notes,
) -> Result<Fields, Error> {
    let signature = extractor(&round.signature);
    let predictor = Predictor {
        lm: extraction.clone(),
        ..Predictor::new(&call.predictor.name, signature.clone(), ModuleKind::Predict)
    };
    let run = Run { scope: call.run.scope.with_own_demos(), ..call.run };
    let second =
        Call { predictor: &predictor, signature: &signature, inputs, settings: extraction, run };
    match second.ask_until_read(notes).await {
        Ok(completions) => Ok(completions.into_iter().next().unwrap_or_default()),
        Err(Error::Parse(error)) => {
            let read = Err(named(*error, &round.signature, inputs));
            with_calls(read, call.signature, reply).map_err(|it| Error::Parse(Box::new(it)))
        }
        Err(error) => Err(error),
    }
}

/// A reply of the second model that could not be read, as the adapter's own failure.
fn named(error: ParseError, signature: &Signature, inputs: &Fields) -> ParseError {
    if error.uncaught.is_some() {
        return error;
    }
    let message = format!("Failed to parse response from the original completion: {error}");
    let text = inputs.values().next().and_then(|it| it.as_str()).unwrap_or_default();
    Format::TwoStep.error(signature, text, Some(message))
}

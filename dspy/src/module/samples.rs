//! Several answers to one question, to be compared.

use futures::{StreamExt, TryStreamExt, stream};

use super::{
    Made, Module, Notes,
    attempt::{Attempt, first_rollout},
};
use crate::{Error, Fields, LmSettings, Run};

/// How many runs of a module go on at once.
const CONCURRENCY: usize = 8;

/// So many answers of a module: completions of one call if it is a predictor, else runs of it.
pub(super) async fn of(
    module: &Module,
    count: u32,
    inputs: &Fields,
    run: Run<'_>,
    notes: &mut Notes,
) -> Result<Vec<Fields>, Error> {
    if let Module::Predict(predictor) = module {
        let overrides = LmSettings { n: Some(count), ..run.overrides.clone() };
        let run = Run { overrides: &overrides, ..run };
        let Made { outputs, completions } = predictor.perform(inputs, run, notes).await?;
        return Ok(if completions.is_empty() { vec![outputs] } else { completions });
    }
    let start = first_rollout(module, run);
    let attempts: Vec<_> =
        (0..count).map(|at| Attempt::warm(run, start.wrapping_add(at.into()))).collect();
    let runs: Vec<_> = attempts.iter().map(|it| one(module, inputs, it.run(run))).collect();
    let made: Vec<_> = stream::iter(runs).buffered(CONCURRENCY).try_collect().await?;
    let answers = made.into_iter().map(|(outputs, own)| {
        notes.absorb(own);
        outputs
    });
    Ok(answers.collect())
}

async fn one(module: &Module, inputs: &Fields, run: Run<'_>) -> Result<(Fields, Notes), Error> {
    let mut notes = Notes::default();
    let made = module.perform(inputs, run, &mut notes).await?;
    Ok((made.outputs, notes))
}

//! One attempt of several: what tells it apart from the others.

use super::Module;
use crate::{Error, LmError, LmSettings, Run};

/// The temperature of attempts that are to differ.
const TEMPERATURE: f64 = 1.0;

/// The settings of one attempt of several.
pub(super) struct Attempt {
    settings: LmSettings,
    overrides: LmSettings,
}

impl Attempt {
    /// An attempt that is to differ from the others: a rollout of its own, and warm unless a
    /// predictor or the request says another temperature.
    pub(super) fn warm(run: Run<'_>, rollout_id: i64) -> Self {
        let mut attempt = Self::again(run, rollout_id);
        attempt.settings.temperature = Some(TEMPERATURE);
        attempt
    }

    /// An attempt with a rollout of its own, lest a cache gives the reply of another one.
    pub(super) fn again(run: Run<'_>, rollout_id: i64) -> Self {
        let mut settings = run.scope.attempt.cloned().unwrap_or_default();
        settings.rollout_id = Some(rollout_id);
        let mut overrides = run.overrides.clone();
        overrides.rollout_id = None;
        Self { settings, overrides }
    }

    /// A run of this attempt.
    pub(super) fn run<'a>(&'a self, mut run: Run<'a>) -> Run<'a> {
        run.overrides = &self.overrides;
        run.scope.attempt = Some(&self.settings);
        run
    }
}

/// The rollout from which the attempts of a module are counted.
pub(super) fn first_rollout(module: &Module, run: Run<'_>) -> i64 {
    let attempt = run.scope.attempt.and_then(|it| it.rollout_id);
    let own = || module.predictors().first().and_then(|it| it.lm.rollout_id);
    run.overrides.rollout_id.or(attempt).or_else(own).unwrap_or(0)
}

/// The failures of some attempts, and how many may still fail.
pub(super) struct Failures {
    left: i64,
    last: Option<Error>,
}

impl Failures {
    pub(super) fn of(attempts: u32, fail_count: Option<u32>) -> Self {
        let left = fail_count.filter(|it| *it > 0).unwrap_or(attempts);
        Self { left: left.into(), last: None }
    }

    /// Notes that an attempt failed; the error is given back if that was one too many. The
    /// package counts down while it counts up, and so do we.
    pub(super) fn note(&mut self, attempt: u32, error: Error) -> Result<(), Error> {
        let is_final =
            matches!(error.cause(), Error::Lm(LmError::BudgetExceeded(_) | LmError::Cancelled));
        if is_final || i64::from(attempt) > self.left {
            return Err(error);
        }
        self.left -= 1;
        self.last = Some(error);
        Ok(())
    }

    /// Why there is nothing: the package gives `None` here.
    pub(super) fn into_error(self) -> Error {
        let silent = || Error::Program("no attempt has a reward that is a number".to_owned());
        self.last.unwrap_or_else(silent)
    }
}

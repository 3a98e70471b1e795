//! `dspy.BestOfN`: the best of several attempts, by a reward.

use super::{
    Made, Module, Notes,
    attempt::{Attempt, Failures, first_rollout},
    reward::Reward,
};
use crate::{Error, Fields, Run};

/// The most attempts; more are not made.
pub(super) const ATTEMPTS_MAX: u32 = 1000;

/// The best of several attempts, by a reward: the first that reaches the threshold, else the one
/// with the highest reward. Each attempt has a rollout of its own and the temperature 1.0, unless
/// a predictor's own settings or the request's say another one.
///
/// Where the package gives `None` because every attempt failed, this fails as the last one did.
#[derive(Clone, Debug, PartialEq)]
pub struct BestOfN {
    /// What is tried.
    pub module: Box<Module>,
    /// The most attempts.
    pub n: u32,
    /// What an attempt is worth.
    pub reward: Reward,
    /// The reward at which no more attempts are made.
    pub threshold: f64,
    /// How many attempts may fail; all, if it says nothing.
    pub fail_count: Option<u32>,
}

/// The best attempt so far.
pub(super) struct Best {
    reward: f64,
    made: Option<Made>,
}

impl Default for Best {
    fn default() -> Self {
        Self { reward: f64::NEG_INFINITY, made: None }
    }
}

impl Best {
    /// Keeps an attempt if it is better than those before.
    pub(super) fn offer(&mut self, reward: f64, made: Made) {
        if reward > self.reward {
            *self = Self { reward, made: Some(made) };
        }
    }

    pub(super) fn or_fail(self, failures: Failures) -> Result<Made, Error> {
        self.made.ok_or_else(|| failures.into_error())
    }
}

impl BestOfN {
    pub(super) async fn perform(
        &self,
        inputs: &Fields,
        run: Run<'_>,
        notes: &mut Notes,
    ) -> Result<Made, Error> {
        let start = first_rollout(&self.module, run);
        let mut best = Best::default();
        let mut failures = Failures::of(self.n, self.fail_count);
        for at in 0..self.n.min(ATTEMPTS_MAX) {
            let attempt = Attempt::warm(run, start.wrapping_add(at.into()));
            match self.attempt(inputs, &attempt, run, notes).await {
                Ok((reward, made)) => {
                    best.offer(reward, made);
                    if reward >= self.threshold {
                        break;
                    }
                }
                Err(error) => failures.note(at, error)?,
            }
        }
        best.or_fail(failures)
    }

    async fn attempt(
        &self,
        inputs: &Fields,
        attempt: &Attempt,
        run: Run<'_>,
        notes: &mut Notes,
    ) -> Result<(f64, Made), Error> {
        let segment = run.scope.segment("module");
        let inner = Run { scope: run.scope.at(&segment), ..run };
        let made = self.module.perform(inputs, attempt.run(inner), notes).await?;
        let reward = self.reward.of(inputs, &made.outputs, run, notes).await?;
        Ok((reward, made))
    }
}

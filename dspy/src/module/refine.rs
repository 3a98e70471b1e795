//! `dspy.Refine`: several attempts, each with the advice of what saw the one before fail.

use serde_json::Value;

use super::{
    Made, Module, ModuleKind, Notes, Predictor,
    attempt::{Attempt, Failures, first_rollout},
    best_of_n::{ATTEMPTS_MAX, Best},
    feedback::{self, Advice, Attempted, Calls},
    reward::Reward,
};
use crate::{Error, Fields, Run};

/// The best of several attempts, by a reward; after one that does not reach the threshold, an
/// adviser says for each predictor what to do better, which the predictor reads as `hint_` in the
/// next. Make it with [`Refine::new`].
///
/// Attempts, failures and threshold are those of [`super::BestOfN`]. The adviser is asked as the
/// package asks it, but for two texts: it reads a description of the program and of the reward
/// where the package quotes their Python source.
#[derive(Clone, Debug, PartialEq)]
pub struct Refine {
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
    /// The adviser.
    pub feedback: Predictor,
}

impl Refine {
    /// At most `n` attempts to reach a threshold.
    pub fn new(module: Module, n: u32, reward: Reward, threshold: f64) -> Self {
        let feedback = Predictor::new("feedback", feedback::signature(), ModuleKind::Predict);
        Self { module: Box::new(module), n, reward, threshold, fail_count: None, feedback }
    }

    pub(super) async fn perform(
        &self,
        inputs: &Fields,
        run: Run<'_>,
        notes: &mut Notes,
    ) -> Result<Made, Error> {
        let start = first_rollout(&self.module, run);
        let mut best = Best::default();
        let mut failures = Failures::of(self.n, self.fail_count);
        let mut advice: Option<Advice> = None;
        let attempts = self.n.min(ATTEMPTS_MAX);
        for at in 0..attempts {
            let attempt = Attempt::warm(run, start.wrapping_add(at.into()));
            let is_last = at + 1 == attempts;
            let mut one = One { refine: self, inputs, run, notes, best: &mut best };
            match one.attempt(&attempt, advice.as_ref(), is_last).await {
                Ok(Next::Done) => break,
                Ok(Next::Again(new)) => advice = Some(new),
                Err(error) => failures.note(at, error)?,
            }
        }
        best.or_fail(failures)
    }
}

/// What follows an attempt.
enum Next {
    Done,
    Again(Advice),
}

/// One attempt.
struct One<'a> {
    refine: &'a Refine,
    inputs: &'a Fields,
    run: Run<'a>,
    notes: &'a mut Notes,
    best: &'a mut Best,
}

impl One<'_> {
    async fn attempt(
        &mut self,
        attempt: &Attempt,
        advice: Option<&Advice>,
        is_last: bool,
    ) -> Result<Next, Error> {
        let Self { refine, inputs, run, .. } = *self;
        let calls = Calls::default();
        let segment = run.scope.segment("module");
        let advice = advice.filter(|it| !it.by_path.is_empty());
        let mut scope = run.scope.at(&segment);
        scope.advice = advice;
        scope.calls = Some(&calls);
        let inner = attempt.run(Run { scope, ..run });
        let made = refine.module.perform(inputs, inner, self.notes).await?;
        let reward = refine.reward.of(inputs, &made.outputs, run, self.notes).await?;
        let outputs = made.outputs.clone();
        self.best.offer(reward, made);
        if reward >= refine.threshold || is_last {
            return Ok(Next::Done);
        }
        let base = scope.to_string();
        let attempted = Attempted {
            module: &refine.module,
            base: &base,
            inputs,
            outputs: &outputs,
            calls: &calls,
            reward,
            threshold: refine.threshold,
            reward_words: refine.reward.described(),
        };
        let told = attempted.told();
        let segment = run.scope.segment("feedback");
        let run = Run { scope: run.scope.at(&segment), ..run };
        let mut made = refine.feedback.perform(&told, run, self.notes).await?;
        let by_path = match made.outputs.remove("advice") {
            Some(Value::Object(advice)) => advice,
            Some(_) | None => Fields::new(),
        };
        Ok(Next::Again(Advice { base, by_path }))
    }
}

//! What a prediction did, step by step, for debugging.

use serde::Serialize;

use crate::{Fields, LmReply, LmRequest};

/// The most steps a trace keeps; later ones are counted only.
const STEPS_MAX: usize = 1000;

/// The calls of a prediction. Off, it costs nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Trace {
    #[serde(skip)]
    on: bool,
    /// The calls, in order.
    pub steps: Vec<Step>,
    /// How many calls were not kept.
    pub dropped: usize,
}

/// One call of a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// The predictor that called.
    pub predictor: String,
    /// The adapter that rendered and parsed.
    pub adapter: &'static str,
    /// What was sent.
    pub request: LmRequest,
    /// What came back, when something came.
    pub reply: Option<LmReply>,
    /// The fields that were read from it.
    pub outputs: Option<Fields>,
    /// What went wrong.
    pub error: Option<String>,
    /// How long rendering took, in milliseconds.
    pub render_ms: f64,
    /// How long the model took, in milliseconds.
    pub lm_ms: f64,
    /// How long parsing took, in milliseconds.
    pub parse_ms: f64,
}

impl Trace {
    /// A trace that keeps nothing.
    pub fn off() -> Self {
        Self::default()
    }

    /// A trace that keeps every step.
    pub fn on() -> Self {
        Self { on: true, ..Self::default() }
    }

    /// Whether steps are kept.
    pub fn is_on(&self) -> bool {
        self.on
    }

    /// Keeps a step, made only if it is wanted.
    pub(crate) fn push(&mut self, step: impl FnOnce() -> Step) {
        match (self.on, self.steps.len() < STEPS_MAX) {
            (false, _) => {}
            (true, true) => self.steps.push(step()),
            (true, false) => self.dropped += 1,
        }
    }
}

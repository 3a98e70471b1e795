//! What a prediction did, step by step, for debugging.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Serialize, Serializer, ser::SerializeStruct};

use crate::{Fields, LmReply, LmRequest};

/// The most steps a trace keeps; later ones are counted only.
const STEPS_MAX: usize = 1000;

/// The calls of a prediction, also of those that run beside each other. Off, it costs nothing.
#[derive(Debug, Default)]
pub struct Trace {
    on: bool,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    steps: Vec<Step>,
    /// How many calls were not kept.
    dropped: usize,
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

    /// The calls so far, in the order in which they ended.
    pub fn steps(&self) -> Vec<Step> {
        self.kept().steps.clone()
    }

    /// Keeps a step, made only if it is wanted.
    pub(crate) fn push(&self, step: impl FnOnce() -> Step) {
        if !self.on {
            return;
        }
        let mut kept = self.kept();
        if kept.steps.len() < STEPS_MAX {
            kept.steps.push(step());
        } else {
            kept.dropped += 1;
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `{"steps": […], "dropped": 0}`
impl Serialize for Trace {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let kept = self.kept();
        let mut trace = serializer.serialize_struct("Trace", 2)?;
        trace.serialize_field("steps", &kept.steps)?;
        trace.serialize_field("dropped", &kept.dropped)?;
        trace.end()
    }
}

//! What a prediction did, step by step, for debugging.
//!
//! The shape is one for every runtime: a Python program's runner writes the same from the
//! callbacks of the package. In JSON, in the order in which the calls ended:
//!
//! ```json
//! {"steps": [
//!    {"kind": "lm", "predictor": "agent.react", "adapter": "ChatAdapter",
//!     "request": {"messages": [{"role": "system", "content": "…"}], "settings": {"model": "…"}},
//!     "reply": {"text": "…", "finish_reason": "stop", "usage": {…}, "model": "…"},
//!     "outputs": {"next_tool_name": "search"}, "error": null,
//!     "render_at_ms": 0.0, "render_ms": 0.1, "lm_at_ms": 0.1, "lm_ms": 412.0,
//!     "parse_at_ms": 412.1, "parse_ms": 0.1},
//!    {"kind": "tool", "predictor": "agent.react", "name": "search", "args": {"q": "rust"},
//!     "result": ["…"], "error": null, "at_ms": 412.2, "ms": 31.5}],
//!  "dropped": 0}
//! ```
//!
//! `predictor` is the path that DSPy's `named_predictors` gives: `self` for a program that is one
//! `dspy.Predict`. Of `reply`, `outputs`, `result` and `error`, what there was not is `null`.
//! What ends in `at_ms` is when something began, in milliseconds since the trace was begun.
//! A reply that could not be read and was asked for again in another format is two steps.

use std::{
    borrow::Cow,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use serde::{Serialize, Serializer, ser::SerializeStruct};
use serde_json::Value;

use crate::{Fields, LmReply, LmRequest};

/// The most steps a trace keeps; later ones are counted only.
const STEPS_MAX: usize = 1000;

/// The calls of a prediction, also of those that run beside each other. Off, it costs nothing.
#[derive(Debug, Default)]
pub struct Trace {
    /// When it was begun, by two clocks; none if it is off.
    began: Option<(Instant, SystemTime)>,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    steps: Vec<Step>,
    /// How many calls were not kept.
    dropped: usize,
}

/// One step of a prediction: `{"kind": "lm", …}` or `{"kind": "tool", …}`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Step {
    /// A call of a model.
    Lm(Box<LmStep>),
    /// A call of a tool.
    Tool(Box<ToolStep>),
}

/// One call of a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LmStep {
    /// The predictor that called, by its path in the program: `draft.predict`.
    pub predictor: String,
    /// The adapter that rendered and parsed.
    pub adapter: Cow<'static, str>,
    /// What was sent.
    pub request: LmRequest,
    /// What came back, when something came.
    pub reply: Option<LmReply>,
    /// The fields that were read from it.
    pub outputs: Option<Fields>,
    /// What went wrong.
    pub error: Option<String>,
    /// When rendering began, in milliseconds since the trace was begun.
    pub render_at_ms: f64,
    /// How long rendering took, in milliseconds.
    pub render_ms: f64,
    /// When the model was asked, in milliseconds since the trace was begun.
    pub lm_at_ms: f64,
    /// How long the model took, in milliseconds.
    pub lm_ms: f64,
    /// When parsing began, in milliseconds since the trace was begun; 0 without a reply.
    pub parse_at_ms: f64,
    /// How long parsing took, in milliseconds.
    pub parse_ms: f64,
}

/// One call of a tool.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ToolStep {
    /// The predictor that chose it, by its path in the program: `agent.react`.
    pub predictor: String,
    /// The tool.
    pub name: String,
    /// The arguments, as the model gave them.
    pub args: Fields,
    /// What it gave, when it gave something.
    pub result: Option<Value>,
    /// What went wrong, as the model was told.
    pub error: Option<String>,
    /// When it was called, in milliseconds since the trace was begun.
    pub at_ms: f64,
    /// How long it took, in milliseconds.
    pub ms: f64,
}

impl Step {
    /// The call of a model, if it is one.
    pub fn lm(&self) -> Option<&LmStep> {
        match self {
            Self::Lm(step) => Some(step),
            Self::Tool(_) => None,
        }
    }

    /// The call of a tool, if it is one.
    pub fn tool(&self) -> Option<&ToolStep> {
        match self {
            Self::Lm(_) => None,
            Self::Tool(step) => Some(step),
        }
    }
}

impl Trace {
    /// A trace that keeps nothing.
    pub fn off() -> Self {
        Self::default()
    }

    /// A trace that keeps every step.
    pub fn on() -> Self {
        Self { began: Some((Instant::now(), SystemTime::now())), ..Self::default() }
    }

    /// Whether steps are kept.
    pub fn is_on(&self) -> bool {
        self.began.is_some()
    }

    /// How long after the trace was begun a moment was, in milliseconds; 0 if that was before, or
    /// the trace is off.
    pub fn ms_at(&self, moment: Instant) -> f64 {
        let after = self.began.map(|(began, _)| moment.saturating_duration_since(began));
        after.unwrap_or_default().as_secs_f64() * 1000.0
    }

    /// The same of a moment that another process of this machine tells, in seconds since 1970.
    pub fn ms_at_unix(&self, seconds: f64) -> f64 {
        let began = self.began.and_then(|(_, began)| began.duration_since(UNIX_EPOCH).ok());
        began.map_or(0.0, |it| (seconds - it.as_secs_f64()).max(0.0) * 1000.0)
    }

    /// The calls, in the order in which they ended; none if the trace is off.
    pub fn into_steps(self) -> Vec<Step> {
        self.kept.into_inner().unwrap_or_else(PoisonError::into_inner).steps
    }

    /// Keeps a step, made only if it is wanted.
    pub fn push(&self, step: impl FnOnce() -> Step) {
        if !self.is_on() {
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

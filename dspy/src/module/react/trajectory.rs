//! What an agent did so far.

use serde_json::Value;

use crate::{Adapter, Error, Field, Fields, LmError, Signature, Type};

/// The field by which the model sees it.
pub(super) const NAME: &str = "trajectory";

/// Each turn leaves a thought, a tool's name, its arguments and an observation.
const KEYS_A_TURN: usize = 4;

/// What an agent did so far: `thought_0`, `tool_name_0`, `tool_args_0`, `observation_0`, …
#[derive(Debug, Default)]
pub(super) struct Trajectory(Fields);

/// One turn, before the tool is called.
#[derive(Debug)]
pub(super) struct Turn {
    at: u32,
    thought: Value,
    pub(super) tool: String,
    pub(super) args: Fields,
}

impl Turn {
    /// The turn that the model chose.
    pub(super) fn new(at: u32, mut chosen: Fields) -> Self {
        let mut take = |name: &str| chosen.remove(name).unwrap_or_default();
        let thought = take("next_thought");
        let tool = take("next_tool_name").as_str().unwrap_or_default().to_owned();
        let args = match take("next_tool_args") {
            Value::Object(args) => args,
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => Fields::new(),
        };
        Self { at, thought, tool, args }
    }
}

impl Trajectory {
    pub(super) fn add(&mut self, turn: Turn, observation: Value) {
        let Turn { at, thought, tool, args } = turn;
        self.0.insert(format!("thought_{at}"), thought);
        self.0.insert(format!("tool_name_{at}"), tool.into());
        self.0.insert(format!("tool_args_{at}"), Value::Object(args));
        self.0.insert(format!("observation_{at}"), observation);
    }

    /// The text that the model reads, as the adapter in use writes inputs.
    pub(super) fn shown(&self, adapter: &Adapter) -> String {
        let field = |name: &String| Field { untyped: true, ..Field::new(name, Type::Str) };
        let inputs = self.0.keys().map(field).collect();
        let signature = Signature::new(NAME, "", inputs, vec![Field::new("x", Type::Str)]);
        adapter.show(&signature, &self.0)
    }

    /// Forgets the oldest turn, unless it is the only one.
    pub(super) fn truncate(&mut self) -> Result<(), Error> {
        if self.0.len() <= KEYS_A_TURN {
            let message = "The trajectory is too long so your prompt exceeded the context window, \
                           but the trajectory cannot be truncated because it only has one tool \
                           call.";
            return Err(LmError::ContextWindowExceeded(message.to_owned()).into());
        }
        self.0 = std::mem::take(&mut self.0).into_iter().skip(KEYS_A_TURN).collect();
        Ok(())
    }

    pub(super) fn into_fields(self) -> Fields {
        self.0
    }
}

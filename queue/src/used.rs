//! What executions used of their models, added up.

use serde_json::Value;

use crate::Report;

const MICROS: f64 = 1e6;

/// What was used of all models together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Used {
    /// Tokens read.
    pub prompt_tokens: u64,
    /// Tokens written.
    pub completion_tokens: u64,
    /// What it cost, in millionths of a dollar, as far as prices are known.
    pub cost_micros: u64,
}

impl Used {
    /// What a run used, by the `prompt_tokens`, `completion_tokens` and `cost` (dollars) that its
    /// report gives for each model.
    pub(crate) fn of(report: &Report) -> Self {
        let tokens = |name: &str| {
            let of_model = |model: &Value| model.get(name)?.as_u64();
            report.usage.values().filter_map(of_model).fold(0, u64::saturating_add)
        };
        let cost = |model: &Value| model.get("cost")?.as_f64();
        let dollars: f64 = report.usage.values().filter_map(cost).sum();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
        let cost_micros = (dollars * MICROS).round() as u64;
        Self {
            prompt_tokens: tokens("prompt_tokens"),
            completion_tokens: tokens("completion_tokens"),
            cost_micros,
        }
    }
}

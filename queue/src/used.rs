//! What executions used of their models, added up.

use serde_json::Value;

use crate::Report;

/// The parts of a dollar that are counted.
const MICROS: f64 = 1e6;

/// Dollars as whole millionths, rounded up: what costs something never counts as free.
pub fn micros(dollars: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    let whole = (dollars.max(0.0) * MICROS).ceil() as u64;
    whole
}

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
    pub fn of(report: &Report) -> Self {
        let tokens = |name: &str| {
            let of_model = |model: &Value| model.get(name)?.as_u64();
            report.usage.values().filter_map(of_model).fold(0, u64::saturating_add)
        };
        let cost = |model: &Value| model.get("cost")?.as_f64();
        let dollars: f64 = report.usage.values().filter_map(cost).sum();
        Self {
            prompt_tokens: tokens("prompt_tokens"),
            completion_tokens: tokens("completion_tokens"),
            cost_micros: micros(dollars),
        }
    }

    /// Counts what another run used.
    pub(crate) fn add(&mut self, other: Used) {
        self.prompt_tokens = self.prompt_tokens.saturating_add(other.prompt_tokens);
        self.completion_tokens = self.completion_tokens.saturating_add(other.completion_tokens);
        self.cost_micros = self.cost_micros.saturating_add(other.cost_micros);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_whole_millionths_rounded_up() {
        assert_eq!((micros(0.0), micros(0.000_004_05)), (0, 5));
        assert_eq!((micros(1.5), micros(-1.0), micros(1e300)), (1_500_000, 0, u64::MAX));
    }
}

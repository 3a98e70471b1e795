//! Of how many executions traces are recorded. Which these are follows from the trace's id alone,
//! as OpenTelemetry's `TraceIdRatioBased` decides it, by which MLflow samples: so all workers
//! agree, and a trace that is kept is sent.

use std::str::FromStr;

/// A share of all traces, from 0 to 1 (`MLFLOW_TRACE_SAMPLING_RATIO`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SamplingRatio {
    /// Traces are recorded whose id's lower half is below it.
    bound: u128,
}

/// What is no share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a number from 0 to 1, such as 0.1 for a tenth")]
pub struct NoRatio;

/// How many lower halves of ids there are.
const HALVES: u128 = 1 << 64;

impl SamplingRatio {
    /// All of them.
    pub const ALL: Self = Self { bound: HALVES };

    /// Whether a trace is recorded; its id is made only if that depends on it.
    pub(super) fn samples(self, id: impl FnOnce() -> u128) -> bool {
        self.bound == HALVES || (self.bound > 0 && id() % HALVES < self.bound)
    }
}

impl FromStr for SamplingRatio {
    type Err = NoRatio;

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 2^64")]
    fn from_str(text: &str) -> Result<Self, NoRatio> {
        let ratio: f64 = text.trim().parse().map_err(|_| NoRatio)?;
        if !(0.0..=1.0).contains(&ratio) {
            return Err(NoRatio);
        }
        Ok(Self { bound: (ratio * HALVES as f64).round_ties_even() as u128 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `TraceIdRatioBased(ratio).should_sample(None, id, "")` of Python's OpenTelemetry decides.
    #[test]
    fn traces_are_chosen_as_opentelemetry_chooses_them() {
        let samples = |ratio: &str, id| ratio.parse::<SamplingRatio>().unwrap().samples(|| id);
        let half = 1 << 63;

        assert!(samples("1", u128::MAX) && samples("1.0", 0));
        assert!(!samples("0", 0));
        assert!(samples("0.5", half - 1) && !samples("0.5", half));
        assert!(samples("0.5", (7 << 64) + half - 1), "the upper half does not count");
        assert!(
            samples("0.1", 1_844_674_407_370_955_263) && !samples("0.1", 1_844_674_407_370_955_264)
        );
    }

    #[test]
    fn ratios_are_shares() {
        for odd in ["", "half", "1.1", "-0.1", "nan", "inf"] {
            assert_eq!(odd.parse::<SamplingRatio>(), Err(NoRatio), "{odd}");
        }
    }
}

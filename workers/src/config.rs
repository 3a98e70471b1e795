//! How a worker behaves. Read from a file or the environment by others.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How a worker behaves. Every process of a fleet may have its own, but for the lease.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How many executions run at once (`MAX_WORKERS`).
    pub slots: usize,
    /// The share of the slots that bulk work never takes; at least one slot, if there are two.
    pub interactive_reserve: f64,
    /// How long one attempt may take, of an execution that does not say.
    #[serde(rename = "timeout_seconds", with = "seconds")]
    pub timeout: Duration,
    /// How long running executions may take to end when the worker is told to stop.
    #[serde(rename = "shutdown_timeout_seconds", with = "seconds")]
    pub shutdown_timeout: Duration,
    /// How long the worker may be silent before its work is given to others; as the queue has it.
    #[serde(rename = "lease_seconds", with = "seconds")]
    pub lease: Duration,
    /// How long one claim waits for work at the store.
    #[serde(rename = "claim_wait_seconds", with = "seconds")]
    pub claim_wait: Duration,
    /// The longest delay before the first retry; doubles with each further one, up to a minute.
    #[serde(rename = "retry_base_seconds", with = "seconds")]
    pub retry_base: Duration,
    /// How long a model's reply serves equal calls at most; zero to make every call
    /// (`LM_CACHE_TTL`).
    #[serde(rename = "lm_cache_ttl_seconds", with = "seconds")]
    pub lm_cache_ttl: Duration,
    /// What an owner may spend on models in a calendar month, in millionths of a dollar
    /// (`OWNER_BUDGET`); no bound if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner_budget_micros: Option<u64>,
    /// Whether programs registered over HTTP may start MCP servers as processes.
    pub allow_mcp_commands: bool,
    /// The machine's name, by which the fleet knows it; found out if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            slots: 256,
            interactive_reserve: 0.1,
            timeout: Duration::from_secs(300),
            shutdown_timeout: Duration::from_secs(25),
            lease: Duration::from_secs(3),
            claim_wait: Duration::from_secs(10),
            retry_base: Duration::from_secs(1),
            lm_cache_ttl: Duration::from_secs(3600),
            owner_budget_micros: None,
            allow_mcp_commands: false,
            host: None,
        }
    }
}

/// The most slots one worker may have.
const SLOTS_MAX: usize = 10_000;

impl Config {
    /// How many executions run at once, within bounds.
    pub(crate) fn slots(&self) -> usize {
        self.slots.clamp(1, SLOTS_MAX)
    }

    /// How many of the slots bulk work may take.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of slots")]
    pub(crate) fn bulk_slots(&self) -> usize {
        let slots = self.slots();
        let share = self.interactive_reserve.clamp(0.0, 1.0);
        if slots == 1 || share == 0.0 {
            return slots;
        }
        let reserve = (slots as f64 * share).ceil() as usize;
        slots.saturating_sub(reserve).max(1)
    }
}

/// A duration as seconds, with a fraction.
pub(crate) mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    pub(crate) fn serialize<S: Serializer>(it: &Duration, to: S) -> Result<S::Ok, S::Error> {
        match it.subsec_nanos() {
            0 => it.as_secs().serialize(to),
            _ => it.as_secs_f64().serialize(to),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(from)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bulk_never_takes_the_last_tenth_of_the_slots() {
        let bulk = |slots| Config { slots, ..Config::default() }.bulk_slots();
        let pairs: Vec<_> = [1, 2, 4, 10, 11, 50, 256].map(|slots| (slots, bulk(slots))).into();
        assert_eq!(pairs, [(1, 1), (2, 1), (4, 3), (10, 9), (11, 9), (50, 45), (256, 230)]);
    }

    #[test]
    fn durations_are_written_in_seconds() {
        let text = "shutdown_timeout_seconds = 5\nlease_seconds = 0.5\nslots = 9";

        let config: Config = toml::from_str(text).unwrap();

        assert_eq!(config.shutdown_timeout, Duration::from_secs(5));
        assert_eq!(config.lease, Duration::from_millis(500));
        assert_eq!((config.slots, config.claim_wait), (9, Duration::from_secs(10)));
    }

    #[test]
    fn unknown_names_and_negative_times_are_refused() {
        for text in ["slot = 9", "lease_seconds = -1", "lease_seconds = nan"] {
            assert!(toml::from_str::<Config>(text).is_err(), "{text}");
        }
    }
}

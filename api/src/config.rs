//! How the front end behaves.

use std::{fmt, num::NonZeroU32, sync::Arc};

use rand::RngCore;
use serde::Deserialize;

/// How the front end behaves. Every bound has a name here.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What tokens are signed with; a random one if none is set.
    pub secret_key: SecretKey,
    /// The largest request body.
    pub body_bytes_max: usize,
    /// The largest program file that can be registered.
    pub program_bytes_max: usize,
    /// How long a request may stop in the middle of its headers or of its body.
    pub body_idle_seconds_max: u64,
    /// How long a request body may take in all, and each MiB of an upload of any length.
    pub body_total_seconds_max: u64,
    /// How many uploads of batches are read at once; each has a thread.
    pub uploads_max: usize,
    /// How long another waits for one of them to end.
    pub upload_wait_seconds_max: u64,
    /// The most items of one batch; of one JSON list at most 10,000.
    pub batch_items_max: usize,
    /// The longest line of a batch that is uploaded.
    pub line_bytes_max: usize,
    /// How deep inputs may be nested.
    pub inputs_depth_max: usize,
    /// How long one attempt may take, if neither request nor program says.
    pub timeout_seconds: u64,
    /// The longest that a request may ask for.
    pub timeout_seconds_max: u64,
    /// How often a failed execution is tried again, if neither request nor program says.
    pub max_retries: u32,
    /// Whether equal executions are answered from the cache.
    pub cache_enabled: bool,
    /// How long a result stands for equal executions, if the program does not say.
    pub cache_ttl_seconds: u64,
    /// The model that the fleet's workers ask where nobody names one. Part of what makes executions
    /// equal, as is the endpoint: after a change of it, old results do not stand for new ones.
    pub model: Option<String>,
    /// The endpoint that they ask where nobody names one.
    pub api_base: Option<String>,
    /// Whether programs that are registered here may start MCP servers as processes.
    pub allow_mcp_commands: bool,
    /// Whether the workers of this fleet record what has ended in MLflow, and so are told of it.
    pub mlflow_tracking: bool,
    /// The longest wait for a result in one request.
    pub wait_seconds_max: u64,
    /// How many requests one owner may make a second; as many may come at once. None: no limit.
    pub requests_per_owner_per_second: Option<NonZeroU32>,
    /// How many connections may be open; others wait to be accepted.
    pub connections_max: usize,
    /// How long requests may take to finish when the server stops.
    pub shutdown_seconds_max: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            secret_key: SecretKey::random(),
            body_bytes_max: 16 * 1024 * 1024,
            program_bytes_max: 1024 * 1024,
            body_idle_seconds_max: 30,
            body_total_seconds_max: 300,
            uploads_max: 64,
            upload_wait_seconds_max: 10,
            batch_items_max: 10_000_000,
            line_bytes_max: 1024 * 1024,
            inputs_depth_max: 64,
            timeout_seconds: 300,
            timeout_seconds_max: 24 * 3600,
            max_retries: 1,
            cache_enabled: true,
            cache_ttl_seconds: 24 * 3600,
            model: None,
            api_base: None,
            allow_mcp_commands: false,
            mlflow_tracking: false,
            wait_seconds_max: 60,
            requests_per_owner_per_second: NonZeroU32::new(50_000),
            connections_max: 10_000,
            shutdown_seconds_max: 20,
        }
    }
}

impl Config {
    /// Who is asked where nobody says, in the words of fingerprints; empty if nobody is.
    pub(crate) fn asked(&self) -> String {
        let named = [&self.model, &self.api_base].into_iter().flatten();
        named.map(|it| it.replace('|', "/")).collect::<Vec<_>>().join(" ")
    }
}

/// What tokens are signed with: at least 32 bytes that nobody else knows. Never printed.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct SecretKey(Arc<[u8]>);

/// A key that could be guessed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the secret key has {0} bytes and needs at least {KEY_BYTES_MIN}")]
pub struct KeyTooShort(usize);

const KEY_BYTES_MIN: usize = 32;

impl SecretKey {
    /// The key, if it is long enough.
    pub fn new(key: &str) -> Result<Self, KeyTooShort> {
        match key.len() {
            KEY_BYTES_MIN.. => Ok(Self(key.as_bytes().into())),
            short => Err(KeyTooShort(short)),
        }
    }

    /// A key of this process alone: its tokens are worth nothing to any other.
    pub fn random() -> Self {
        let mut key = [0; KEY_BYTES_MIN];
        rand::rng().fill_bytes(&mut key);
        Self(key.as_slice().into())
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<String> for SecretKey {
    type Error = KeyTooShort;

    fn try_from(key: String) -> Result<Self, KeyTooShort> {
        Self::new(&key)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_under_32_bytes_are_refused() {
        assert_eq!(SecretKey::new(&"x".repeat(31)), Err(KeyTooShort(31)));
        assert!(SecretKey::new(&"x".repeat(32)).is_ok());
    }

    #[test]
    fn keys_are_never_printed() {
        let key = SecretKey::new(&"secret".repeat(8)).unwrap();
        assert!(!format!("{key:?}").contains("secret"));
    }

    #[test]
    fn unknown_settings_are_errors() {
        let error = serde_json::from_str::<Config>(r#"{"batch_item_max": 1}"#).unwrap_err();
        assert!(error.to_string().contains("unknown field `batch_item_max`"), "{error}");
    }
}

//! Which models can be asked, by which keys, and for how long.

use std::{fmt, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::TermsBook;
use crate::config::seconds;

/// How models are asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GatewayConfig {
    /// The model asked where neither program nor request names one (`LM_MODEL`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Where `openai/…` models are asked instead of at OpenAI (`LM_API_BASE`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_base: Option<String>,
    /// Addresses at and below which keys may be sent, whoever wrote the program (`TRUSTED_BASES`).
    pub trusted_bases: Vec<String>,
    /// The limits and prices of models that the operator knows (`LM_MODELS`).
    pub models: TermsBook,
    /// How long a connection may take to be made.
    #[serde(rename = "connect_timeout_seconds", with = "seconds")]
    pub connect_timeout: Duration,
    /// How long an endpoint may be silent.
    #[serde(rename = "read_timeout_seconds", with = "seconds")]
    pub read_timeout: Duration,
    /// How long one request may take in all.
    #[serde(rename = "request_timeout_seconds", with = "seconds")]
    pub request_timeout: Duration,
    /// How often a failed request is sent again within one call.
    pub retries: u32,
    /// The delay before the first of them; doubles with each.
    #[serde(rename = "retry_base_seconds", with = "seconds")]
    pub retry_base: Duration,
    /// Whether those delays vary, so that many workers do not come back at once.
    pub retry_jitter: bool,
    /// The longest `Retry-After` that a call waits for; beyond, the execution is put off.
    #[serde(rename = "retry_after_max_seconds", with = "seconds")]
    pub retry_after_max: Duration,
    /// The longest answer read.
    pub response_bytes_max: usize,
    /// The proxy to go through, except to loopback; none to go straight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// The keys of the endpoints.
    #[serde(skip)]
    pub keys: Keys,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            model: None,
            api_base: None,
            trusted_bases: Vec::new(),
            models: TermsBook::default(),
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(600),
            request_timeout: Duration::from_secs(600),
            retries: 3,
            retry_base: Duration::from_secs(1),
            retry_jitter: true,
            retry_after_max: Duration::from_secs(60),
            response_bytes_max: 16 * 1024 * 1024,
            proxy: None,
            keys: Keys::default(),
        }
    }
}

/// Where keys are looked up, by the name of an environment variable: `OPENAI_API_KEY`.
#[derive(Clone)]
pub struct Keys(Arc<Lookup>);

type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

impl Keys {
    /// Keys as the function knows them.
    pub fn new(lookup: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(lookup))
    }

    /// The key of that name; an empty one is none.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        self.0(name).map(|it| it.trim().to_owned()).filter(|it| !it.is_empty())
    }
}

impl Default for Keys {
    fn default() -> Self {
        Self::new(|_| None)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

/// Tell the operator at start: models cannot be asked with this configuration.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// An address is none.
    #[error("`{0}` is not the address of a model endpoint, like https://api.openai.com/v1")]
    Address(String),
    /// An address that is to be trusted is none.
    #[error("`{0}` in TRUSTED_BASES is not an address, like https://lm.example/v1")]
    Trusted(String),
    /// There is no way to make secure connections here.
    #[error("no HTTP client could be made: {0}")]
    Client(String),
}

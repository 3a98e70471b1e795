//! The one client of language models: every call of every program goes through it.
//!
//! `dummy/…` models answer here, all others over HTTP in the OpenAI protocol. A request that fails
//! for a passing reason is sent again within the call, as long as the execution's deadline allows;
//! what an endpoint asked one call to wait, all calls of the fleet wait. A reply that was paid for
//! is not paid for again: see `paid`.

mod account;
mod batch_file;
mod batches;
mod call;
mod client;
mod config;
mod embed;
mod pace;
mod paid;
mod prices;
mod provider;
mod reply;
mod request;
mod send;
mod stream;
mod supply;
mod tally;
mod terms;
mod throttle;
mod trust;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use dspy::{Capabilities, DummyLm, Lm, LmError, LmReply, LmRequest};
use programs::{LmConfig, Origin};
use queue::Ledger;

pub use account::Account;
pub(crate) use batch_file::{Line, Outcome, outcome};
pub(crate) use batches::{BatchEndpoint, ProviderBatch};
pub use call::Call;
pub(crate) use client::Refusal;
pub(crate) use client::{build, chain as innermost};
pub use config::{GatewayConfig, Keys, SetupError};
pub use embed::Embeddings;
pub(crate) use embed::vectors_of;
pub(crate) use paid::{Kept, REPLIES_KEPT};
pub use tally::{Tally, Used};
pub use terms::{Terms, TermsBook};

use crate::Metrics;

/// Asks models.
pub struct Gateway {
    config: GatewayConfig,
    client: reqwest::Client,
    throttle: throttle::Throttle,
    trust: trust::Trust,
    pace: pace::Pace,
    /// Absent where nothing is accounted for.
    ledger: Option<Arc<dyn Ledger>>,
    pub(crate) metrics: Arc<Metrics>,
}

impl Gateway {
    /// A client with its own pool of connections.
    pub fn new(config: GatewayConfig) -> Result<Self, SetupError> {
        if let Some(base) = config.api_base.as_ref().filter(|it| !provider::is_address(it)) {
            return Err(SetupError::Address(base.clone()));
        }
        let client = client::make(&config)?;
        let trust = trust::Trust::new(config.trusted_bases.iter().chain(&config.api_base))?;
        let pace = pace::Pace::new(config.models.clone());
        Ok(Self {
            config,
            client,
            trust,
            pace,
            ledger: None,
            throttle: throttle::Throttle::default(),
            metrics: Arc::default(),
        })
    }

    /// The same, accounting for calls with the rest of the fleet.
    #[must_use]
    pub fn accounting(self, ledger: Arc<dyn Ledger>) -> Self {
        Self { ledger: Some(ledger), ..self }
    }

    /// Its connections, for whoever else asks something over HTTP.
    pub(crate) fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// Where keys are looked up.
    pub(crate) fn keys(&self) -> &Keys {
        &self.config.keys
    }

    /// The addresses that the operator trusts.
    pub(crate) fn trust(&self) -> &trust::Trust {
        &self.trust
    }

    /// The longest reply that it reads, in bytes.
    pub(crate) fn reply_bytes_max(&self) -> usize {
        self.config.response_bytes_max
    }

    /// How long one request may take.
    pub(crate) fn request_timeout(&self) -> Duration {
        self.config.request_timeout
    }

    /// What it and its worker did so far.
    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.metrics)
    }

    /// What is known of a model: its limits and prices.
    pub(crate) fn terms(&self, model: &str) -> Terms {
        self.config.models.of(model)
    }

    /// Whom it asks.
    pub(crate) fn reach(&self) -> Reach {
        Reach {
            prefixes: provider::prefixes().map(str::to_owned).collect(),
            hosts: provider::hosts().collect(),
            keys: provider::keys().filter(|it| self.config.keys.get(it).is_some()).collect(),
        }
    }

    /// The gateway for one execution, whose calls go where its program says, as far as who wrote
    /// that is trusted. `tally` counts them.
    pub fn call<'a>(&'a self, lm: &'a LmConfig, origin: Origin, tally: &'a Tally) -> Call<'a> {
        Call::new(self, lm, origin, tally)
    }
}

/// Whom a gateway asks.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    /// What the names of its models begin with, before the slash.
    pub(crate) prefixes: Vec<String>,
    /// Its providers by the hosts that they are at.
    pub(crate) hosts: BTreeMap<String, &'static str>,
    /// The variables of the keys that it has.
    pub(crate) keys: Vec<&'static str>,
}

#[async_trait]
impl Lm for Gateway {
    async fn complete(&self, request: &LmRequest) -> Result<LmReply, LmError> {
        let (lm, tally) = (LmConfig::default(), Tally::default());
        self.call(&lm, Origin::Registered, &tally).complete(request).await
    }

    /// Of a program that names no model, those of the service's own.
    fn capabilities(&self, model: &str) -> Capabilities {
        let named = Some(model).filter(|it| !it.is_empty());
        named.or(self.config.model.as_deref()).map(capabilities).unwrap_or_default()
    }
}

/// What a model is known to support.
pub(crate) fn capabilities(model: &str) -> Capabilities {
    match model.split_once('/') {
        Some((provider::DUMMY, _)) => DummyLm.capabilities(model),
        Some(_) | None => Capabilities::of(model),
    }
}

//! The calls of one execution: retries, fallbacks, the deadline, and what was used.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use dspy::{Capabilities, DummyLm, Lm, LmError, LmReply, LmRequest, Usage};
use programs::{LmConfig, Origin};
use rand::Rng;
use tokio::time::{self, Instant};

use super::{
    Gateway,
    client::{self, Refusal},
    provider::{self, Endpoint, Route, Signpost},
    request,
};

/// The longest delay between two requests of one call, if the endpoint does not say.
const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// The longest that calls spread out when an endpoint may be asked again.
const SPREAD_MAX: Duration = Duration::from_secs(1);

/// The gateway for one execution.
pub struct Call<'a> {
    gateway: &'a Gateway,
    lm: &'a LmConfig,
    origin: Origin,
    deadline: Option<Instant>,
    tally: &'a Tally,
}

/// Tokens used, by model; of calls whose execution came to nothing, too.
#[derive(Debug, Default)]
pub struct Tally(Mutex<BTreeMap<String, Usage>>);

impl Tally {
    /// The tokens so far.
    pub fn usage(&self) -> BTreeMap<String, Usage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn add(&self, model: &str, usage: Usage) {
        let mut tally = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *tally.entry(model.to_owned()).or_default() += usage;
    }
}

impl<'a> Call<'a> {
    pub(super) fn new(
        gateway: &'a Gateway,
        lm: &'a LmConfig,
        origin: Origin,
        tally: &'a Tally,
    ) -> Self {
        Self { gateway, lm, origin, deadline: None, tally }
    }

    /// The same, but over at that time.
    #[must_use]
    pub fn until(self, deadline: Instant) -> Self {
        Self { deadline: Some(deadline), ..self }
    }

    fn count(&self, reply: &LmReply) {
        let metrics = &self.gateway.metrics;
        metrics.lm_prompt_tokens.add(reply.usage.prompt_tokens);
        metrics.lm_completion_tokens.add(reply.usage.completion_tokens);
        self.tally.add(&reply.model, reply.usage);
    }

    /// The model that the request means.
    fn model(&self, request: &'a LmRequest) -> Result<&'a str, LmError> {
        let named =
            [&request.settings, &self.lm.settings].into_iter().find_map(|it| it.model.as_deref());
        named.or(self.gateway.config.model.as_deref()).ok_or_else(|| {
            let text = "no model is set: give the program an lm.model, or set LM_MODEL";
            LmError::Configuration(text.to_owned())
        })
    }

    /// Asks one model, again and again while that may help.
    async fn ask(&self, model: &str, request: &LmRequest, own: bool) -> Result<LmReply, LmError> {
        if let Some(name) = model.strip_prefix(provider::DUMMY)
            && name.starts_with('/')
        {
            return DummyLm.complete(request).await;
        }
        let endpoint = if own { self.endpoint() } else { Endpoint::of_provider(self.origin) };
        let route = provider::route(model, endpoint, self.gateway.signpost())?;
        let body = request::body(route.model, route.provider.tokens, request);
        let mut delays = self.gateway.delays();
        loop {
            self.take_turn(&route).await?;
            let refusal = match self.send(&route, body.clone(), model).await {
                Ok(reply) => return Ok(reply),
                Err(refusal) => refusal,
            };
            let Some(delay) = self.delay(&route, &refusal, &mut delays) else {
                return Err(refusal.error);
            };
            self.gateway.metrics.lm_retries.add(1);
            time::sleep(delay).await;
        }
    }

    fn endpoint(&self) -> Endpoint<'a> {
        Endpoint {
            api_base: self.lm.api_base.as_deref(),
            api_key_env: self.lm.api_key_env.as_deref(),
            origin: self.origin,
        }
    }

    async fn send(
        &self,
        route: &Route<'_>,
        body: Vec<u8>,
        model: &str,
    ) -> Result<LmReply, Refusal> {
        let config = &self.gateway.config;
        let timeout =
            self.left().map_or(config.request_timeout, |it| it.min(config.request_timeout));
        let limits = (timeout, config.response_bytes_max);
        self.gateway.metrics.lm_requests.add(1);
        client::send(&self.gateway.client, route, body, model, limits).await
    }

    /// Waits while the endpoint asked everybody to wait, if that is not too long.
    async fn take_turn(&self, route: &Route<'_>) -> Result<(), LmError> {
        let Some(wait) = self.gateway.throttle.wait(&route.url, Instant::now()) else {
            return Ok(());
        };
        if !self.fits(wait) {
            let message = "the model's endpoint asked to slow down".to_owned();
            return Err(LmError::RateLimited { message, retry_after: Some(wait) });
        }
        let spread = SPREAD_MAX.min(wait).mul_f64(rand::rng().random());
        time::sleep(wait + spread).await;
        Ok(())
    }

    /// How long to wait before the request is sent again; none if it should not be.
    fn delay(
        &self,
        route: &Route<'_>,
        refusal: &Refusal,
        delays: &mut ExponentialBackoff,
    ) -> Option<Duration> {
        if let LmError::RateLimited { .. } = refusal.error {
            self.gateway.metrics.lm_rate_limited.add(1);
            self.gateway.block(&route.url, refusal.wait);
        }
        if !refusal.error.is_retryable() {
            return None;
        }
        let backoff = delays.next()?;
        Some(refusal.wait.unwrap_or(backoff)).filter(|delay| self.fits(*delay))
    }

    /// Whether a call can wait so long.
    fn fits(&self, delay: Duration) -> bool {
        delay <= self.gateway.config.retry_after_max && self.left().is_none_or(|left| delay < left)
    }

    /// How long the execution may still take.
    fn left(&self) -> Option<Duration> {
        self.deadline.map(|it| it.saturating_duration_since(Instant::now()))
    }
}

#[async_trait]
impl Lm for Call<'_> {
    async fn complete(&self, request: &LmRequest) -> Result<LmReply, LmError> {
        let model = self.model(request)?;
        let provider_of = |model: &str| model.split_once('/').map(|it| it.0.to_owned());
        let mut result = self.ask(model, request, true).await;
        for other in &self.lm.fallbacks {
            match &result {
                Err(error) if another_may_do(error) => {}
                Ok(_) | Err(_) => break,
            }
            let own = provider_of(other) == provider_of(model);
            result = self.ask(other, request, own).await;
        }
        match &result {
            Ok(reply) => self.count(reply),
            Err(_) => self.gateway.metrics.lm_errors.add(1),
        }
        result
    }

    fn capabilities(&self, model: &str) -> Capabilities {
        self.gateway.capabilities(model)
    }
}

/// Whether another model may answer what this one did not.
fn another_may_do(error: &LmError) -> bool {
    match error {
        LmError::RateLimited { .. }
        | LmError::Server { .. }
        | LmError::Transport(_)
        | LmError::Timeout(_)
        | LmError::Auth(_)
        | LmError::Unsupported(_)
        | LmError::ContextWindowExceeded(_)
        | LmError::Billing(_)
        | LmError::InvalidResponse(_) => true,
        LmError::BadRequest(_)
        | LmError::Configuration(_)
        | LmError::BudgetExceeded(_)
        | LmError::Cancelled => false,
    }
}

impl Gateway {
    /// What decides where a request goes.
    pub(super) fn signpost(&self) -> Signpost<'_> {
        Signpost { config: &self.config, trust: &self.trust }
    }

    fn delays(&self) -> ExponentialBackoff {
        let config = &self.config;
        let builder = ExponentialBuilder::default()
            .with_min_delay(config.retry_base)
            .with_max_delay(BACKOFF_MAX)
            .with_max_times(usize::try_from(config.retries).unwrap_or(usize::MAX));
        if config.retry_jitter { builder.with_jitter().build() } else { builder.build() }
    }

    /// Notes that an endpoint asked everybody to wait.
    fn block(&self, url: &str, wait: Option<Duration>) {
        let Some(wait) = wait.filter(|it| !it.is_zero()) else { return };
        let now = Instant::now();
        self.throttle.block(url, now, now + wait.min(self.config.retry_after_max));
    }
}

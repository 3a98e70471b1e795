//! One request, sent again and again while that may help: pace, retries, the deadline.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use dspy::{Growth, Listener, LmError, LmReply, LmRequest, Usage};
use queue::{Budget, Turn};
use rand::Rng;
use serde_json::{Map, Value};
use tokio::time::{self, Instant};
use tracing::warn;

use super::{
    Call, Gateway,
    client::{self, Refusal, Sending},
    pace::{self, Share},
    provider::{Route, Signpost},
    request,
    terms::Terms,
};

/// The longest delay between two requests of one call, if the endpoint does not say.
const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// The longest that calls spread out when an endpoint may be asked again.
const SPREAD_MAX: Duration = Duration::from_secs(1);

/// Bytes of a request a token, roughly; and the tokens of a reply of which no length is given.
const TOKEN_BYTES: u64 = 4;
const REPLY_TOKENS: u64 = 256;

/// A request on its way.
pub(super) struct Sent<'a> {
    pub(super) route: &'a Route<'a>,
    pub(super) body: Vec<u8>,
    /// The model as the program names it.
    model: &'a str,
    pub(super) terms: Terms,
    /// Who wants to hear the reply as it comes, if anybody does.
    listener: Option<&'a Listener<'a>>,
    /// About how many tokens it will use.
    estimate: u64,
    pub(super) expected: Expected,
}

/// What an endpoint is to answer with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// The next message; of several equal requests, each rollout is another.
    Message { rollout: Option<i64> },
    /// A vector for each of so many texts.
    Vectors { count: usize },
}

/// A reply, and what the call took of its endpoint's supplies.
pub(super) struct Answer {
    pub(super) reply: LmReply,
    pub(super) share: Share,
}

impl<'a> Sent<'a> {
    pub(super) fn new(
        gateway: &Gateway,
        route: &'a Route<'a>,
        model: &'a str,
        request: &LmRequest,
    ) -> Self {
        let body = request::body(route.model, route.provider.tokens, request);
        let reply = request.settings.max_tokens.unwrap_or(REPLY_TOKENS);
        let estimate = body.len() as u64 / TOKEN_BYTES + reply;
        let expected = Expected::Message { rollout: request.settings.rollout_id };
        Self { route, body, model, terms: gateway.terms(model), listener: None, estimate, expected }
    }

    /// A request for so many vectors.
    pub(super) fn for_vectors(
        gateway: &Gateway,
        route: &'a Route<'a>,
        model: &'a str,
        (request, count): (&Map<String, Value>, usize),
    ) -> Self {
        let mut body = Map::from_iter([("model".to_owned(), route.model.into())]);
        body.extend(request.clone());
        let body = Value::Object(body).to_string().into_bytes();
        let (estimate, expected) = (body.len() as u64 / TOKEN_BYTES, Expected::Vectors { count });
        Self { route, body, model, terms: gateway.terms(model), listener: None, estimate, expected }
    }

    /// The same, heard as it comes.
    pub(super) fn aloud(self, listener: Option<&'a Listener<'a>>) -> Self {
        Self { listener, ..self }
    }
}

impl Sent<'_> {
    /// What a call used: as the endpoint says, else by the lengths of what was sent and said.
    pub(super) fn used(&self, reply: &LmReply) -> Usage {
        if reply.usage != Usage::default() {
            return reply.usage;
        }
        let said = match self.expected {
            Expected::Message { .. } => reply.text.as_ref().map_or(0, String::len) as u64,
            Expected::Vectors { .. } => 0,
        };
        let (prompt_tokens, completion_tokens) =
            ((self.body.len() as u64).div_ceil(TOKEN_BYTES), said.div_ceil(TOKEN_BYTES));
        let total_tokens = prompt_tokens + completion_tokens;
        Usage { prompt_tokens, completion_tokens, total_tokens, cached_tokens: 0 }
    }

    /// What is bounded by a budget has a price.
    pub(super) fn check_price(&self, budgets: &[Budget]) -> Result<(), LmError> {
        if budgets.is_empty() || self.terms.micros(Usage::default()).is_some() {
            return Ok(());
        }
        Err(LmError::Configuration(format!(
            "a budget is set, and what `{}` costs is not known: give it an input_price and an \
             output_price in the file of LM_MODELS (0 where nobody pays)",
            self.model
        )))
    }
}

impl Call<'_> {
    /// Sends a request until it is answered, or cannot be. An endpoint that refuses a request for
    /// a stream is asked plainly: whether somebody listens must not decide what comes of it.
    pub(super) async fn send_until_answered(&self, sent: &Sent<'_>) -> Result<Answer, LmError> {
        let mut delays = self.gateway.delays();
        let mut listener = sent.listener;
        loop {
            self.wait_for_endpoint(sent.route).await?;
            let share = self.take_turn(sent).await?;
            let refusal = match self.send(sent, listener, &share).await {
                Ok(reply) => return Ok(Answer { reply, share }),
                Err(refusal) => refusal,
            };
            if let (LmError::BadRequest(_), Some(_)) = (&refusal.error, listener) {
                listener = None;
                continue;
            }
            let Some(delay) = self.delay(sent.route, &share, &refusal, &mut delays).await else {
                return Err(refusal.error);
            };
            self.gateway.metrics.lm_retries.add(1);
            time::sleep(delay).await;
        }
    }

    /// Waits, or says that the execution has no time for it.
    pub(super) async fn pause(&self, time: Duration) -> Result<(), LmError> {
        if self.left().is_some_and(|left| left <= time) {
            return Err(LmError::Timeout("the execution's time is over".to_owned()));
        }
        time::sleep(time).await;
        Ok(())
    }

    async fn send(
        &self,
        sent: &Sent<'_>,
        listener: Option<&Listener<'_>>,
        share: &Share,
    ) -> Result<LmReply, Refusal> {
        let config = &self.gateway.config;
        let timeout =
            self.left().map_or(config.request_timeout, |it| it.min(config.request_timeout));
        self.gateway.metrics.lm_requests.add(1);
        if let Some(listener) = listener {
            listener.hear(Growth::Begin);
        }
        let sending = Sending {
            route: sent.route,
            body: sent.body.clone(),
            name: sent.model,
            timeout,
            bytes_max: config.response_bytes_max,
            listener,
            expected: sent.expected,
        };
        let (told, answer) = client::send(&self.gateway.client, sending).await;
        self.gateway.pace.learn(share, &told);
        if let Some(empty) = told.requests.and_then(|it| it.empty_for()) {
            self.hold_off(share, empty).await;
        }
        answer
    }

    /// Waits while the endpoint asked everybody to wait, if that is not too long.
    async fn wait_for_endpoint(&self, route: &Route<'_>) -> Result<(), LmError> {
        let Some(wait) = self.gateway.throttle.wait(&route.url, Instant::now()) else {
            return Ok(());
        };
        if !self.fits(wait) {
            return Err(slow_down(wait));
        }
        let spread = SPREAD_MAX.min(wait).mul_f64(rand::rng().random());
        time::sleep(wait + spread).await;
        Ok(())
    }

    /// Takes the fleet's next turn at the endpoint, and waits for it, if that is not too long.
    async fn take_turn(&self, sent: &Sent<'_>) -> Result<Share, LmError> {
        let key = sent.route.key.as_ref().map_or("", |(_, key)| key);
        let endpoint = pace::Endpoint { url: &sent.route.url, key, model: sent.model };
        let share = self.gateway.pace.share(&endpoint, sent.estimate);
        let Some(ledger) = &self.gateway.ledger else { return Ok(share) };
        let most = self.gateway.config.retry_after_max;
        let most = self.left().map_or(most, |left| left.min(most));
        match ledger.reserve(&share.rates, most).await {
            Ok(Turn::In(wait)) => {
                if !wait.is_zero() {
                    self.gateway.metrics.lm_paced.add(1);
                    time::sleep(wait).await;
                }
                Ok(share)
            }
            Ok(Turn::TooLate(wait)) => Err(slow_down(wait)),
            Err(error) => {
                // A store that is away for a moment should not stop what is running.
                warn!(%error, "cannot ask whose turn it is at a model's endpoint");
                Ok(share)
            }
        }
    }

    /// How long to wait before the request is sent again; none if it should not be.
    async fn delay(
        &self,
        route: &Route<'_>,
        share: &Share,
        refusal: &Refusal,
        delays: &mut ExponentialBackoff,
    ) -> Option<Duration> {
        if let LmError::RateLimited { .. } = refusal.error {
            self.gateway.metrics.lm_rate_limited.add(1);
            if let Some(wait) = refusal.wait.filter(|it| !it.is_zero()) {
                self.gateway.block(&route.url, wait);
                self.hold_off(share, wait).await;
            }
        }
        if !refusal.error.is_retryable() {
            return None;
        }
        let backoff = delays.next()?;
        Some(refusal.wait.unwrap_or(backoff)).filter(|delay| self.fits(*delay))
    }

    /// Tells the fleet to leave an endpoint alone for so long.
    async fn hold_off(&self, share: &Share, wait: Duration) {
        let Some(ledger) = &self.gateway.ledger else { return };
        if let Err(error) = ledger.hold_off(share.requests(), wait).await {
            warn!(%error, "cannot tell the fleet that a model's endpoint asked to slow down");
        }
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

fn slow_down(wait: Duration) -> LmError {
    let message = "the model's endpoint asked to slow down".to_owned();
    LmError::RateLimited { message, retry_after: Some(wait) }
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
    fn block(&self, url: &str, wait: Duration) {
        let now = Instant::now();
        self.throttle.block(url, now, now + wait.min(self.config.retry_after_max));
    }
}

//! The calls of one execution: which model, which fallback, and what was used.

use async_trait::async_trait;
use dspy::{Capabilities, DummyLm, Listener, Lm, LmError, LmReply, LmRequest};
use programs::{LmConfig, Origin};
use tokio::time::Instant;

use super::{
    Account, Gateway, Line, Tally, Terms, paid,
    provider::{self, Endpoint, Route},
    send::Sent,
};
use crate::telemetry::{Asked, ModelSpan, Parent, Work};

/// The gateway for one execution.
pub struct Call<'a> {
    pub(super) gateway: &'a Gateway,
    pub(super) lm: &'a LmConfig,
    pub(super) origin: Origin,
    pub(super) deadline: Option<Instant>,
    account: Option<&'a Account>,
    span: Option<Parent<'a>>,
    tally: &'a Tally,
}

/// At whose endpoint a model is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Its own, if it has one; else the program's.
    Model,
    /// The program's.
    Program,
    /// That of its provider.
    Provider,
}

/// Where a reply comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The model.
    Model,
    /// The execution's own journal: an attempt before this one has paid for it.
    Journal,
    /// The same, where it was put for the provider's own batch.
    Batch,
    /// An equal call's reply.
    Cache,
}

impl Source {
    /// The word for it in a span.
    fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Journal => "journal",
            Self::Batch => "batch",
            Self::Cache => "cache",
        }
    }
}

impl<'a> Call<'a> {
    pub(super) fn new(
        gateway: &'a Gateway,
        lm: &'a LmConfig,
        origin: Origin,
        tally: &'a Tally,
    ) -> Self {
        Self { gateway, lm, origin, deadline: None, account: None, span: None, tally }
    }

    /// The same, but over at that time.
    #[must_use]
    pub fn until(self, deadline: Instant) -> Self {
        Self { deadline: Some(deadline), ..self }
    }

    /// The same, accounted for: what was paid for is not paid for again.
    #[must_use]
    pub fn on(self, account: &'a Account) -> Self {
        Self { account: Some(account), ..self }
    }

    /// The same, each call a span below that one.
    #[must_use]
    pub(crate) fn below(self, span: Option<Parent<'a>>) -> Self {
        Self { span, ..self }
    }

    /// What an earlier attempt has paid for, the execution has used too.
    fn count(&self, reply: &LmReply, source: Source) {
        let metrics = &self.gateway.metrics;
        match source {
            Source::Model | Source::Batch => {
                metrics.lm_prompt_tokens.add(reply.usage.prompt_tokens);
                metrics.lm_completion_tokens.add(reply.usage.completion_tokens);
            }
            Source::Journal => metrics.lm_replayed.add(1),
            Source::Cache => metrics.lm_cache_hits.add(1),
        }
        if source != Source::Cache {
            self.tally.add(&reply.model, reply.usage, self.terms(&reply.model, source));
        }
    }

    /// What a reply of there costs.
    fn terms(&self, model: &str, source: Source) -> Terms {
        let terms = self.gateway.terms(model);
        match source {
            Source::Batch => terms.in_batch(),
            Source::Model | Source::Journal | Source::Cache => terms,
        }
    }

    /// What the first request of a call would be, for whoever makes it in its place.
    pub(crate) fn line(&self, request: &LmRequest) -> Result<Line, LmError> {
        let model = self.model(request)?;
        if model.split_once('/').is_some_and(|(provider, _)| provider == provider::DUMMY) {
            return Err(LmError::Unsupported("the offline model has no batches".to_owned()));
        }
        let route = self.route((model, At::Model), request)?;
        let sent = Sent::new(self.gateway, &route, model, request);
        let budgets = self.account.map(Account::budgets).unwrap_or_default();
        sent.check_price(budgets)?;
        let request = paid::hash(&sent);
        Ok(Line { request, body: sent.body, model: model.to_owned(), at: (&route).into() })
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

    /// Asks one model.
    async fn ask(
        &self,
        (model, at): (&str, At),
        request: &LmRequest,
        listener: Option<&Listener<'_>>,
    ) -> Result<(LmReply, Source), LmError> {
        let asked = || {
            let server = self.route((model, at), request).ok().and_then(|it| it.server());
            Asked { model, server, work: Work::Chat(request) }
        };
        self.told(asked, self.answer((model, at), request, listener)).await
    }

    /// Waits for an answer, and has a span tell of it where there are spans.
    pub(super) async fn told<'m>(
        &self,
        asked: impl FnOnce() -> Asked<'m>,
        answer: impl Future<Output = Result<(LmReply, Source), LmError>>,
    ) -> Result<(LmReply, Source), LmError> {
        let Some(parent) = self.span else { return answer.await };
        let span = ModelSpan::begin(parent, asked());
        let result = answer.await;
        match &result {
            Ok((reply, source)) => {
                let is_paid = matches!(source, Source::Model | Source::Batch);
                let paid = is_paid.then(|| self.terms(&reply.model, *source));
                let cost = paid.and_then(|it| it.cost(reply.usage));
                span.answered(reply, source.as_str(), cost);
            }
            Err(error) => span.failed(error),
        }
        result
    }

    async fn answer(
        &self,
        (model, at): (&str, At),
        request: &LmRequest,
        listener: Option<&Listener<'_>>,
    ) -> Result<(LmReply, Source), LmError> {
        if let Some(name) = model.strip_prefix(provider::DUMMY)
            && name.starts_with('/')
        {
            return Ok((DummyLm.complete(request).await?, Source::Model));
        }
        let route = self.route((model, at), request)?;
        let sent = Sent::new(self.gateway, &route, model, request).aloud(listener);
        self.account_for(&sent).await
    }

    /// The reply: known, or asked for.
    pub(super) async fn account_for(&self, sent: &Sent<'_>) -> Result<(LmReply, Source), LmError> {
        if let (Some(account), Some(ledger)) = (self.account, &self.gateway.ledger) {
            return paid::ask(self, account, ledger.as_ref(), sent).await;
        }
        let answer = self.send_until_answered(sent).await?;
        Ok((answer.reply, Source::Model))
    }

    /// The reply, counted, as an error is.
    pub(super) fn counted(
        &self,
        result: Result<(LmReply, Source), LmError>,
    ) -> Result<LmReply, LmError> {
        match &result {
            Ok((reply, source)) => self.count(reply, *source),
            Err(_) => self.gateway.metrics.lm_errors.add(1),
        }
        result.map(|(reply, _)| reply)
    }

    /// Where a model is asked.
    fn route<'m>(
        &self,
        (model, at): (&'m str, At),
        request: &LmRequest,
    ) -> Result<Route<'m>, LmError> {
        let origin = self.origin;
        let endpoint = match (at, &request.settings.endpoint) {
            (At::Model, Some(own)) => Endpoint::of(own, origin),
            (At::Model, None) | (At::Program, _) => Endpoint::of(&self.lm.endpoint, origin),
            (At::Provider, _) => Endpoint::of_provider(origin),
        };
        provider::route(model, endpoint, self.gateway.signpost())
    }

    /// Asks the model, then its fallbacks.
    async fn ask_until_answered(
        &self,
        request: &LmRequest,
        listener: Option<&Listener<'_>>,
    ) -> Result<LmReply, LmError> {
        let model = self.model(request)?;
        let provider_of = |model: &str| model.split_once('/').map(|it| it.0.to_owned());
        // A model at an endpoint of its own is beside the program's, whose fallbacks these are.
        let own_lm = &self.lm.settings.model;
        let of_program = own_lm.as_deref().filter(|_| request.settings.endpoint.is_some());
        let home = provider_of(of_program.unwrap_or(model));
        let mut result = self.ask((model, At::Model), request, listener).await;
        for other in &self.lm.fallbacks {
            match &result {
                Err(error) if another_may_do(error) => {}
                Ok(_) | Err(_) => break,
            }
            let at = if provider_of(other) == home { At::Program } else { At::Provider };
            result = self.ask((other, at), request, listener).await;
        }
        self.counted(result)
    }
}

#[async_trait]
impl Lm for Call<'_> {
    async fn complete(&self, request: &LmRequest) -> Result<LmReply, LmError> {
        self.ask_until_answered(request, None).await
    }

    async fn complete_aloud(
        &self,
        request: &LmRequest,
        listener: &Listener<'_>,
    ) -> Result<LmReply, LmError> {
        self.ask_until_answered(request, Some(listener)).await
    }

    fn capabilities(&self, model: &str) -> Capabilities {
        let named = [Some(model).filter(|it| !it.is_empty()), self.lm.settings.model.as_deref()];
        self.gateway.capabilities(named.into_iter().flatten().next().unwrap_or_default())
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

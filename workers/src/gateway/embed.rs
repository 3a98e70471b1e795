//! Texts turned into vectors by an endpoint of the OpenAI protocol: the keys, the retries and the
//! slowing down are those of calls of models.

use std::time::Duration;

use async_trait::async_trait;
use chrono::Utc;
use dspy::{DummyEmbedder, Embedder, LmError, Usage};
use programs::{EmbedderConfig, Origin};
use rand::Rng;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use serde::Deserialize;
use serde_json::json;
use tokio::time::{self, Instant};

use super::{
    Gateway, Tally,
    client::{self, Refusal},
    provider::{self, Endpoint, Route},
    reply,
};

/// The most texts of one request, as in the package.
const BATCH: usize = 200;

/// The longest delay between two requests, if the endpoint does not say.
const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// The models of embeddings of one execution.
pub struct Embeddings<'a> {
    gateway: &'a Gateway,
    models: &'a [EmbedderConfig],
    origin: Origin,
    deadline: Instant,
    tally: &'a Tally,
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Item>,
    #[serde(default)]
    usage: Tokens,
}

#[derive(Deserialize)]
struct Item {
    index: usize,
    embedding: Vec<f32>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Tokens {
    prompt_tokens: u64,
    total_tokens: u64,
}

impl Gateway {
    /// The models of embeddings that a program names, until a time. `tally` counts what they read.
    pub fn embeddings<'a>(
        &'a self,
        models: &'a [EmbedderConfig],
        origin: Origin,
        deadline: Instant,
        tally: &'a Tally,
    ) -> Embeddings<'a> {
        Embeddings { gateway: self, models, origin, deadline, tally }
    }
}

#[async_trait]
impl Embedder for Embeddings<'_> {
    async fn embed(&self, model: &str, texts: &[String]) -> Result<Vec<Vec<f32>>, LmError> {
        if model.starts_with("dummy/") {
            return DummyEmbedder.embed(model, texts).await;
        }
        let route = self.route(model)?;
        let mut vectors = Vec::with_capacity(texts.len());
        for batch in texts.chunks(BATCH) {
            let answer = self.ask(&route, batch).await?;
            let Tokens { prompt_tokens, total_tokens } = answer.usage;
            let usage = Usage { prompt_tokens, completion_tokens: 0, total_tokens };
            self.tally.add(model, usage, self.gateway.terms(model));
            self.gateway.metrics.lm_prompt_tokens.add(prompt_tokens);
            vectors.extend(in_order(answer, batch.len())?);
        }
        if vectors.windows(2).any(|it| it[0].len() != it[1].len()) {
            let text = "the vectors of the model of embeddings are of several lengths";
            return Err(LmError::InvalidResponse(text.to_owned()));
        }
        Ok(vectors)
    }
}

impl Embeddings<'_> {
    fn route<'m>(&self, model: &'m str) -> Result<Route<'m>, LmError> {
        let config = self.models.iter().find(|it| it.model == model);
        let config = config.ok_or_else(|| {
            LmError::Configuration(format!("the program has no model of embeddings `{model}`"))
        })?;
        let endpoint = Endpoint {
            api_base: config.api_base.as_deref(),
            api_key_env: config.api_key_env.as_deref(),
            origin: self.origin,
        };
        Ok(provider::route(model, endpoint, self.gateway.signpost())?.for_embeddings())
    }

    /// Asks again and again while that may help.
    async fn ask(&self, route: &Route<'_>, texts: &[String]) -> Result<Answer, LmError> {
        let config = &self.gateway.config;
        let mut backoff = config.retry_base;
        for retry in 0.. {
            if let Some(wait) = self.gateway.throttle.wait(&route.url, Instant::now()) {
                self.pause(wait, None).await?;
            }
            let Refusal { error, wait } = match self.send(route, texts).await {
                Ok(answer) => return Ok(answer),
                Err(refusal) => refusal,
            };
            if let (LmError::RateLimited { .. }, Some(wait)) = (&error, wait) {
                self.gateway.metrics.lm_rate_limited.add(1);
                let now = Instant::now();
                let until = now + wait.min(config.retry_after_max);
                self.gateway.throttle.block(&route.url, now, until);
            }
            if !error.is_retryable() || retry >= config.retries {
                self.gateway.metrics.lm_errors.add(1);
                return Err(error);
            }
            let spread = if config.retry_jitter { rand::rng().random_range(1.0..2.0) } else { 1.0 };
            self.pause(wait.unwrap_or_else(|| backoff.mul_f64(spread)), Some(error)).await?;
            self.gateway.metrics.lm_retries.add(1);
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
        Err(LmError::Cancelled)
    }

    /// Waits, if there is time for that.
    async fn pause(&self, wait: Duration, why: Option<LmError>) -> Result<(), LmError> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if wait > self.gateway.config.retry_after_max || wait >= left {
            let message = "the endpoint of embeddings asked to slow down".to_owned();
            let slow = LmError::RateLimited { message, retry_after: Some(wait) };
            return Err(why.unwrap_or(slow));
        }
        time::sleep(wait).await;
        Ok(())
    }

    async fn send(&self, route: &Route<'_>, texts: &[String]) -> Result<Answer, Refusal> {
        let config = &self.gateway.config;
        self.gateway.metrics.lm_requests.add(1);
        let body = json!({"model": route.model, "input": texts}).to_string();
        let json = HeaderValue::from_static("application/json");
        let mut request = self.gateway.client.post(&route.url).header(CONTENT_TYPE, json);
        if let Some((header, key)) = &route.key {
            let text = "the key of the endpoint holds characters that no key can have";
            let key = HeaderValue::from_str(key);
            let mut key = key.map_err(|_| LmError::Configuration(text.to_owned()))?;
            key.set_sensitive(true);
            request = request.header(*header, key);
        }
        let left = self.deadline.saturating_duration_since(Instant::now());
        let request = request.timeout(left.min(config.request_timeout)).body(body);
        let response = request.send().await.map_err(|error| client::failed(&error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = client::read(response, config.response_bytes_max).await?;
        let body = body.ok_or_else(|| {
            LmError::InvalidResponse("the answer of the endpoint of embeddings is too long".into())
        })?;
        if !status.is_success() {
            let wait = reply::retry_after(&headers, Utc::now());
            let error = reply::error_of(status, wait, &client::redacted(&body, route));
            return Err(Refusal { error, wait });
        }
        let answer = serde_json::from_slice(&body);
        Ok(answer.map_err(|error| {
            LmError::InvalidResponse(format!("the answer holds no embeddings: {error}"))
        })?)
    }
}

/// The vectors in the order of their texts.
fn in_order(answer: Answer, count: usize) -> Result<Vec<Vec<f32>>, LmError> {
    let mut items = answer.data;
    items.sort_by_key(|it| it.index);
    let is_whole = items.len() == count && (0..).zip(&items).all(|(i, it)| it.index == i);
    if !is_whole || items.iter().any(|it| it.embedding.is_empty()) {
        let text = format!("the answer does not hold one vector for each of {count} texts");
        return Err(LmError::InvalidResponse(text));
    }
    Ok(items.into_iter().map(|it| it.embedding).collect())
}

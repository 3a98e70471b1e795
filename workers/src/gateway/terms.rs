//! The terms of models: how much an endpoint takes, and what a call costs.

use std::{collections::BTreeMap, time::Duration};

use dspy::Usage;
use queue::micros;
use serde::{Deserialize, Serialize};

use super::prices;

/// Tokens that prices are quoted for.
const MILLION: f64 = 1e6;

/// What providers ask for requests in their own batches, of their usual prices.
const BATCH_SHARE: f64 = 0.5;

/// What an operator knows of a model. What is absent is learned from the endpoint, or not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Terms {
    /// Requests that the endpoint takes in a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<f64>,
    /// Tokens, read and written, that it takes in a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<f64>,
    /// Dollars for a million tokens read; a known model's usual price if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_price: Option<f64>,
    /// Dollars for a million of those tokens read that the provider had in its cache; absent, the
    /// usual price of a model whose `input_price` is absent too, and else that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_input_price: Option<f64>,
    /// Dollars for a million tokens written; as of those read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_price: Option<f64>,
    /// The share of these prices that requests in the provider's own batches cost; a half if
    /// absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_share: Option<f64>,
}

/// The terms of models by name: `openai/gpt-4o-mini`, or `openai/*` for all others of a provider.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TermsBook(pub BTreeMap<String, Terms>);

/// How much of something an endpoint takes in a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Supply {
    pub(super) limit: f64,
    pub(super) window: Duration,
}

impl TermsBook {
    /// The terms of a model: its own, its provider's where it has none, and at last what it costs
    /// everybody.
    pub(super) fn of(&self, model: &str) -> Terms {
        let own = self.0.get(model).copied().unwrap_or_default();
        let provider = model.split_once('/').map_or("openai", |(provider, _)| provider);
        let all = self.0.get(&format!("{provider}/*")).copied().unwrap_or_default();
        let usual = prices::of(model);
        let input_price = own.input_price.or(all.input_price);
        let cached_input_price = own.cached_input_price.or(all.cached_input_price);
        let usual_of_cached = usual.filter(|_| input_price.is_none()).and_then(|it| it.cached);
        Terms {
            requests_per_minute: own.requests_per_minute.or(all.requests_per_minute),
            tokens_per_minute: own.tokens_per_minute.or(all.tokens_per_minute),
            input_price: input_price.or(usual.map(|it| it.input)),
            cached_input_price: cached_input_price.or(usual_of_cached),
            output_price: own.output_price.or(all.output_price).or(usual.map(|it| it.output)),
            batch_share: own.batch_share.or(all.batch_share),
        }
    }
}

impl Terms {
    pub(super) fn requests(&self) -> Option<Supply> {
        self.requests_per_minute.map(a_minute)
    }

    pub(super) fn tokens(&self) -> Option<Supply> {
        self.tokens_per_minute.map(a_minute)
    }

    /// The same for requests in the provider's own batches.
    pub(crate) fn in_batch(self) -> Self {
        let share = self.batch_share.unwrap_or(BATCH_SHARE);
        let reduced = |price: Option<f64>| price.map(|it| it * share);
        Self {
            input_price: reduced(self.input_price),
            cached_input_price: reduced(self.cached_input_price),
            output_price: reduced(self.output_price),
            ..self
        }
    }

    /// What tokens cost, in dollars; none if a price is not known.
    pub(super) fn cost(&self, usage: Usage) -> Option<f64> {
        let Usage { prompt_tokens, cached_tokens, .. } = usage;
        let input_price = self.input_price?;
        let read = prompt_tokens.saturating_sub(cached_tokens) as f64 * input_price;
        let cached = cached_tokens as f64 * self.cached_input_price.unwrap_or(input_price);
        let written = usage.completion_tokens as f64 * self.output_price?;
        Some((read + cached + written) / MILLION)
    }

    /// The same in whole millionths of a dollar.
    pub(crate) fn micros(&self, usage: Usage) -> Option<u64> {
        self.cost(usage).map(micros)
    }
}

fn a_minute(limit: f64) -> Supply {
    Supply { limit, window: Duration::from_secs(60) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book() -> TermsBook {
        let all = Terms { requests_per_minute: Some(10.0), ..Terms::default() };
        let own = Terms { input_price: Some(0.15), output_price: Some(0.6), ..Terms::default() };
        TermsBook(BTreeMap::from([("openai/*".to_owned(), all), ("openai/m".to_owned(), own)]))
    }

    #[test]
    fn a_model_has_its_own_terms_and_its_providers() {
        assert_eq!(book().of("openai/m").requests_per_minute, Some(10.0));
        assert_eq!(book().of("openai/m").output_price, Some(0.6));
        assert_eq!(book().of("other").requests_per_minute, Some(10.0));
        assert_eq!(book().of("groq/m"), Terms::default());
    }

    #[test]
    fn a_batch_of_the_provider_costs_half_unless_it_is_said() {
        let usage = Usage { prompt_tokens: 1_000_000, ..Usage::default() };
        let said = Terms { batch_share: Some(0.8), ..book().of("openai/m") };

        assert_eq!(book().of("openai/m").in_batch().micros(usage), Some(75_000));
        assert_eq!(said.in_batch().micros(usage), Some(120_000));
    }

    #[test]
    fn tokens_from_the_providers_cache_have_a_price_of_their_own() {
        let usage = Usage { prompt_tokens: 1_000_000, cached_tokens: 600_000, ..Usage::default() };
        let said = Terms { cached_input_price: Some(0.01), ..book().of("openai/m") };

        assert_eq!(book().of("openai/gpt-4o-mini").micros(usage), Some(60_000 + 45_000));
        assert_eq!(book().of("openai/m").micros(usage), Some(150_000), "the operator's price");
        assert_eq!(said.micros(usage), Some(60_000 + 6_000));
        assert_eq!(said.in_batch().micros(usage), Some(33_000));
    }

    #[test]
    fn costs_are_whole_millionths_rounded_up() {
        let usage = Usage { prompt_tokens: 7, completion_tokens: 5, ..Usage::default() };

        assert_eq!(book().of("openai/m").micros(usage), Some(5));
        assert_eq!(book().of("openai/other").micros(usage), None);
    }
}

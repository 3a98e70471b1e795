//! How fast a model may be asked: as configured, else as its endpoint says.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use queue::Rate;
use sha2::{Digest, Sha256};

use super::{
    supply::{Gauge, Told},
    terms::{Supply, TermsBook},
};

/// The most endpoints whose limits are remembered.
const LEARNED_MAX: usize = 1000;

/// The supply that every call takes of, so that an endpoint that asks to slow down is left alone
/// by the whole fleet even where its limits are not known.
const UNLIMITED: Supply = Supply { limit: 1e12, window: Duration::from_secs(60) };

/// The limits of endpoints.
#[derive(Debug, Default)]
pub(super) struct Pace {
    book: TermsBook,
    learned: Mutex<HashMap<String, Learned>>,
}

/// What an endpoint has said.
#[derive(Clone, Copy, Debug, Default)]
struct Learned {
    requests: Option<Supply>,
    tokens: Option<Supply>,
}

/// What one call takes of its endpoint's supplies.
#[derive(Clone, Debug)]
pub(super) struct Share {
    /// The endpoint, key and model, as the store knows them.
    name: String,
    tokens: Option<Supply>,
    estimate: u64,
    pub(super) rates: Vec<Rate>,
}

impl Pace {
    pub(super) fn new(book: TermsBook) -> Self {
        Self { book, learned: Mutex::default() }
    }

    /// What a call takes that will use about so many tokens.
    pub(super) fn share(&self, endpoint: &Endpoint<'_>, estimate: u64) -> Share {
        let name = endpoint.name();
        let terms = self.book.of(endpoint.model);
        let learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        let said = learned.get(&name).copied().unwrap_or_default();
        drop(learned);
        let requests = terms.requests().or(said.requests).unwrap_or(UNLIMITED);
        let tokens = terms.tokens().or(said.tokens);
        let mut rates = vec![rate(&name, "requests", requests, 1.0)];
        rates.extend(tokens.map(|it| rate(&name, "tokens", it, estimate as f64)));
        Share { name, tokens, estimate, rates }
    }

    /// Remembers what an endpoint says of its limits.
    pub(super) fn learn(&self, share: &Share, told: &Told) {
        let supply = |gauge: Option<Gauge>| gauge.and_then(|it| it.supply());
        let (requests, tokens) = (supply(told.requests), supply(told.tokens));
        if requests.is_none() && tokens.is_none() {
            return;
        }
        let mut learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        if learned.len() < LEARNED_MAX || learned.contains_key(&share.name) {
            let known = learned.entry(share.name.clone()).or_default();
            known.requests = requests.or(known.requests);
            known.tokens = tokens.or(known.tokens);
        }
    }
}

impl Share {
    /// What the call took beyond what was reserved for it, now that it is known.
    pub(super) fn corrections(&self, used: u64) -> Vec<Rate> {
        let beyond = used as f64 - self.estimate as f64;
        let tokens = self.tokens.filter(|_| beyond.abs() >= 1.0);
        tokens.map(|it| rate(&self.name, "tokens", it, beyond)).into_iter().collect()
    }

    /// The name of the supply of requests.
    pub(super) fn requests(&self) -> &str {
        self.rates.first().map_or("", |it| &it.name)
    }
}

/// Who is asked, with whose key, for what.
pub(super) struct Endpoint<'a> {
    pub(super) url: &'a str,
    pub(super) key: &'a str,
    pub(super) model: &'a str,
}

impl Endpoint<'_> {
    /// A name that does not tell the key.
    fn name(&self) -> String {
        let Self { url, key, model } = self;
        format!("{:.24x}", Sha256::digest(format!("{url}\n{key}\n{model}")))
    }
}

fn rate(name: &str, what: &str, supply: Supply, amount: f64) -> Rate {
    let Supply { limit, window } = supply;
    Rate { name: format!("{name}:{what}"), limit, window, amount }
}

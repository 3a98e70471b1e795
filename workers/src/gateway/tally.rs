//! What an execution used of its models.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use dspy::Usage;
use serde::Serialize;

use super::Terms;

/// What was used of each model; of calls whose execution came to nothing, too.
#[derive(Debug, Default)]
pub struct Tally(Mutex<BTreeMap<String, Used>>);

/// What was used of one model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Used {
    /// Its tokens.
    #[serde(flatten)]
    pub usage: Usage,
    /// Dollars; none if a price is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
}

impl Tally {
    /// What was used so far, by model.
    pub fn used(&self) -> BTreeMap<String, Used> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts a call. Those of one model may have been made on different terms.
    pub(crate) fn add(&self, model: &str, usage: Usage, terms: Terms) {
        let mut tally = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let used = tally.entry(model.to_owned()).or_default();
        let before = if used.usage == Usage::default() { Some(0.0) } else { used.cost };
        used.usage += usage;
        used.cost = before.zip(terms.cost(usage)).map(|(before, more)| before + more);
    }
}

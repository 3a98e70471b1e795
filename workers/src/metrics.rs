//! What a worker process did since it started, for `/metrics`.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that many tasks add to.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// The number now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn sub(&self, n: u64) {
        self.0.fetch_sub(n, Ordering::Relaxed);
    }

    pub(crate) fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }
}

macro_rules! metrics {
    ($($(#[doc = $doc:literal])+ $name:ident,)*) => {
        /// What a worker process did since it started, shared by its parts.
        #[derive(Debug, Default)]
        pub struct Metrics {
            $($(#[doc = $doc])+ pub $name: Counter,)*
        }

        impl Metrics {
            /// Every number, with its name and what it counts.
            pub fn all(&self) -> Vec<(&'static str, &'static str, u64)> {
                vec![$((stringify!($name), concat!($($doc),+).trim_ascii(), self.$name.get()),)*]
            }
        }
    };
}

metrics! {
    /// Executions that run now.
    running,
    /// Items of a claimed chunk that wait for a slot now.
    waiting,
    /// Executions claimed.
    claimed,
    /// Claims that failed because the store could not be reached.
    claim_errors,
    /// Attempts that gave outputs.
    succeeded,
    /// Attempts that failed for good.
    failed,
    /// Attempts that failed and are due again.
    retried,
    /// Attempts put off because a model asked to slow down.
    throttled,
    /// Executions given back unfinished.
    returned,
    /// Executions stopped by request.
    cancelled,
    /// Executions whose deadline passed here.
    expired,
    /// Results that did not count, because the lease was lost.
    refused,
    /// Results that counted although the lease was lost.
    late,
    /// Results given up, because the worker had to stop before the store came back.
    abandoned,
    /// Programs that panicked.
    panics,
    /// Heartbeats that failed.
    beat_errors,
    /// How often this worker was declared dead and took a new name.
    declared_dead,
    /// Processes of Python programs that run now, without their parents.
    python_processes,
    /// Processes of Python programs that were started.
    python_started,
    /// Python programs that could not be loaded or started.
    python_start_errors,
    /// Processes of Python programs that were killed because they did not stop.
    python_killed,
    /// Processes of Python programs that ended while they ran something.
    python_crashed,
    /// Requests sent to model endpoints, repeated ones too.
    lm_requests,
    /// Requests repeated.
    lm_retries,
    /// Answers that asked to slow down.
    lm_rate_limited,
    /// Requests that waited for their turn at a limited endpoint.
    lm_paced,
    /// Replies taken from an equal call.
    lm_cache_hits,
    /// Replies that an earlier attempt of the execution had paid for.
    lm_replayed,
    /// Calls of models that gave no reply in the end.
    lm_errors,
    /// Batches made at providers.
    provider_batches,
    /// Requests sent in batches of providers.
    provider_requests,
    /// Replies and refusals taken from batches of providers.
    provider_replies,
    /// Tokens read by models.
    lm_prompt_tokens,
    /// Tokens written by models.
    lm_completion_tokens,
    /// Calls of tools.
    tool_calls,
    /// Calls of tools that gave nothing.
    tool_errors,
    /// Milliseconds that calls of tools took together.
    tool_milliseconds,
    /// Traces that MLflow did not take.
    traces_refused,
    /// Texts kept once for all traces that repeat them, those that were kept anew too.
    trace_texts_kept,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_name_and_a_description() {
        let metrics = Metrics::default();
        metrics.succeeded.add(2);

        let all = metrics.all();

        assert!(all.contains(&("succeeded", "Attempts that gave outputs.", 2)));
        assert!(all.iter().all(|(_, help, _)| help.ends_with('.')));
    }
}

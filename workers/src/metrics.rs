//! How a worker process is, and what it did since it started, for `/metrics`.

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

/// A number, as it is when it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it counts, as a sentence.
    pub help: &'static str,
    /// The number.
    pub value: u64,
    /// Whether it tells how it is now, and may go down.
    pub is_now: bool,
}

macro_rules! metrics {
    (
        now { $($(#[doc = $now_doc:literal])+ $now:ident,)* }
        so_far { $($(#[doc = $doc:literal])+ $name:ident,)* }
    ) => {
        /// How a worker process is and what it did since it started, shared by its parts.
        #[derive(Debug, Default)]
        pub struct Metrics {
            $($(#[doc = $now_doc])+ pub $now: Counter,)*
            $($(#[doc = $doc])+ pub $name: Counter,)*
        }

        impl Metrics {
            /// Every number.
            pub fn all(&self) -> Vec<Metric> {
                vec![
                    $(Metric {
                        name: stringify!($now),
                        help: concat!($($now_doc),+).trim_ascii(),
                        value: self.$now.get(),
                        is_now: true,
                    },)*
                    $(Metric {
                        name: stringify!($name),
                        help: concat!($($doc),+).trim_ascii(),
                        value: self.$name.get(),
                        is_now: false,
                    },)*
                ]
            }
        }
    };
}

metrics! {
now {
    /// Executions that run.
    running,
    /// Items of a claimed chunk that wait for a slot.
    waiting,
    /// Processes of Python programs, without their parents.
    python_processes,
    /// Executions that wait for a process of their Python program.
    python_waiting,
}
so_far {
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_name_and_a_description() {
        let metrics = Metrics::default();
        metrics.succeeded.add(2);

        let all = metrics.all();

        let help = "Attempts that gave outputs.";
        assert!(all.contains(&Metric { name: "succeeded", help, value: 2, is_now: false }));
        assert!(all.iter().all(|it| it.help.ends_with('.')));
    }
}

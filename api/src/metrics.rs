//! Numbers for Prometheus: the fleet's from the store, and this process's requests.

use std::{sync::atomic::AtomicU64, time::Duration};

use axum::{
    extract::State,
    http::{HeaderName, header::CONTENT_TYPE},
};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::{ConstGauge, Gauge},
        histogram::Histogram,
    },
    registry::Registry,
};
use queue::{Channel, ChannelStats, ObjectCounts, Stats, StatsFilter};
use tracing::warn;

use crate::{App, worker_numbers};

/// What this process counts itself.
pub(crate) struct Numbers {
    requests: Family<RequestLabels, Counter>,
    durations: Family<RouteLabels, Histogram, fn() -> Histogram>,
    registry: Registry,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: String,
    status: u16,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct RouteLabels {
    route: String,
}

/// From a fraction of a millisecond to a long poll.
const SECONDS: [f64; 12] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0, 15.0, 60.0];

impl Default for Numbers {
    fn default() -> Self {
        let requests = Family::default();
        let new: fn() -> Histogram = || Histogram::new(SECONDS);
        let durations = Family::new_with_constructor(new);
        let mut registry = Registry::with_prefix("dspyx_http");
        registry.register("requests", "Requests answered by this process", requests.clone());
        let help = "Time until the answer began, in this process";
        registry.register("request_duration_seconds", help, durations.clone());
        Self { requests, durations, registry }
    }
}

impl Numbers {
    /// Counts one request. Routes are templates and methods are few, which bounds the labels.
    pub(crate) fn count(&self, method: &'static str, route: &str, status: u16, took: Duration) {
        let labels = RequestLabels { method, route: route.to_owned(), status };
        self.requests.get_or_create(&labels).inc();
        let labels = RouteLabels { route: labels.route };
        self.durations.get_or_create(&labels).observe(took.as_secs_f64());
    }
}

/// What says of an answer that it is in the OpenMetrics text format.
pub(crate) const CONTENT: Content =
    [(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")];
type Content = [(HeaderName, &'static str); 1];

/// Numbers for Prometheus, in the OpenMetrics text format.
#[utoipa::path(
    get, path = "/metrics", tag = "Operation",
    responses((status = 200, description = "The numbers", body = String,
        content_type = "application/openmetrics-text"))
)]
pub(crate) async fn show(State(app): State<App>) -> (Content, String) {
    let mut fleet = Registry::with_prefix("dspyx");
    match app.queue.stats(&StatsFilter::default()).await {
        Ok(stats) => describe(&stats, &mut fleet),
        Err(error) => {
            warn!(%error, "metrics without the fleet's numbers");
            gauge(&mut fleet, "store_up", "Whether the store answers", 0.0);
        }
    }
    if let Ok(outbox) = app.queue.outbox().await {
        describe_outbox(outbox, &mut fleet);
    }
    let help = "Uploads of batches that this process reads";
    gauge(&mut fleet, "uploads_now", help, app.uploads_now() as f64);
    describe_objects(app.queue.object_counts(), &mut fleet);
    if let Some(readings) = &app.worker {
        worker_numbers::describe(readings, &mut fleet);
    }
    if let Some(spans) = &app.spans {
        let help = "Spans of this process that the collector could not be given";
        counter(&mut fleet, "spans_dropped", help, spans.dropped());
    }
    let mut text = String::new();
    // Writing into memory cannot fail.
    let _ = encode(&mut text, &fleet);
    let whole = text.trim_end().trim_end_matches("# EOF").len();
    text.truncate(whole);
    let _ = encode(&mut text, &app.local.numbers.registry);
    (CONTENT, text)
}

fn describe(stats: &Stats, to: &mut Registry) {
    gauge(to, "store_up", "Whether the store answers", 1.0);
    gauge(to, "paused", "Whether the queue is paused", f64::from(u8::from(stats.paused)));
    let depth = stats.depth;
    let states = [
        ("queued", depth.queued),
        ("running", depth.running),
        ("scheduled", depth.scheduled),
        ("dead", depth.dead),
    ];
    by(to, "executions_now", "Executions that have not ended, or are dead", "state", states);
    let age = depth.oldest_age.unwrap_or_default().as_secs_f64();
    gauge(to, "oldest_age_seconds", "How long the oldest queued execution waits", age);
    gauge(to, "workers", "Live workers", stats.workers.len() as f64);
    let slots: usize = stats.workers.iter().map(|it| it.slots).sum();
    gauge(to, "worker_slots", "Slots of all live workers", slots as f64);
    let ended = stats.ended;
    let ends = [
        ("succeeded", ended.succeeded),
        ("failed", ended.failed),
        ("cancelled", ended.cancelled),
        ("expired", ended.expired),
    ];
    by(to, "executions_ended", "Executions that ended, of the fleet", "status", ends);
    counter(to, "attempts_retried", "Attempts that failed and were followed", stats.retries);
    counter(to, "dry_runs", "Dry runs", stats.dry_runs);
    counter(to, "cache_hits", "Submissions answered from the cache", stats.cache_hits);
    counter(to, "cache_misses", "Submissions not answered from the cache", stats.cache_misses);
    durations(stats, to);
}

fn describe_outbox(outbox: [ChannelStats; Channel::ALL.len()], to: &mut Registry) {
    let all = |count: fn(ChannelStats) -> u64| {
        let mut counts = outbox.into_iter().map(count);
        Channel::ALL.map(|it| (it.as_str(), counts.next().unwrap_or_default()))
    };
    let help = "Ends that are still to be told, of the fleet";
    by(to, "outbox_waiting", help, "channel", all(|it| it.waiting));
    by(to, "outbox_sent", "Ends that were told, of the fleet", "channel", all(|it| it.sent));
    let help = "Ends that nobody will be told of, of the fleet";
    by(to, "outbox_dropped", help, "channel", all(|it| it.dropped));
}

fn describe_objects(counts: ObjectCounts, to: &mut Registry) {
    let requests = [
        ("write", counts.written),
        ("read", counts.read),
        ("delete", counts.deleted),
        ("failed", counts.failed),
    ];
    let help = "What this process has asked of the object store; failed is after repetitions";
    by(to, "object_store_requests", help, "kind", requests);
    let bytes = [("write", counts.bytes_written), ("read", counts.bytes_read)];
    let help = "Bytes this process has written to and read from the object store";
    by(to, "object_store_bytes", help, "kind", bytes);
}

fn durations(stats: &Stats, to: &mut Registry) {
    let family = Family::<Vec<(&str, &str)>, Gauge<f64, AtomicU64>>::default();
    for (name, share) in [("0.5", 0.5), ("0.95", 0.95), ("0.99", 0.99)] {
        let seconds = stats.durations.quantile(share).unwrap_or_default().as_secs_f64();
        family.get_or_create(&vec![("quantile", name)]).set(seconds);
    }
    to.register("execution_duration_seconds", "How long programs ran, of the fleet", family);
}

fn gauge(to: &mut Registry, name: &str, help: &str, value: f64) {
    to.register(name, help, ConstGauge::new(value));
}

fn counter(to: &mut Registry, name: &str, help: &str, value: u64) {
    to.register(name, help, ConstCounter::new(value));
}

/// Gauges for all: the store forgets what is too old, so these may also go down.
fn by<const N: usize>(
    to: &mut Registry,
    name: &str,
    help: &str,
    label: &'static str,
    values: [(&'static str, u64); N],
) {
    let family = Family::<Vec<(&str, &str)>, Gauge<f64, AtomicU64>>::default();
    for (word, value) in values {
        family.get_or_create(&vec![(label, word)]).set(value as f64);
    }
    to.register(name, help, family);
}

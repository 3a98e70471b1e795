//! From spans that have ended to a collector: they wait in a queue that is bounded, and one task
//! sends them, many at once. Whoever ends a span never waits. What cannot be sent is counted, and
//! said once until it works again.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use opentelemetry::Context;
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanExporter, SpanProcessor},
};
use tokio::{sync::mpsc, time};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Where ended spans are put.
pub(super) struct Outbox {
    queue: mpsc::Sender<SpanData>,
    dropped: Arc<AtomicU64>,
}

/// Who sends them.
pub(super) struct Sender<E> {
    pub(super) exporter: E,
    /// How many are sent at once.
    pub(super) batch: usize,
    /// How long they wait for others.
    pub(super) delay: Duration,
    pub(super) stop: CancellationToken,
    queue: mpsc::Receiver<SpanData>,
    dropped: Arc<AtomicU64>,
    /// How many were dropped when the collector began to fail; none while it works.
    failing_since: Option<u64>,
}

impl<E: SpanExporter> Sender<E> {
    /// A sender, and where it takes from: room for so many spans.
    pub(super) fn new(
        exporter: E,
        how: &crate::config::Traces,
        stop: CancellationToken,
        dropped: Arc<AtomicU64>,
    ) -> (Self, Outbox) {
        let (sender, queue) = mpsc::channel(how.queue);
        let outbox = Outbox { queue: sender, dropped: Arc::clone(&dropped) };
        let (batch, delay) = (how.batch, how.delay);
        (Self { exporter, batch, delay, stop, queue, dropped, failing_since: None }, outbox)
    }

    /// Sends until it is to stop; then the rest.
    pub(super) async fn run(mut self) {
        while !self.stop.is_cancelled() {
            let batch = self.gather().await;
            self.deliver(batch).await;
        }
        self.queue.close();
        loop {
            let mut rest = Vec::new();
            if self.queue.recv_many(&mut rest, self.batch).await == 0 {
                return;
            }
            self.deliver(rest).await;
        }
    }

    /// As many spans as are sent at once; fewer after the delay, or if it is to stop.
    async fn gather(&mut self) -> Vec<SpanData> {
        let mut batch = Vec::new();
        let (queue, most, delay) = (&mut self.queue, self.batch, self.delay);
        let full = async {
            queue.recv_many(&mut batch, most).await;
            drop(time::timeout(delay, fill(queue, &mut batch, most)).await);
        };
        self.stop.run_until_cancelled(full).await;
        batch
    }

    /// Sends a batch; the exporter does it again while that may help, within its timeout.
    async fn deliver(&mut self, batch: Vec<SpanData>) {
        let count = batch.len() as u64;
        if count == 0 {
            return;
        }
        match self.exporter.export(batch).await {
            Ok(()) => self.works(),
            Err(error) => {
                self.fails(&error);
                self.dropped.fetch_add(count, Ordering::Relaxed);
            }
        }
    }

    fn works(&mut self) {
        if let Some(before) = self.failing_since.take() {
            let dropped = self.dropped.load(Ordering::Relaxed) - before;
            info!(dropped, "the collector takes spans again; {dropped} were dropped");
        }
    }

    fn fails(&mut self, error: &dyn fmt::Display) {
        if self.failing_since.is_none() {
            self.failing_since = Some(self.dropped.load(Ordering::Relaxed));
            warn!(%error, "cannot give spans to the collector of OTEL_EXPORTER_OTLP_ENDPOINT: \
                {error}; executions go on, spans are dropped until it takes them");
        }
    }
}

async fn fill(queue: &mut mpsc::Receiver<SpanData>, batch: &mut Vec<SpanData>, most: usize) {
    while batch.len() < most && queue.recv_many(batch, most - batch.len()).await > 0 {}
}

impl SpanProcessor for Outbox {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.queue.try_send(span).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whoever owns the sender stops it, which sends what is left.
    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outbox")
    }
}

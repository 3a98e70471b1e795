//! Traces, for whoever wants them: spans of what this process does, sent to an OpenTelemetry
//! collector by OTLP over HTTP. Without a collector nothing of it is there.

mod outbox;

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use opentelemetry::{InstrumentationScope, KeyValue, global::BoxedTracer, trace::TracerProvider};
use opentelemetry_otlp::{Protocol, WithExportConfig};
use opentelemetry_sdk::{
    Resource,
    resource::EnvResourceDetector,
    trace::{SdkTracerProvider, SpanExporter},
};
use tokio::{task::JoinSet, time};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::outbox::Sender;
use crate::config::{self, Usage};

/// How long the last spans may take to be sent, when everything else has stopped.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// The way of spans to a collector.
pub(crate) struct Traces {
    provider: SdkTracerProvider,
    content: bool,
    dropped: Arc<AtomicU64>,
    stop: CancellationToken,
    sending: JoinSet<()>,
}

impl Traces {
    /// Begins to send spans of a service of that name, if the environment names a collector.
    pub(crate) fn start(service: &'static str) -> Result<Option<Self>, Usage> {
        let Some(how) = config::traces() else { return Ok(None) };
        // Fails only if the process has chosen one already, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let mut exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .build()
            .map_err(|error| Usage(format!("cannot send traces: {error}")))?;
        let resource = resource(service, &how);
        exporter.set_resource(&resource);
        let (dropped, stop) = (Arc::default(), CancellationToken::new());
        let (sender, outbox) = Sender::new(exporter, &how, stop.clone(), Arc::clone(&dropped));
        let mut sending = JoinSet::new();
        sending.spawn(sender.run());
        let provider = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_span_processor(outbox)
            .build();
        info!("sending traces to the collector of the environment");
        Ok(Some(Self { provider, content: how.content, dropped, stop, sending }))
    }

    /// What makes the spans of an API.
    pub(crate) fn of_api(&self) -> api::Spans {
        api::Spans::new(self.tracer(), Arc::clone(&self.dropped))
    }

    /// What makes the spans of a worker.
    pub(crate) fn of_worker(&self) -> workers::Spans {
        workers::Spans::new(self.tracer(), self.content)
    }

    /// Sends what is left. Called when nothing makes spans any more.
    pub(crate) async fn finish(mut self) {
        self.stop.cancel();
        if time::timeout(FLUSH_TIMEOUT, self.sending.join_next()).await.is_err() {
            warn!("the last spans could not be given to the collector in time");
        }
        self.sending.shutdown().await;
    }

    fn tracer(&self) -> BoxedTracer {
        let scope = InstrumentationScope::builder("dspyx").with_version(env!("CARGO_PKG_VERSION"));
        BoxedTracer::new(Box::new(self.provider.tracer_with_scope(scope.build())))
    }
}

/// What the spans are of: this process, and what the environment says of it.
fn resource(service: &'static str, how: &config::Traces) -> Resource {
    let own = [
        KeyValue::new("service.name", service),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("process.pid", i64::from(std::process::id())),
    ];
    let named = how.service_name.clone().map(|it| KeyValue::new("service.name", it));
    Resource::builder_empty()
        .with_attributes(own)
        .with_detector(Box::new(EnvResourceDetector::new()))
        .with_attributes(named)
        .build()
}

//! What of the environment concerns traces: the variables of OpenTelemetry, which are one for all
//! programs of a machine, and so no settings of ours. Further ones are read by its own crates: the
//! endpoint, its headers and timeout, the sampler, the attributes of the resource.

use std::{str::FromStr, time::Duration};

use super::variable;

/// Whether traces are made, and how they are sent.
#[derive(Clone, Debug)]
pub(crate) struct Traces {
    /// What the service is called, if somebody says.
    pub(crate) service_name: Option<String>,
    /// Whether spans show what models and tools are told and say.
    pub(crate) content: bool,
    /// How many spans may wait.
    pub(crate) queue: usize,
    /// How many are sent at once.
    pub(crate) batch: usize,
    /// How long they wait for others.
    pub(crate) delay: Duration,
}

/// How traces are made; none if there is nowhere to send them, or nobody wants them.
pub(crate) fn traces() -> Option<Traces> {
    let is =
        |name: &str, word: &str| variable(name).is_some_and(|it| it.eq_ignore_ascii_case(word));
    let endpoint = variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
        .or_else(|| variable("OTEL_EXPORTER_OTLP_ENDPOINT"));
    if endpoint.is_none() || is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none") {
        return None;
    }
    let queue = number("OTEL_BSP_MAX_QUEUE_SIZE").unwrap_or(2048).clamp(1, 1_000_000);
    let batch = number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE").unwrap_or(512).clamp(1, queue);
    let delay = number("OTEL_BSP_SCHEDULE_DELAY").unwrap_or(5000);
    Some(Traces {
        service_name: variable("OTEL_SERVICE_NAME"),
        content: is("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true"),
        queue,
        batch,
        delay: Duration::from_millis(delay),
    })
}

/// A number; OpenTelemetry wants what is none to be taken for its default.
fn number<T: FromStr>(name: &str) -> Option<T> {
    variable(name)?.trim().parse().ok()
}

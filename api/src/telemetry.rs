//! The spans of requests that put work in, by OpenTelemetry's conventions for HTTP servers, and
//! how what they put in comes to know of them. Knows nothing of where spans go.
//!
//! Source of the names: <https://opentelemetry.io/docs/specs/semconv/http/http-spans/>.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    extract::{FromRequestParts, Request},
    http::{
        HeaderMap, HeaderName, StatusCode,
        header::{HOST, USER_AGENT},
        request::Parts,
    },
};
use opentelemetry::{
    Context, KeyValue,
    global::{BoxedSpan, BoxedTracer},
    trace::{
        Span, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt, TraceFlags, TraceState,
        Tracer,
    },
};
use queue::TraceParent;

use crate::PREFIX;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Where work is put in, below the prefix.
const TRACED: [&str; 2] = ["/execute", "/execute/batch"];

/// Makes spans of requests.
#[derive(Debug)]
pub struct Spans {
    tracer: BoxedTracer,
    dropped: Arc<AtomicU64>,
}

/// The span of a request that is being answered. Ends when dropped.
pub(crate) struct RequestSpan(BoxedSpan);

/// The span of the request, if it has one.
#[derive(Clone, Copy)]
pub(crate) struct Cause(pub(crate) Option<TraceParent>);

impl Spans {
    /// Makes them with that tracer. `dropped` counts the process's spans that came nowhere, for
    /// the metrics.
    pub fn new(tracer: BoxedTracer, dropped: Arc<AtomicU64>) -> Self {
        Self { tracer, dropped }
    }

    /// How many spans of this process came nowhere.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Begins the span of a request for a route, if it puts work in. The request knows of it.
    pub(crate) fn begin(
        &self,
        method: &'static str,
        route: &str,
        request: &mut Request,
    ) -> Option<RequestSpan> {
        if method != "POST" || !route.strip_prefix(PREFIX).is_some_and(|it| TRACED.contains(&it)) {
            return None;
        }
        let builder = SpanBuilder::from_name(format!("{method} {route}"))
            .with_kind(SpanKind::Server)
            .with_attributes(attributes(method, route, request));
        let span = self.tracer.build_with_context(builder, &cause_of(request.headers()));
        request.extensions_mut().insert(Cause(name_of(span.span_context())));
        Some(RequestSpan(span))
    }
}

impl RequestSpan {
    /// Ends it with what was answered.
    pub(crate) fn end(mut self, status: StatusCode) {
        self.0
            .set_attribute(KeyValue::new("http.response.status_code", i64::from(status.as_u16())));
        if status.is_server_error() {
            self.0.set_attribute(KeyValue::new("error.type", status.as_str().to_owned()));
            self.0.set_status(Status::error(""));
        }
        self.0.end();
    }
}

impl<S: Sync> FromRequestParts<S> for Cause {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().copied().unwrap_or(Self(None)))
    }
}

fn attributes(method: &'static str, route: &str, request: &Request) -> Vec<KeyValue> {
    let header = |name| request.headers().get(name).and_then(|it| it.to_str().ok());
    let mut all = vec![
        KeyValue::new("http.request.method", method),
        KeyValue::new("http.route", route.to_owned()),
        KeyValue::new("url.path", request.uri().path().to_owned()),
        KeyValue::new("url.scheme", "http"),
        KeyValue::new("network.protocol.version", "1.1"),
    ];
    if let Some(agent) = header(USER_AGENT) {
        all.push(KeyValue::new("user_agent.original", agent.to_owned()));
    }
    if let Some(Ok(host)) = header(HOST).map(str::parse::<axum::http::uri::Authority>) {
        all.push(KeyValue::new("server.address", host.host().to_owned()));
        all.extend(host.port_u16().map(|port| KeyValue::new("server.port", i64::from(port))));
    }
    all
}

/// The caller's span, if it names one; the standard has one that cannot be read ignored.
fn cause_of(headers: &HeaderMap) -> Context {
    let mut given = headers.get_all(TRACEPARENT).iter();
    let (Some(one), None) = (given.next(), given.next()) else { return Context::new() };
    let Some(Ok(parent)) = one.to_str().ok().map(str::parse::<TraceParent>) else {
        return Context::new();
    };
    Context::new().with_remote_span_context(SpanContext::new(
        parent.trace().into(),
        parent.span().into(),
        TraceFlags::default().with_sampled(parent.is_sampled()),
        true,
        TraceState::default(),
    ))
}

fn name_of(span: &SpanContext) -> Option<TraceParent> {
    let trace = u128::from_be_bytes(span.trace_id().to_bytes());
    TraceParent::new(trace, u64::from_be_bytes(span.span_id().to_bytes()), span.is_sampled())
}

//! The span of an attempt. Of a single execution it belongs to the trace of the request that asked;
//! an item of a batch has a trace of its own with a link to the batch's request, so that a batch is
//! not one trace of a hundred thousand spans.

use opentelemetry::{
    Context, KeyValue,
    trace::{
        Link, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt, TraceFlags, TraceState,
        Tracer,
    },
};
use queue::{End, Failure, FailureKind, Mode, Task, TraceParent};

use super::{Parent, Spans};

/// The span of an attempt, if attempts have spans.
pub(crate) struct AttemptSpan<'a>(Option<(&'a Spans, Context)>);

impl<'a> AttemptSpan<'a> {
    /// Begins it.
    pub(crate) fn begin(spans: Option<&'a Spans>, task: &Task) -> Self {
        let Some(spans) = spans else { return Self(None) };
        let cause = task.spec.trace.map(span_of);
        let (above, link) = match task.id.item_of() {
            Some(_) => (None, cause.map(Link::with_context)),
            None => (cause, None),
        };
        let builder = SpanBuilder::from_name("dspyx.execution")
            .with_kind(SpanKind::Consumer)
            .with_attributes(attributes(task))
            .with_links(link.into_iter().collect());
        let above =
            above.map_or_else(Context::new, |it| Context::new().with_remote_span_context(it));
        let span = spans.tracer.build_with_context(builder, &above);
        Self(Some((spans, Context::new().with_span(span))))
    }

    /// It as the parent of others, if it is recorded.
    pub(crate) fn parent(&self) -> Option<Parent<'_>> {
        let (spans, context) = self.0.as_ref()?;
        context.span().is_recording().then_some(Parent { spans, context })
    }

    /// The id of its trace, if it is recorded.
    pub(crate) fn trace_id(&self) -> Option<String> {
        let Parent { context, .. } = self.parent()?;
        Some(context.span().span_context().trace_id().to_string())
    }

    /// Ends it with what the attempt came to.
    pub(crate) fn end(self, end: &End) {
        let Some(Parent { context, .. }) = self.parent() else { return };
        let (outcome, error) = outcome(end);
        let span = context.span();
        span.set_attribute(KeyValue::new("dspyx.execution.outcome", outcome));
        if let Some(kind) = error {
            span.set_attribute(KeyValue::new("error.type", kind.as_str()));
            span.set_status(Status::error(""));
        }
        span.end();
    }
}

fn attributes(task: &Task) -> Vec<KeyValue> {
    let spec = &task.spec;
    let mut all = vec![
        KeyValue::new("dspyx.execution.id", task.id.to_string()),
        KeyValue::new("dspyx.execution.attempt", i64::from(task.attempts_used()) + 1),
        KeyValue::new("dspyx.program.name", spec.program.clone()),
        KeyValue::new("dspyx.program.version", spec.version.clone()),
    ];
    if task.generation > 0 {
        all.push(KeyValue::new("dspyx.execution.generation", i64::from(task.generation)));
    }
    if spec.mode == Mode::Debug {
        all.push(KeyValue::new("dspyx.execution.mode", "debug"));
    }
    if let Some((batch, _)) = task.id.item_of() {
        all.push(KeyValue::new("dspyx.batch.id", batch.to_string()));
    }
    all
}

fn span_of(parent: TraceParent) -> SpanContext {
    let flags = TraceFlags::default().with_sampled(parent.is_sampled());
    let (trace, span) = (parent.trace().into(), parent.span().into());
    SpanContext::new(trace, span, flags, true, TraceState::default())
}

/// How an attempt ended in a word, and its error if it is one.
fn outcome(end: &End) -> (&'static str, Option<FailureKind>) {
    let kind = |it: &Failure| Some(it.kind);
    match end {
        End::Succeeded(_) => ("succeeded", None),
        End::Failed(report) => ("failed", report.failure.as_ref().and_then(kind)),
        End::Retry(failure, _) => ("retried", kind(failure)),
        End::Throttled(failure, _) => ("throttled", kind(failure)),
        End::Returned => ("returned", None),
        End::Cancelled => ("cancelled", None),
        End::Expired => ("expired", Some(FailureKind::Timeout)),
    }
}

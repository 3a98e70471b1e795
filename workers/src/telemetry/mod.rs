//! Spans, as OpenTelemetry has them: one an attempt, and below it one for each call of a model or a
//! tool. Knows nothing of where they go: whoever starts the worker gives it a tracer, or none, and
//! then nothing of this is made.

mod attempt;
mod content;
mod model;
mod tool;

use opentelemetry::{
    Context, KeyValue,
    global::{BoxedSpan, BoxedTracer},
    trace::{Span, SpanBuilder, Status, Tracer},
};

pub(crate) use attempt::AttemptSpan;
pub(crate) use model::{Asked, ModelSpan, Work};
pub(crate) use tool::ToolSpan;

/// Makes the spans of a worker.
#[derive(Debug)]
pub struct Spans {
    tracer: BoxedTracer,
    content: bool,
}

impl Spans {
    /// Makes them with that tracer. `content` says whether they show what models and tools are
    /// told and say.
    pub fn new(tracer: BoxedTracer, content: bool) -> Self {
        Self { tracer, content }
    }
}

/// The span that others are made below, while it is recorded.
#[derive(Clone, Copy)]
pub(crate) struct Parent<'a> {
    spans: &'a Spans,
    context: &'a Context,
}

impl Parent<'_> {
    fn begin(self, builder: SpanBuilder) -> Child {
        Child(self.spans.tracer.build_with_context(builder, self.context))
    }
}

/// A span below an attempt's. One that is dropped before it has ended was called off.
struct Child(BoxedSpan);

impl Child {
    fn add(&mut self, attribute: KeyValue) {
        self.0.set_attribute(attribute);
    }

    /// Marks it as failed, for a reason of few.
    fn fail(&mut self, reason: &'static str) {
        self.0.set_attribute(KeyValue::new("error.type", reason));
        self.0.set_status(Status::error(""));
    }

    fn end(mut self) {
        self.0.end();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.0.is_recording() {
            self.fail("cancelled");
        }
    }
}

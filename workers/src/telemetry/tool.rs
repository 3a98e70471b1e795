//! The span of a call of a tool, by OpenTelemetry's conventions for generative AI.
//!
//! Source of the names: <https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/>.

use dspy::{Fields, ToolError};
use opentelemetry::{
    KeyValue,
    trace::{SpanBuilder, SpanKind},
};
use serde_json::Value;

use super::{Child, Parent, content};

/// The longest name of a tool shown: a model may ask for one that is none.
const NAME_CHARS_MAX: usize = 128;

/// The span of a call that is being made.
pub(crate) struct ToolSpan {
    span: Child,
    content: bool,
}

impl ToolSpan {
    /// Begins it.
    pub(crate) fn begin(parent: Parent<'_>, name: &str, args: &Fields) -> Self {
        let content = parent.spans.content;
        let name: String = name.chars().take(NAME_CHARS_MAX).collect();
        let mut attributes = vec![
            KeyValue::new("gen_ai.operation.name", "execute_tool"),
            KeyValue::new("gen_ai.tool.name", name.clone()),
        ];
        if content {
            let args = content::tool(args);
            attributes.push(KeyValue::new("gen_ai.tool.call.arguments", args));
        }
        let builder = SpanBuilder::from_name(format!("execute_tool {name}"))
            .with_kind(SpanKind::Internal)
            .with_attributes(attributes);
        Self { span: parent.begin(builder), content }
    }

    /// Ends it with what the tool gave.
    pub(crate) fn end(mut self, result: &Result<Value, ToolError>) {
        match result {
            Ok(value) if self.content => {
                self.span.add(KeyValue::new("gen_ai.tool.call.result", content::tool(value)));
            }
            Ok(_) => {}
            Err(_) => self.span.fail("tool_error"),
        }
        self.span.end();
    }
}

//! A batch's result as a line of JSON, in the form that the client asks for.

use std::io;

use queue::{Execution, FailureKind, Fields};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{record::ExecutionRecord, schema};

/// What a line tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    /// The whole record.
    #[default]
    Record,
    /// What came of it: see [`Outcome`].
    Outcome,
    /// What OpenAI's batches tell, in their output and error files: see [`OpenAiLine`].
    Openai,
}

impl Format {
    /// Writes a line, with its end.
    pub(crate) fn write(self, execution: Execution, lines: &mut Vec<u8>) -> io::Result<()> {
        let record = ExecutionRecord::from(execution);
        match self {
            Self::Record => serde_json::to_writer(&mut *lines, &record)?,
            Self::Outcome => serde_json::to_writer(&mut *lines, &Outcome::from(record))?,
            Self::Openai => serde_json::to_writer(&mut *lines, &OpenAiLine::from(record))?,
        }
        lines.push(b'\n');
        Ok(())
    }
}

/// What came of an item, and no more.
#[derive(Serialize, ToSchema)]
pub(crate) struct Outcome {
    /// Its place in the batch, from 0.
    index: Option<u32>,
    custom_id: Option<String>,
    execution_id: String,
    #[schema(schema_with = schema::state)]
    status: &'static str,
    /// What the program gave; null without success.
    #[schema(schema_with = schema::fields_or_null)]
    outputs: Option<Fields>,
    /// Why there are no outputs.
    error: Option<String>,
    #[schema(schema_with = schema::error_kind_or_null)]
    error_kind: Option<FailureKind>,
    /// Tokens and cost by model.
    #[schema(schema_with = schema::fields)]
    usage: Value,
}

impl From<ExecutionRecord> for Outcome {
    fn from(mut record: ExecutionRecord) -> Self {
        Self {
            index: record.batch_index,
            usage: record.take_usage(),
            custom_id: record.custom_id,
            execution_id: record.execution_id,
            status: record.status,
            outputs: record.outputs,
            error: record.error,
            error_kind: record.error_kind,
        }
    }
}

/// A line of an output file or an error file, as OpenAI's Batch API writes them.
#[derive(Serialize, ToSchema)]
pub(crate) struct OpenAiLine {
    id: String,
    /// The client's name for the item; its place, if it has none.
    custom_id: Option<String>,
    /// Null without success.
    response: Option<OpenAiResponse>,
    /// Null with success.
    error: Option<OpenAiError>,
}

/// What an item gave, in the place of an endpoint's answer.
#[derive(Serialize, ToSchema)]
pub(crate) struct OpenAiResponse {
    status_code: u16,
    request_id: String,
    body: Outcome,
}

/// Why an item gave nothing.
#[derive(Serialize, ToSchema)]
pub(crate) struct OpenAiError {
    /// The kind of error.
    #[schema(schema_with = schema::error_kind_or_null)]
    code: Option<FailureKind>,
    message: Option<String>,
}

impl From<ExecutionRecord> for OpenAiLine {
    fn from(record: ExecutionRecord) -> Self {
        let id = record.execution_id.clone();
        let place = record.batch_index.map(|index| index.to_string());
        let custom_id = record.custom_id.clone().or(place);
        let (mut response, mut error) = (None, None);
        if record.success == Some(true) {
            let body = Outcome::from(record);
            response = Some(OpenAiResponse { status_code: 200, request_id: id.clone(), body });
        } else {
            error = Some(OpenAiError { code: record.error_kind, message: record.error });
        }
        Self { id, custom_id, response, error }
    }
}

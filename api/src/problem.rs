//! A failure as it is written: RFC 9457, `application/problem+json`.

use axum::{
    body::Body,
    http::{HeaderValue, header::CONTENT_TYPE},
    response::Response,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{PREFIX, error::Kind};

/// What went wrong, and what to do about it.
#[derive(Clone, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// The kind, as a link to its description.
    #[serde(rename = "type")]
    #[schema(example = "/api/v1/dspy/docs#validation")]
    kind: String,
    /// The kind, for people.
    #[schema(example = "The request is not valid")]
    title: &'static str,
    /// The status of the answer.
    #[schema(example = 422)]
    status: u16,
    /// What happened in this case.
    #[schema(example = "Missing required input fields: ['recipient']")]
    detail: String,
    /// The request, as in `X-Request-Id`.
    #[schema(example = "urn:request:0190c1a2b3")]
    instance: String,
    /// How many items the batch has: with which item to go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    received: Option<u64>,
    /// Which parts of the body are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Fault>,
}

/// A part of a request that is wrong.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub(crate) struct Fault {
    /// Where it is, as a JSON pointer into the body.
    #[schema(example = "/inputs/recipient")]
    pub(crate) pointer: String,
    /// What is wrong with it.
    #[schema(example = "required, and missing")]
    pub(crate) message: String,
}

pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

impl Problem {
    pub(crate) fn new(kind: Kind, detail: String, errors: Vec<Fault>) -> Self {
        let (status, word, title) = kind.parts();
        let (kind, status) = (format!("{PREFIX}/docs#{word}"), status.as_u16());
        let instance = String::new();
        Self { kind, title, status, detail, instance, received: None, errors }
    }

    pub(crate) fn with_received(self, received: Option<u64>) -> Self {
        Self { received, ..self }
    }
}

/// Writes out the problem that an answer carries, if it does.
pub(crate) fn write(response: &mut Response, request_id: &str) {
    let Some(mut problem) = response.extensions_mut().remove::<Problem>() else { return };
    problem.instance = format!("urn:request:{request_id}");
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    *response.body_mut() = Body::from(body);
    let json = HeaderValue::from_static(PROBLEM_JSON);
    response.headers_mut().insert(CONTENT_TYPE, json);
}

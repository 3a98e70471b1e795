//! The problems that many operations share, as the description tells them.

use std::collections::BTreeMap;

use utoipa::{
    IntoResponses, ToSchema,
    openapi::{
        ContentBuilder, Ref, RefOr, Response, ResponseBuilder,
        header::HeaderBuilder,
        schema::{ObjectBuilder, Type},
    },
};

use crate::{
    error::Kind,
    problem::{PROBLEM_JSON, Problem},
};

/// What can be wrong with a body.
pub(crate) struct Misread;

/// What is not there.
pub(crate) struct NotThere;

/// What it is too late or too early for.
pub(crate) struct Ended;

/// What can be wrong with a query.
pub(crate) struct BadQuery;

impl IntoResponses for Misread {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[
            Kind::Malformed,
            Kind::BodyTooSlow,
            Kind::BodyTooLarge,
            Kind::UnsupportedMediaType,
            Kind::Validation,
        ])
    }
}

impl IntoResponses for NotThere {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[Kind::NotFound])
    }
}

impl IntoResponses for Ended {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[Kind::Conflict])
    }
}

impl IntoResponses for BadQuery {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[Kind::Malformed])
    }
}

/// The answers of some kinds of problem, by status.
pub(crate) fn problems(kinds: &[Kind]) -> BTreeMap<String, RefOr<Response>> {
    kinds.iter().map(|kind| (kind.parts().0.as_str().to_owned(), problem(*kind))).collect()
}

fn problem(kind: Kind) -> RefOr<Response> {
    let (status, _, title) = kind.parts();
    let schema = Ref::from_schema_name(Problem::name());
    let content = ContentBuilder::new().schema(Some(schema)).build();
    let mut response = ResponseBuilder::new().description(title).content(PROBLEM_JSON, content);
    if matches!(status.as_u16(), 429 | 503) {
        let seconds = ObjectBuilder::new().schema_type(Type::Integer);
        response =
            response.header("Retry-After", HeaderBuilder::new().schema(Some(seconds)).build());
    }
    RefOr::T(response.build())
}

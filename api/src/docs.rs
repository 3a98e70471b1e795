//! The contract, described: OpenAPI generated from the handlers, and a page that shows it.

use axum::{
    extract::State,
    http::{
        HeaderName,
        header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use utoipa::{
    OpenApi,
    openapi::{
        path::Operation,
        path::PathItem,
        security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
    },
};

use crate::{App, PREFIX, answer::problems, error::Kind, problem, token::Scope};

const INTRODUCTION: &str = "Runs DSPy programs: accepts executions and batches, keeps their \
    results, and answers what came of them. Failures are `application/problem+json` (RFC 9457); \
    `type` names the kind.";

/// What the description has besides the operations.
#[derive(OpenApi)]
#[openapi(
    info(title = "dspyx", description = INTRODUCTION),
    components(schemas(problem::Problem, problem::Fault)),
    tags(
        (name = "Submission", description = "Putting work in"),
        (name = "Executions", description = "Reading, calling off, running again"),
        (name = "Batches", description = "Many executions of one program"),
        (name = "Programs", description = "What can be run"),
        (name = "Operation", description = "The fleet as a whole"),
    )
)]
pub(crate) struct Contract;

/// Who may use an operation.
#[derive(Clone, Copy)]
pub(crate) enum Access {
    /// Everybody.
    Open,
    /// Who shows a token with this scope.
    Token(Scope),
}

/// Writes into the description what the layers around some operations add to them.
pub(crate) fn annotate(api: &mut utoipa::openapi::OpenApi, access: Access) {
    for (path, item) in &mut api.paths.paths {
        for (method, operation) in operations(item) {
            operation.operation_id = Some(operation_id(method, path));
            let mut kinds = vec![Kind::Internal];
            if let Access::Token(scope) = access {
                kinds.extend([Kind::Unauthorized, Kind::Forbidden, Kind::RateLimited]);
                kinds.push(Kind::Unavailable);
                operation.security =
                    Some(vec![SecurityRequirement::new("token", [scope.as_str()])]);
            }
            for (status, response) in problems(&kinds) {
                operation.responses.responses.entry(status).or_insert(response);
            }
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let all = [
        ("get", &mut item.get),
        ("put", &mut item.put),
        ("post", &mut item.post),
        ("delete", &mut item.delete),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// `get_execution_id_why`: unique, since method and path are.
fn operation_id(method: &str, path: &str) -> String {
    let words = path.split(|it: char| !it.is_ascii_alphanumeric()).filter(|it| !it.is_empty());
    words.fold(method.to_owned(), |id, word| format!("{id}_{word}"))
}

/// The finished description.
pub(crate) fn finish(mut api: utoipa::openapi::OpenApi) -> Value {
    let http = Http::builder().scheme(HttpAuthScheme::Bearer).bearer_format("JWT");
    let hint = "Make one with `dspyx token create`. Scopes: execute, read, programs, admin.";
    let scheme = SecurityScheme::Http(http.description(Some(hint)).build());
    let components = api.components.get_or_insert_default();
    components.security_schemes.insert("token".to_owned(), scheme.into());
    let mut api = serde_json::to_value(api).unwrap_or_default();
    api["x-problems"] = Kind::ALL.into_iter().map(kind).collect();
    api
}

/// A kind of problem, as the page lists it.
fn kind(kind: Kind) -> Value {
    let (status, word, title) = kind.parts();
    json!({ "type": format!("{PREFIX}/docs#{word}"), "status": status.as_u16(), "title": title })
}

/// This description.
#[utoipa::path(
    get, path = "/openapi.json", tag = "Operation", security(()),
    responses((status = 200, description = "OpenAPI 3.1", body = Object))
)]
pub(crate) async fn openapi(State(app): State<App>) -> Response {
    ([(CONTENT_TYPE, "application/json")], app.local.openapi.clone()).into_response()
}

/// This description, to read.
#[utoipa::path(
    get, path = "/docs", tag = "Operation", security(()),
    responses((status = 200, description = "A page", body = String, content_type = "text/html"))
)]
pub(crate) async fn page() -> Response {
    let headers: [(HeaderName, &str); 3] = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-cache"),
        (CONTENT_SECURITY_POLICY, POLICY),
    ];
    (headers, PAGE).into_response()
}

/// The page needs its own style and script, and the description; nothing from anywhere else.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const PAGE: &str = include_str!("docs.html");

//! Which path leads where, and who may take it.

use axum::{
    Router,
    http::{Method, StatusCode},
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
};
use serde_json::Value;
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App, PREFIX, batch, caller, dead,
    docs::{self, Access, Contract},
    error::Error,
    execute, execution, health, metrics, observe, parts, program, results, stats, steer, summary,
    token::Scope,
};

/// All routes, by who may use them: what is enforced and what is described come from here.
fn groups() -> [(Access, OpenApiRouter<App>); 5] {
    [
        (Access::Open, open()),
        (Access::Token(Scope::Execute), submit()),
        (Access::Token(Scope::Read), read()),
        (Access::Token(Scope::Programs), register()),
        (Access::Token(Scope::Admin), administer()),
    ]
}

fn open() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(health::show))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(docs::openapi))
        .routes(routes!(docs::page))
}

fn submit() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(execute::execute))
        .routes(routes!(execute::execute_batch))
        .routes(routes!(execution::cancel))
        .routes(routes!(execution::retry))
        .routes(routes!(parts::open))
        .routes(routes!(parts::add))
        .routes(routes!(parts::seal))
        .routes(routes!(parts::pause))
        .routes(routes!(parts::resume))
        .routes(routes!(parts::budget))
        .routes(routes!(batch::cancel))
        .routes(routes!(batch::retry))
        .routes(routes!(dead::retry))
}

fn read() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(execution::show))
        .routes(routes!(execution::why))
        .routes(routes!(execution::list))
        .routes(routes!(batch::show))
        .routes(routes!(results::results))
        .routes(routes!(summary::show))
        .routes(routes!(batch::list))
        .routes(routes!(dead::list))
        .routes(routes!(program::list))
        .routes(routes!(program::show))
        .routes(routes!(stats::show))
        .routes(routes!(metrics::show))
}

fn register() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(program::put, program::remove))
}

fn administer() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(steer::clear_cache))
        .routes(routes!(steer::pause))
        .routes(routes!(steer::resume))
}

/// All routes.
pub fn router(app: App) -> Router {
    let mut all = Router::new();
    for (access, group) in groups() {
        let (routes, _) = group.split_for_parts();
        let routes = match access {
            Access::Open => routes,
            Access::Token(scope) => {
                routes.route_layer(from_fn_with_state((app.clone(), scope), caller::require))
            }
        };
        all = all.merge(routes);
    }
    Router::new()
        .nest(PREFIX, all)
        .fallback(|| async { Error::NoRoute })
        .method_not_allowed_fallback(other_method)
        .layer(from_fn_with_state(app.clone(), observe::observe))
        .with_state(app)
}

/// What a path answers to a method that it does not know. The layer below adds `Allow`.
async fn other_method(method: Method) -> Response {
    if method == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    Error::Method.into_response()
}

/// The contract as an OpenAPI 3.1 document.
pub fn openapi() -> Value {
    let mut all = OpenApiRouter::<App>::new();
    for (access, mut group) in groups() {
        docs::annotate(group.get_openapi_mut(), access);
        all = all.merge(group);
    }
    docs::finish(Contract::openapi().nest(PREFIX, all.into_openapi()))
}

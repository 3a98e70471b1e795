//! Around every request: its id, its log line, its numbers, and a net under panics.

use std::{panic::AssertUnwindSafe, time::Instant};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::FutureExt;
use tracing::{Instrument, debug, info_span};
use uuid::Uuid;

use crate::{App, error::Error, problem};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_ID_CHARS_MAX: usize = 128;

/// The outermost layer.
pub(crate) async fn observe(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id(request.headers());
    let method = known(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    let traced = app.spans.as_ref().and_then(|it| it.begin(method, route, &mut request));
    let span = info_span!("request", id = id.as_str());
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind().instrument(span.clone());
    let mut response = answer.await.unwrap_or_else(|_| {
        let _entered = span.enter();
        Error::Panic.into_response()
    });
    problem::write(&mut response, &id);
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    let (status, took) = (response.status().as_u16(), started.elapsed());
    app.local.numbers.count(method, route, status, took);
    if let Some(traced) = traced {
        traced.end(response.status());
    }
    debug!(parent: &span, method, route, status, ?took, "answered");
    response
}

/// The client's id if it can stand in a log line, or a fresh one.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
    let plain = |it: char| it.is_ascii_alphanumeric() || matches!(it, '-' | '_' | '.');
    match given {
        Some(id) if (1..=REQUEST_ID_CHARS_MAX).contains(&id.len()) && id.chars().all(plain) => {
            id.to_owned()
        }
        _ => Uuid::now_v7().simple().to_string(),
    }
}

/// The method's name; one for all that are not HTTP's own, so that labels stay few.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use axum::{Router, body::Body, middleware::from_fn_with_state, routing::get};
    use http_body_util::BodyExt;
    use std::sync::Arc;

    use axum::http::StatusCode;
    use tower::ServiceExt;

    use super::*;

    fn app(folder: &std::path::Path) -> App {
        let (limits, clock) = (queue::Limits::default(), queue::Clock::Store);
        let queue = queue::SqliteQueue::open(&folder.join("queue.db"), limits, clock).unwrap();
        App::new(Arc::new(queue), programs::Registry::load(folder), Arc::default())
    }

    #[tokio::test]
    async fn panic_is_a_problem_that_tells_nothing() {
        async fn broken() -> StatusCode {
            panic!("the secret reason")
        }
        let folder = tempfile::tempdir().unwrap();
        let layer = from_fn_with_state(app(folder.path()), observe);
        let router: Router = Router::new().route("/", get(broken)).layer(layer);

        let answer = router.oneshot(Request::get("/").body(Body::empty()).unwrap()).await.unwrap();

        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(answer.headers()["content-type"], problem::PROBLEM_JSON);
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&body);
        assert!(text.contains("docs#internal") && !text.contains("secret"), "{text}");
    }

    #[test]
    fn ids_that_could_forge_log_lines_are_replaced() {
        for bad in ["", "a b", "a\"b", "ä", &"x".repeat(129)] {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_bytes(bad.as_bytes()).unwrap());
            assert_ne!(request_id(&headers), bad);
        }
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID, HeaderValue::from_static("req-1.A_b"));
        assert_eq!(request_id(&headers), "req-1.A_b");
    }
}

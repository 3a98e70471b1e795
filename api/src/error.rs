//! What a client is told when something goes wrong. The one place that knows status codes.

use std::time::Duration;

use axum::{
    http::{
        HeaderValue, StatusCode,
        header::{RETRY_AFTER, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
};
use tracing::error;

use crate::{
    page,
    problem::{Fault, Problem},
    token::{self, Scope},
};

/// A failure, by what the client can do about it.
#[derive(Debug)]
pub(crate) enum Error {
    /// There is no such path.
    NoRoute,
    /// The path does not know the method.
    Method,
    /// No token came with the request.
    NoToken,
    /// One came that is not accepted.
    Token(token::Error),
    /// One came that was revoked.
    Revoked,
    /// The token does not allow this.
    Scope(Scope),
    /// The owner asks too often.
    Rate(Duration),
    /// As many uploads are read as may be at once, and none ended in time.
    UploadsFull(usize),
    /// The body is no JSON.
    Syntax(serde_json::Error),
    /// The request cannot be read otherwise.
    Malformed(String),
    /// The body is of another type.
    ContentType(&'static str),
    /// The body is encoded in another way.
    Encoding,
    /// The body is larger than so many bytes.
    TooLarge(usize),
    /// The body came too slowly.
    TooSlow,
    /// The request can be read, and asks for what cannot be.
    Invalid(String, Vec<Fault>),
    /// What is asked for does not fit what is there.
    Conflict(String),
    /// The queue's.
    Queue(queue::Error),
    /// The registry's.
    Program(programs::Error),
    /// A defect of this service.
    Panic,
}

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// The kinds of problem that clients can tell apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Malformed,
    Unauthorized,
    Forbidden,
    NotFound,
    ProgramNotFound,
    MethodNotAllowed,
    BodyTooSlow,
    Conflict,
    BodyTooLarge,
    UnsupportedMediaType,
    Validation,
    IdempotencyKeyReused,
    RateLimited,
    QueueFull,
    Internal,
    Unavailable,
}

impl Kind {
    pub(crate) const ALL: [Kind; 16] = [
        Kind::Malformed,
        Kind::Unauthorized,
        Kind::Forbidden,
        Kind::NotFound,
        Kind::ProgramNotFound,
        Kind::MethodNotAllowed,
        Kind::BodyTooSlow,
        Kind::Conflict,
        Kind::BodyTooLarge,
        Kind::UnsupportedMediaType,
        Kind::Validation,
        Kind::IdempotencyKeyReused,
        Kind::RateLimited,
        Kind::QueueFull,
        Kind::Internal,
        Kind::Unavailable,
    ];

    /// Its status, its word in `type`, and its title.
    pub(crate) fn parts(self) -> (StatusCode, &'static str, &'static str) {
        use StatusCode as S;
        match self {
            Kind::Malformed => (S::BAD_REQUEST, "malformed", "The request cannot be read"),
            Kind::Unauthorized => (S::UNAUTHORIZED, "unauthorized", "A valid token is required"),
            Kind::Forbidden => (S::FORBIDDEN, "forbidden", "The token does not allow this"),
            Kind::NotFound => (S::NOT_FOUND, "not-found", "There is nothing of that name"),
            Kind::ProgramNotFound => {
                (S::NOT_FOUND, "program-not-found", "There is no such program")
            }
            Kind::MethodNotAllowed => {
                (S::METHOD_NOT_ALLOWED, "method-not-allowed", "The path has other methods")
            }
            Kind::BodyTooSlow => (S::REQUEST_TIMEOUT, "body-too-slow", "The body did not come"),
            Kind::Conflict => (S::CONFLICT, "conflict", "It is too late for that, or too early"),
            Kind::BodyTooLarge => (S::PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large"),
            Kind::UnsupportedMediaType => {
                (S::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "The body has another type")
            }
            Kind::Validation => (S::UNPROCESSABLE_ENTITY, "validation", "The request is not valid"),
            Kind::IdempotencyKeyReused => (
                S::UNPROCESSABLE_ENTITY,
                "idempotency-key-reused",
                "The idempotency key belongs to another request",
            ),
            Kind::RateLimited => (S::TOO_MANY_REQUESTS, "rate-limited", "Too many requests"),
            Kind::QueueFull => (S::TOO_MANY_REQUESTS, "queue-full", "Too much is waiting"),
            Kind::Internal => (S::INTERNAL_SERVER_ERROR, "internal", "The service failed"),
            Kind::Unavailable => {
                (S::SERVICE_UNAVAILABLE, "unavailable", "The store cannot be reached")
            }
        }
    }
}

impl Error {
    fn kind(&self) -> Kind {
        match self {
            Error::NoRoute => Kind::NotFound,
            Error::Method => Kind::MethodNotAllowed,
            Error::NoToken | Error::Token(_) | Error::Revoked => Kind::Unauthorized,
            Error::Scope(_) => Kind::Forbidden,
            Error::Rate(_) => Kind::RateLimited,
            Error::UploadsFull(_) => Kind::QueueFull,
            Error::Syntax(_) | Error::Malformed(_) => Kind::Malformed,
            Error::ContentType(_) | Error::Encoding => Kind::UnsupportedMediaType,
            Error::TooLarge(_) => Kind::BodyTooLarge,
            Error::TooSlow => Kind::BodyTooSlow,
            Error::Conflict(_) => Kind::Conflict,
            Error::Queue(error) => kind_of_queue(error),
            Error::Program(programs::Error::NotFound(_) | programs::Error::Unchosen { .. }) => {
                Kind::ProgramNotFound
            }
            Error::Invalid(..) | Error::Program(_) => Kind::Validation,
            Error::Panic => Kind::Internal,
        }
    }

    /// What happened, in a sentence that gives nothing away.
    fn detail(&self) -> String {
        match self {
            Error::NoRoute => "there is no such path; the description is at /docs".to_owned(),
            Error::Method => "the methods of this path are in the Allow header".to_owned(),
            Error::NoToken => "send `Authorization: Bearer TOKEN`".to_owned(),
            Error::Token(error) => error.to_string(),
            Error::Revoked => "the token was revoked".to_owned(),
            Error::Scope(scope) => format!("the token has no scope `{scope}`"),
            Error::Rate(_) => "this owner makes more requests than it may".to_owned(),
            Error::UploadsFull(most) => {
                format!("{most} uploads are read now, and no more at once; try again")
            }
            Error::Syntax(error) => format!("the body is no valid JSON: {error}"),
            Error::Malformed(detail) | Error::Conflict(detail) | Error::Invalid(detail, _) => {
                detail.clone()
            }
            Error::ContentType(expected) => format!("send the body as `Content-Type: {expected}`"),
            Error::Encoding => {
                "send the body with `Content-Encoding: gzip`, `zstd`, or without".to_owned()
            }
            Error::TooLarge(most) => format!("a body here has at most {most} bytes"),
            Error::TooSlow => "the body stopped in the middle, or took too long".to_owned(),
            Error::Queue(error) => detail_of_queue(error),
            Error::Program(error) => error.to_string(),
            Error::Panic => OPERATOR.to_owned(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        if let Error::Rate(after) | Error::Queue(queue::Error::Full { retry_after: after, .. }) =
            self
        {
            return Some(*after);
        }
        if matches!(self, Error::UploadsFull(_)) {
            return Some(UPLOADS_PAUSE);
        }
        let Error::Queue(error) = self else { return None };
        let gone = matches!(error, queue::Error::Unavailable(_));
        let full = matches!(error, queue::Error::NoRoom(_));
        (gone || full).then_some(Duration::from_secs(if full { 10 } else { 1 }))
    }

    /// How many items a batch has that an upload is out of step with.
    fn received(&self) -> Option<u64> {
        let Error::Queue(queue::Error::OutOfStep { received } | queue::Error::Sealed { received }) =
            self
        else {
            return None;
        };
        Some(*received)
    }

    /// How to show a better token.
    fn challenge(&self) -> Option<String> {
        if let Error::Scope(scope) = self {
            return Some(format!(r#"Bearer error="insufficient_scope", scope="{scope}""#));
        }
        if matches!(self, Error::Token(_) | Error::Revoked) {
            return Some(r#"Bearer error="invalid_token""#.to_owned());
        }
        matches!(self, Error::NoToken).then(|| "Bearer".to_owned())
    }

    fn faults(self) -> Vec<Fault> {
        if let Error::Program(programs::Error::Override { key, problem }) = self {
            return vec![Fault { pointer: format!("/lm/{key}"), message: problem }];
        }
        if let Error::Invalid(_, faults) = self { faults } else { Vec::new() }
    }
}

/// When to come again with an upload that found no place.
const UPLOADS_PAUSE: Duration = Duration::from_secs(5);

/// What is told of a failure whose reason is the operator's business.
const OPERATOR: &str = "something failed that the operator must look at; the log has the reason";

fn kind_of_queue(error: &queue::Error) -> Kind {
    match error {
        queue::Error::NotFound(_) => Kind::NotFound,
        queue::Error::AlreadyEnded(_)
        | queue::Error::OutOfStep { .. }
        | queue::Error::Sealed { .. } => Kind::Conflict,
        queue::Error::KeyReused => Kind::IdempotencyKeyReused,
        queue::Error::Full { .. } | queue::Error::NoRoom(_) => Kind::QueueFull,
        queue::Error::Unsupported(_) => Kind::Validation,
        queue::Error::Unavailable(_) => Kind::Unavailable,
        queue::Error::Setup(_) | queue::Error::Corrupt(_) => Kind::Internal,
    }
}

/// The store's own words may name hosts and files, so they go to the log only.
fn detail_of_queue(error: &queue::Error) -> String {
    match error {
        queue::Error::NotFound(_)
        | queue::Error::AlreadyEnded(_)
        | queue::Error::KeyReused
        | queue::Error::Full { .. }
        | queue::Error::NoRoom(_)
        | queue::Error::OutOfStep { .. }
        | queue::Error::Sealed { .. }
        | queue::Error::Unsupported(_) => error.to_string(),
        queue::Error::Unavailable(_) => "the store cannot be reached; try again".to_owned(),
        queue::Error::Setup(_) | queue::Error::Corrupt(_) => OPERATOR.to_owned(),
    }
}

impl IntoResponse for Error {
    /// The problem itself goes with the answer, and is written out where its request is known.
    fn into_response(self) -> Response {
        let kind = self.kind();
        let (status, ..) = kind.parts();
        if status.is_server_error() {
            error!(error = ?self, "the request failed");
        }
        let after = self.retry_after().map(|after| (RETRY_AFTER, seconds_up(after).to_string()));
        let challenge = self.challenge().map(|challenge| (WWW_AUTHENTICATE, challenge));
        let mut response = status.into_response();
        for (name, value) in after.into_iter().chain(challenge) {
            let value = HeaderValue::try_from(value).ok();
            response.headers_mut().extend(value.map(|value| (name, value)));
        }
        let (detail, received) = (self.detail(), self.received());
        let problem = Problem::new(kind, detail, self.faults()).with_received(received);
        response.extensions_mut().insert(problem);
        response
    }
}

/// Whole seconds, so that who waits them does not come too early.
fn seconds_up(duration: Duration) -> u64 {
    duration.as_millis().div_ceil(1000).max(1).try_into().unwrap_or(u64::MAX)
}

impl From<queue::Error> for Error {
    fn from(error: queue::Error) -> Self {
        // What the store calls a page was a cursor on the way in.
        let cursor = matches!(error, queue::Error::NotFound("page"));
        if cursor { page::bad_cursor() } else { Error::Queue(error) }
    }
}

impl From<programs::Error> for Error {
    fn from(error: programs::Error) -> Self {
        Error::Program(error)
    }
}

impl From<programs::LoadError> for Error {
    fn from(error: programs::LoadError) -> Self {
        let pointer = if error.key.is_empty() {
            String::new()
        } else {
            format!("/{}", error.key.replace('.', "/"))
        };
        let detail = error.to_string();
        Error::Invalid(detail.clone(), vec![Fault { pointer, message: detail }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_store_says_of_itself_is_not_told() {
        for error in [
            queue::Error::Unavailable("redis://user:hunter2@db:6379".into()),
            queue::Error::Corrupt("hunter2 at /var/lib".into()),
            queue::Error::Setup("hunter2".into()),
        ] {
            assert!(!Error::Queue(error).detail().contains("hunter2"));
        }
    }

    #[test]
    fn waits_are_rounded_up() {
        assert_eq!(seconds_up(Duration::from_millis(1)), 1);
        assert_eq!(seconds_up(Duration::from_millis(1001)), 2);
        assert_eq!(seconds_up(Duration::ZERO), 1);
    }

    #[test]
    fn kinds_have_different_words() {
        let words: std::collections::BTreeSet<&str> =
            Kind::ALL.iter().map(|kind| kind.parts().1).collect();
        assert_eq!(words.len(), Kind::ALL.len());
    }
}

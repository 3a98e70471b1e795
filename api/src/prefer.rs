//! What a client asks for in headers: how long to wait, whether to follow, and under which name to
//! be known.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::FromRequestParts,
    http::{HeaderName, header::ACCEPT, request::Parts},
};
use queue::{Idempotency, Mark};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

const PREFER: HeaderName = HeaderName::from_static("prefer");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const KEY_CHARS_MAX: usize = 255;

/// Whether the client would follow what happens, as events: `Accept: text/event-stream`.
pub(crate) struct Follow {
    /// Whether it would.
    pub(crate) wanted: bool,
    /// The last event that it has seen, in an earlier connection.
    pub(crate) after: Option<Mark>,
}

impl<S: Sync> FromRequestParts<S> for Follow {
    type Rejection = Infallible;

    /// An id that is none of ours names no event.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let header = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let mut kinds = header(ACCEPT).unwrap_or_default().split(',');
        let wanted = kinds.any(|it| it.trim().starts_with("text/event-stream"));
        Ok(Self { wanted, after: header(LAST_EVENT_ID).and_then(|it| it.trim().parse().ok()) })
    }
}

/// How long the client would wait for the result: `Prefer: wait=SECONDS`.
pub(crate) struct Wait(pub(crate) Option<Duration>);

impl<S: Sync> FromRequestParts<S> for Wait {
    type Rejection = Infallible;

    /// What cannot be understood is not asked for: so RFC 7240 has it.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let lines = parts.headers.get_all(PREFER).iter().filter_map(|line| line.to_str().ok());
        let mut wishes = lines.flat_map(|line| line.split([',', ';']));
        Ok(Self(wishes.find_map(seconds).map(Duration::from_secs)))
    }
}

fn seconds(wish: &str) -> Option<u64> {
    let (name, value) = wish.split_once('=')?;
    let value = value.trim().trim_matches('"');
    name.trim().eq_ignore_ascii_case("wait").then(|| value.parse().ok()).flatten()
}

/// The client's name for its request: `Idempotency-Key`.
pub(crate) struct Key(Option<String>);

impl<S: Sync> FromRequestParts<S> for Key {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let Some(value) = parts.headers.get(IDEMPOTENCY_KEY) else { return Ok(Self(None)) };
        let visible = value.to_str().ok().filter(|it| it.bytes().all(|byte| byte != b'\t'));
        match visible {
            Some(key) if (1..=KEY_CHARS_MAX).contains(&key.len()) => Ok(Self(Some(key.to_owned()))),
            _ => Err(Error::Malformed(format!(
                "an Idempotency-Key has 1 to {KEY_CHARS_MAX} printable ASCII characters"
            ))),
        }
    }
}

impl Key {
    /// Whether the client gave a name.
    pub(crate) fn is_given(&self) -> bool {
        self.0.is_some()
    }

    /// The name and what it stands for: the same body sent to another path is another request.
    pub(crate) fn of(self, path: &str, body: &[u8]) -> Option<Idempotency> {
        let key = self.0?;
        let hash = Sha256::new().chain_update(path).chain_update([0]).chain_update(body);
        let digest = format!("{:x}", hash.finalize());
        Some(Idempotency { key, digest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_found_among_other_wishes() {
        for (wish, found) in [
            ("wait=10", Some(10)),
            (" Wait = \"5\" ", Some(5)),
            ("respond-async", None),
            ("wait=-1", None),
            ("wait=soon", None),
            ("await=1", None),
        ] {
            assert_eq!(seconds(wish), found, "{wish}");
        }
    }

    #[test]
    fn one_body_on_two_paths_is_two_requests() {
        let digest = |path, body| Key(Some("k".into())).of(path, body).unwrap().digest;
        assert_eq!(digest("/a", b"x"), digest("/a", b"x"));
        assert_ne!(digest("/a", b"x"), digest("/b", b"x"));
        assert_ne!(digest("/a", b"x"), digest("/a", b"y"));
    }
}

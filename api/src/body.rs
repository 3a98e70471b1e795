//! What comes in: bodies, queries and ids, bounded, and refused in words that help.

use std::{str::FromStr, time::Duration};

use axum::{
    body::Body,
    extract::{FromRequest, FromRequestParts, Path, Request},
    http::{
        HeaderMap,
        header::{CONTENT_LENGTH, CONTENT_TYPE},
        request::Parts,
    },
};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use serde_path_to_error::{Path as JsonPath, Segment};
use tokio::time::timeout;

use crate::{
    App, Config,
    error::{Error, Result},
    problem::Fault,
};

/// A JSON body, as a value and as it came.
pub(crate) struct Json<T> {
    pub(crate) value: T,
    pub(crate) bytes: Bytes,
}

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = Error;

    async fn from_request(request: Request, app: &App) -> Result<Self> {
        if !is_json(media_type(request.headers())) {
            return Err(Error::ContentType("application/json"));
        }
        let bytes = read(request, &app.config, app.config.body_bytes_max).await?;
        Ok(Self { value: parse(&bytes)?, bytes })
    }
}

/// The media type without its parameters.
pub(crate) fn media_type(headers: &HeaderMap) -> &str {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.and_then(|it| it.split(';').next()).unwrap_or_default().trim()
}

pub(crate) fn is_json(media_type: &str) -> bool {
    let suffix = media_type.len().checked_sub(5).and_then(|at| media_type.get(at..));
    media_type.eq_ignore_ascii_case("application/json")
        || suffix.is_some_and(|it| it.eq_ignore_ascii_case("+json"))
}

/// Whether a body is lines of JSON.
pub(crate) fn is_lines(media_type: &str) -> bool {
    let names = ["application/x-ndjson", "application/jsonl", "application/x-jsonlines"];
    names.iter().any(|name| media_type.eq_ignore_ascii_case(name))
}

/// A whole body of at most so many bytes, which may neither stop nor drip for long.
pub(crate) async fn read(request: Request, config: &Config, most: usize) -> Result<Bytes> {
    let length = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let length: Option<usize> = length.and_then(|text| text.parse().ok());
    if length.is_some_and(|length| length > most) {
        return Err(Error::TooLarge(most));
    }
    let idle = Duration::from_secs(config.body_idle_seconds_max);
    let total = Duration::from_secs(config.body_total_seconds_max);
    let whole = timeout(total, collect(request.into_body(), idle, most)).await;
    whole.map_err(|_| Error::TooSlow)?
}

async fn collect(mut body: Body, idle: Duration, most: usize) -> Result<Bytes> {
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = timeout(idle, body.frame()).await.map_err(|_| Error::TooSlow)? {
        let frame = frame.map_err(|_| Error::Malformed("the body ended early".to_owned()))?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + all.len() + data.len() > most {
            return Err(Error::TooLarge(most));
        }
        if first.is_empty() && all.is_empty() {
            first = data;
        } else {
            all.extend_from_slice(&std::mem::take(&mut first));
            all.extend_from_slice(&data);
        }
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

/// The value of a JSON text.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| explain::<T>(bytes, error))
}

/// Why a JSON text is refused. Reads it a second time to find the place: only failures pay for it.
fn explain<T: DeserializeOwned>(bytes: &[u8], error: serde_json::Error) -> Error {
    if !error.is_data() {
        return Error::Syntax(error);
    }
    let again = &mut serde_json::Deserializer::from_slice(bytes);
    let pointer = match serde_path_to_error::deserialize::<_, T>(again) {
        Ok(_) => String::new(),
        Err(error) => pointer(error.path()),
    };
    let message = error.to_string();
    Error::Invalid(message.clone(), vec![Fault { pointer, message }])
}

fn pointer(path: &JsonPath) -> String {
    path.iter().fold(String::new(), |pointer, segment| match segment {
        Segment::Seq { index } => format!("{pointer}/{index}"),
        Segment::Map { key } | Segment::Enum { variant: key } => {
            format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
        }
        Segment::Unknown => pointer,
    })
}

/// The query of a request.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let read = axum::extract::Query::try_from_uri(&parts.uri);
        read.map(|it| Self(it.0)).map_err(|error| Error::Malformed(error.body_text()))
    }
}

/// The id in a path. A text that is no id names nothing.
pub(crate) struct Id<T>(pub(crate) T);

impl<T: FromStr<Err = queue::Error>, S: Send + Sync> FromRequestParts<S> for Id<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let Name(text) = Name::from_request_parts(parts, state).await?;
        Ok(Self(text.parse()?))
    }
}

/// The name in a path, as text.
pub(crate) struct Name(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        path.map(|it| Self(it.0)).map_err(|error| Error::Malformed(error.body_text()))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read into")]
    struct Form {
        count: Option<u32>,
        names: Option<Vec<String>>,
    }

    fn refused(text: &str) -> Error {
        parse::<Form>(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn broken_json_is_told_with_line_and_column() {
        let Error::Syntax(error) = refused("{\n  \"count\": }") else { panic!() };
        assert_eq!((error.line(), error.column()), (2, 12));
        for text in ["", "{", "{} {}", "{\"count\": 01}", "nul", "{\"names\": [\"\\ud800\"]}"] {
            assert!(matches!(refused(text), Error::Syntax(_)), "{text}");
        }
    }

    #[test]
    fn wrong_values_are_told_with_a_pointer() {
        let Error::Invalid(detail, faults) = refused(r#"{"names": ["a", 1]}"#) else { panic!() };
        assert_eq!(faults[0].pointer, "/names/1");
        assert!(detail.contains("expected a string"), "{detail}");
    }

    #[test]
    fn unknown_fields_are_named() {
        let Error::Invalid(detail, _) = refused(r#"{"cuont": 1}"#) else { panic!() };
        assert!(detail.contains("unknown field `cuont`, expected `count` or `names`"), "{detail}");
    }

    #[test]
    fn nesting_beyond_reason_is_refused_and_not_followed() {
        let text = format!("{{\"names\": {}", "[".repeat(1_000_000));
        assert!(matches!(refused(&text), Error::Syntax(_) | Error::Invalid(..)));
    }

    #[test]
    fn json_goes_by_several_names() {
        for name in ["application/json", "Application/JSON", "application/vnd.x+json"] {
            assert!(is_json(name), "{name}");
        }
        for name in ["", "text/json", "application/x-www-form-urlencoded", "json"] {
            assert!(!is_json(name), "{name}");
        }
    }
}

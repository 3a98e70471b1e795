//! Times and durations as they are written: RFC 3339 in UTC to the millisecond, and seconds.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize, Serializer};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, schema::Type},
};

use crate::error::{Error, Result};

/// A time in an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Time(pub(crate) DateTime<Utc>);

impl From<DateTime<Utc>> for Time {
    fn from(time: DateTime<Utc>) -> Self {
        Self(time)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl PartialSchema for Time {
    fn schema() -> RefOr<Schema> {
        let schema = ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .examples(["2026-03-01T12:00:00.123Z"]);
        RefOr::T(Schema::Object(schema.build()))
    }
}

impl ToSchema for Time {}

/// How long a client would wait.
pub(crate) fn wait(seconds: f64) -> Result<Duration> {
    let bad = |_| Error::Malformed("`wait` is a number of seconds, 0 or more".to_owned());
    Duration::try_from_secs_f64(seconds.min(1e6)).map_err(bad)
}

/// The longest text that can name a duration.
const DURATION_CHARS_MAX: usize = 12;

/// A duration as people write it: `90s`, `15m`, `1h`, `1d`, or plain seconds.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    if text.len() > DURATION_CHARS_MAX {
        return None;
    }
    let digits = text.trim_end_matches(|it: char| it.is_ascii_alphabetic());
    let seconds = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        _ => return None,
    };
    let count: u64 = digits.parse().ok()?;
    count.checked_mul(seconds).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, seconds) in [("90", 90), ("90s", 90), ("15m", 900), ("1h", 3600), ("1d", 86400)]
        {
            assert_eq!(duration(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "h", "-1h", "1w", "1.5h", "1h1m", "99999999999999999999"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn times_have_milliseconds_and_a_z() {
        let time = Time(DateTime::from_timestamp_millis(1_700_000_000_120).unwrap());
        assert_eq!(serde_json::to_value(time).unwrap(), "2023-11-14T22:13:20.120Z");
    }
}

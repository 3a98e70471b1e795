//! Which span of a distributed trace something was caused by, as W3C Trace Context writes it:
//! `00-{trace id}-{span id}-{flags}`. Knows nothing of who makes spans, and of where they go.
//!
//! Source of the format: <https://www.w3.org/TR/trace-context/#traceparent-header>.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize, de};

use crate::Error;

/// A span, by its name in its trace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TraceParent {
    trace: u128,
    span: u64,
    sampled: bool,
}

impl TraceParent {
    /// The span of those ids; none if one of them is zero, which names nothing. `sampled` says
    /// whether it is recorded.
    pub fn new(trace: u128, span: u64, sampled: bool) -> Option<Self> {
        (trace != 0 && span != 0).then_some(Self { trace, span, sampled })
    }

    /// The id of the trace.
    pub fn trace(self) -> u128 {
        self.trace
    }

    /// The id of the span.
    pub fn span(self) -> u64 {
        self.span
    }

    /// Whether the trace is recorded.
    pub fn is_sampled(self) -> bool {
        self.sampled
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, u8::from(self.sampled))
    }
}

impl FromStr for TraceParent {
    type Err = Error;

    /// Reads this version of the format and, as it asks for, what later ones begin with.
    fn from_str(text: &str) -> Result<Self, Error> {
        read(text).ok_or_else(|| Error::Corrupt(format!("`{text}` is no traceparent")))
    }
}

fn read(text: &str) -> Option<TraceParent> {
    let mut parts = text.split('-');
    let version = hex(parts.next()?, 2)?;
    let (trace, span) = (hex(parts.next()?, 32)?, hex(parts.next()?, 16)?);
    let flags = hex(parts.next()?, 2)?;
    if version == 0xff || version == 0 && parts.next().is_some() {
        return None;
    }
    TraceParent::new(trace, u64::try_from(span).ok()?, flags & 1 == 1)
}

/// A number of so many digits, in lower case only.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let plain = text.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'));
    (plain && text.len() == digits).then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

impl Serialize for TraceParent {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TraceParent {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| de::Error::custom("not a traceparent"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn the_example_of_the_standard_reads_back_as_written() {
        let parent: TraceParent = EXAMPLE.parse().unwrap();

        assert_eq!(parent.to_string(), EXAMPLE);
        assert_eq!(parent.trace(), 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c);
        assert!(parent.is_sampled());
    }

    #[test]
    fn only_whether_it_is_recorded_is_kept_of_flags() {
        let parent: TraceParent = EXAMPLE.replace("-01", "-fe").parse().unwrap();

        assert_eq!(parent.to_string(), EXAMPLE.replace("-01", "-00"));
    }

    #[test]
    fn a_later_version_may_have_more() {
        let later = EXAMPLE.replacen("00-", "cc-", 1) + "-what-else";

        assert_eq!(later.parse::<TraceParent>().unwrap().to_string(), EXAMPLE);
    }

    #[test]
    fn what_the_standard_forbids_is_none() {
        let zeros = "0".repeat(32);
        let others = [
            String::new(),
            EXAMPLE.to_uppercase(),
            EXAMPLE.replacen("00-", "ff-", 1),
            format!("{EXAMPLE}-more"),
            EXAMPLE.replace("0af7651916cd43dd8448eb211c80319c", &zeros),
            EXAMPLE.replace("b7ad6b7169203331", &zeros[..16]),
            EXAMPLE.replace("-01", "-1"),
            EXAMPLE.replace("-01", ""),
            EXAMPLE.replace("0af7", "+af7"),
            "é".repeat(55),
        ];
        for text in others {
            assert!(text.parse::<TraceParent>().is_err(), "{text}");
        }
    }
}

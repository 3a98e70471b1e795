//! How executions are written in Redis.
//!
//! An *envelope* is what was asked for: the program's id, a line feed, and JSON, which is a zstd
//! frame when it is long; between them, if its end is to be told, a line of `!` and the letters of
//! the channels. A *tail* is what came of it, written likewise. A *document* is both
//! behind a head line `state|generation|finished ms|flags|bytes of the envelope`. Scripts read
//! heads and program ids, and take the rest as it is.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    Attempt, CacheKey, Error, Fields, Report, Result, Spec, State,
    pack::{pack, unpack},
};

/// What a line begins with that names channels: neither JSON nor zstd does.
const TELLS: u8 = b'!';

/// What was asked for.
#[derive(Debug)]
pub(super) struct Envelope {
    pub(super) spec: Arc<Spec>,
    pub(super) inputs: Fields,
    pub(super) cache: Option<CacheKey>,
    pub(super) created_at: DateTime<Utc>,
}

#[derive(Serialize)]
struct EnvelopeRef<'a> {
    s: &'a Spec,
    i: &'a Fields,
    #[serde(skip_serializing_if = "Option::is_none")]
    k: Option<&'a CacheKey>,
    t: i64,
}

#[derive(Deserialize)]
struct EnvelopeOwned {
    s: Spec,
    i: Fields,
    k: Option<CacheKey>,
    t: i64,
}

/// What the items of a batch share.
#[derive(Serialize, Deserialize)]
pub(super) struct Shared {
    #[serde(rename = "s")]
    pub(super) spec: Spec,
    #[serde(rename = "t")]
    pub(super) created_ms: i64,
    /// How old an equal execution's result may be, in ms; none for "do not cache".
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    pub(super) cache_ttl_ms: Option<u64>,
}

/// What came of an execution.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Tail {
    /// All attempts.
    #[serde(rename = "a", default)]
    pub(super) attempts: Vec<Attempt>,
    /// What the last one left.
    #[serde(rename = "r", default)]
    pub(super) report: Report,
    /// How long it ran, in µs.
    #[serde(rename = "u", default)]
    pub(super) micros: Option<u64>,
}

/// The head line of a document.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Head {
    pub(super) state: State,
    pub(super) generation: u32,
    pub(super) finished_ms: i64,
    pub(super) cache_hit: bool,
    envelope_bytes: usize,
}

impl Envelope {
    pub(super) fn write(
        spec: &Spec,
        inputs: &Fields,
        cache: Option<&CacheKey>,
        created_at: DateTime<Utc>,
    ) -> Result<Vec<u8>> {
        let json = EnvelopeRef { s: spec, i: inputs, k: cache, t: created_at.timestamp_millis() };
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(spec.program.as_bytes());
        bytes.push(b'\n');
        let tells = spec.tells();
        if !tells.is_empty() {
            bytes.push(TELLS);
            bytes.extend_from_slice(tells.as_bytes());
            bytes.push(b'\n');
        }
        bytes.append(&mut pack(&json)?);
        Ok(bytes)
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self> {
        let (_, mut json) = split_line(bytes)?;
        if json.first() == Some(&TELLS) {
            (_, json) = split_line(json)?;
        }
        let it: EnvelopeOwned = unpack(json)?;
        Ok(Self { spec: Arc::new(it.s), inputs: it.i, cache: it.k, created_at: time(it.t) })
    }
}

impl Tail {
    pub(super) fn write(&self) -> Result<Vec<u8>> {
        pack(self)
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self> {
        unpack(bytes)
    }

    pub(super) fn run_time(&self) -> Option<Duration> {
        self.micros.map(Duration::from_micros)
    }
}

impl Head {
    /// Takes a document apart: head, envelope, tail.
    pub(super) fn split(document: &[u8]) -> Result<(Self, &[u8], &[u8])> {
        let (line, rest) = split_line(document)?;
        let line = std::str::from_utf8(line).map_err(|_| corrupt("a head line"))?;
        let mut words = line.split('|');
        let mut word = || words.next().ok_or_else(|| corrupt("a head line"));
        let head = Self {
            state: word()?.parse()?,
            generation: number(word()?)?,
            finished_ms: number(word()?)?,
            cache_hit: word()?.contains('c'),
            envelope_bytes: number(word()?)?,
        };
        let parts = rest.split_at_checked(head.envelope_bytes);
        let (envelope, tail) = parts.ok_or_else(|| corrupt("a document's length"))?;
        Ok((head, envelope, tail))
    }
}

/// The document of an item that ended in its first generation.
pub(super) fn ended(state: State, finished_ms: i64, tail: &[u8]) -> Vec<u8> {
    let mut document = format!("{}|0|{finished_ms}||0\n", state.as_str()).into_bytes();
    document.extend_from_slice(tail);
    document
}

pub(super) fn time(millis: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(millis).unwrap_or_default()
}

fn split_line(bytes: &[u8]) -> Result<(&[u8], &[u8])> {
    let at = bytes.iter().position(|byte| *byte == b'\n');
    let at = at.ok_or_else(|| corrupt("a document without a head"))?;
    Ok((&bytes[..at], &bytes[at + 1..]))
}

fn number<T: std::str::FromStr>(word: &str) -> Result<T> {
    word.parse().map_err(|_| corrupt("a number"))
}

pub(super) fn corrupt(what: &str) -> Error {
    Error::Corrupt(what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> Spec {
        Spec { max_retries: 1, ..Spec::new("qa", "alice", Duration::from_secs(5)) }
    }

    #[test]
    fn envelopes_read_back_as_written_short_or_long() {
        for length in [3, 100_000] {
            let mut inputs = Fields::new();
            inputs.insert("q".to_owned(), "ü".repeat(length).into());
            let bytes = Envelope::write(&spec(), &inputs, None, time(1_700_000_000_123)).unwrap();
            assert!(bytes.starts_with(b"qa\n") && bytes.len() < 2_000);
            let envelope = Envelope::read(&bytes).unwrap();
            assert_eq!((envelope.inputs, &*envelope.spec), (inputs, &spec()));
            assert_eq!(envelope.created_at.timestamp_millis(), 1_700_000_000_123);
        }
    }

    #[test]
    fn envelopes_name_the_channels_that_are_told() {
        let asked = Spec { webhook: Some("https://x".to_owned()), tracked: true, ..spec() };
        let bytes = Envelope::write(&asked, &Fields::new(), None, time(0)).unwrap();
        assert!(bytes.starts_with(b"qa\n!wt\n"));
        assert_eq!(*Envelope::read(&bytes).unwrap().spec, asked);
    }

    #[test]
    fn broken_documents_are_errors() {
        for bytes in [&b""[..], b"succeeded|0|1||9\nshort", b"what|0|1||0\n", b"failed|x|1||0\n"] {
            assert!(Head::split(bytes).is_err(), "{bytes:?}");
        }
        assert!(unpack::<Tail>(&[0x28, 0xB5, 0x2F, 0xFD]).is_err());
    }
}

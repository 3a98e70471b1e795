//! How a streamed body is compressed: as the client would have it (RFC 9110, section 12.5.3), piece
//! by piece, so that what was sent can be read before the end.

use std::{
    convert::Infallible,
    io::{self, Write},
};

use axum::{
    extract::FromRequestParts,
    http::{header::ACCEPT_ENCODING, request::Parts},
};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};

/// Fast, and most of what can be had.
const ZSTD_LEVEL: i32 = 1;

/// How a body is encoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
    Zstd,
}

impl<S: Sync> FromRequestParts<S> for Encoding {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let lines = parts.headers.get_all(ACCEPT_ENCODING).iter();
        let lines: Vec<&str> = lines.filter_map(|line| line.to_str().ok()).collect();
        Ok(Self::of(&lines.join(",")))
    }
}

impl Encoding {
    /// The best of what the header's value allows; the smaller one of equals. `*` asks for nothing.
    fn of(accepted: &str) -> Self {
        let weight = |name: &str| {
            let offers = accepted.split(',').filter_map(|offer| {
                let (coding, weight) = offer.split_once(';').unwrap_or((offer, "q=1"));
                let known = coding.trim().trim_start_matches("x-").eq_ignore_ascii_case(name);
                known.then(|| weight.trim().trim_start_matches("q=").trim().parse().unwrap_or(0.0))
            });
            offers.fold(0.0, f64::max)
        };
        let (gzip, zstd) = (weight("gzip"), weight("zstd"));
        match (gzip > 0.0, zstd > 0.0) {
            (_, true) if zstd >= gzip => Self::Zstd,
            (true, _) => Self::Gzip,
            _ => Self::Identity,
        }
    }

    /// What `Content-Encoding` says; nothing if the body is as it is.
    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
        }
    }
}

/// Encodes a body piece by piece.
pub(crate) enum Encoder {
    Identity,
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(Box<zstd::stream::write::Encoder<'static, Vec<u8>>>),
}

impl Encoder {
    pub(crate) fn new(encoding: Encoding) -> io::Result<Self> {
        Ok(match encoding {
            Encoding::Identity => Self::Identity,
            Encoding::Gzip => Self::Gzip(GzEncoder::new(Vec::new(), Compression::fast())),
            Encoding::Zstd => {
                Self::Zstd(Box::new(zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?))
            }
        })
    }

    /// A piece, encoded to its last byte.
    pub(crate) fn piece(&mut self, piece: Vec<u8>) -> io::Result<Bytes> {
        let encoded = match self {
            Self::Identity => return Ok(piece.into()),
            Self::Gzip(to) => {
                to.write_all(&piece)?;
                to.flush()?;
                to.get_mut()
            }
            Self::Zstd(to) => {
                to.write_all(&piece)?;
                to.flush()?;
                to.get_mut()
            }
        };
        Ok(std::mem::take(encoded).into())
    }

    /// What comes behind the last piece.
    pub(crate) fn finish(self) -> io::Result<Bytes> {
        Ok(match self {
            Self::Identity => Bytes::new(),
            Self::Gzip(to) => to.finish()?.into(),
            Self::Zstd(to) => to.finish()?.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn client_gets_the_encoding_that_it_would_rather_have() {
        for (accepted, encoding) in [
            ("", Encoding::Identity),
            ("*", Encoding::Identity),
            ("gzip, deflate, br", Encoding::Gzip),
            ("gzip, zstd", Encoding::Zstd),
            ("gzip;q=1.0, zstd; q=0.5", Encoding::Gzip),
            ("GZip", Encoding::Gzip),
            ("x-gzip", Encoding::Gzip),
            ("gzip;q=0, zstd;q=0", Encoding::Identity),
            ("gzip;q=often", Encoding::Identity),
        ] {
            assert_eq!(Encoding::of(accepted), encoding, "{accepted}");
        }
    }

    #[test]
    fn every_piece_can_be_read_when_it_has_come() {
        for encoding in [Encoding::Gzip, Encoding::Zstd] {
            let mut encoder = Encoder::new(encoding).unwrap();
            let mut sent = Vec::new();
            for piece in ["one\n", "two\n"] {
                sent.extend(encoder.piece(piece.as_bytes().to_vec()).unwrap());
                let read = decoded(encoding, &sent);
                assert!(read.ends_with(piece), "{encoding:?}: {read}");
            }
            sent.extend(encoder.finish().unwrap());
            assert_eq!(decoded(encoding, &sent), "one\ntwo\n");
        }
    }

    /// What can be read of a body that may have been cut off.
    fn decoded(encoding: Encoding, bytes: &[u8]) -> String {
        let mut reader: Box<dyn Read> = match encoding {
            Encoding::Identity => Box::new(bytes),
            Encoding::Gzip => Box::new(flate2::read::GzDecoder::new(bytes)),
            Encoding::Zstd => Box::new(zstd::stream::read::Decoder::new(bytes).unwrap()),
        };
        let (mut text, mut byte) = (Vec::new(), [0]);
        while matches!(reader.read(&mut byte), Ok(1)) {
            text.push(byte[0]);
        }
        String::from_utf8(text).unwrap()
    }
}

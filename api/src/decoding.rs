//! A request's body as a thread reads it: frame by frame, decoded, with its digest.

use std::io::{self, BufReader, Read};

use axum::http::{HeaderMap, HeaderName, header::CONTENT_ENCODING};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use bytes::{Buf, Bytes};
use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use crate::error::{Error, Result};

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");

/// The most memory that a zstd frame may ask for, as a power of two: 8 MB, what level 19 uses.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// A piece of a body on its way to the thread that reads it.
pub(crate) enum Frame {
    Data(Bytes),
    /// The body is whole. Without it, it was cut off.
    End,
}

/// A body as it came, frame by frame.
pub(crate) struct Frames {
    receiver: mpsc::Receiver<Frame>,
    current: Bytes,
    ended: bool,
    /// Of what was read, if somebody will compare it.
    digest: Option<Sha256>,
}

/// A body without its encoding.
pub(crate) enum Decoder {
    Plain(Frames),
    Gzip(Box<MultiGzDecoder<Frames>>),
    Zstd(Box<zstd::Decoder<'static, BufReader<Frames>>>),
}

/// How a body is encoded, and the digest that it has to have, as its headers say.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Coding {
    name: Option<&'static str>,
    digest: Option<String>,
}

impl Coding {
    /// Of a request; refused if it is encoded in a way that is not known here.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        let name = match text(CONTENT_ENCODING).map(str::to_ascii_lowercase).as_deref() {
            None | Some("" | "identity") => None,
            Some("gzip" | "x-gzip") => Some("gzip"),
            Some("zstd") => Some("zstd"),
            Some(_) => return Err(Error::Encoding),
        };
        let digests = text(CONTENT_DIGEST).unwrap_or_default().split(',');
        let digest =
            digests.filter_map(|it| it.trim().split_once('=')).find_map(|(name, value)| {
                let value = value.strip_prefix(':')?.strip_suffix(':')?;
                name.eq_ignore_ascii_case("sha-256").then(|| value.to_owned())
            });
        Ok(Self { name, digest })
    }

    /// The body of a request whose frames come through a channel.
    pub(crate) fn decoder(&self, receiver: mpsc::Receiver<Frame>) -> io::Result<Decoder> {
        let digest = self.digest.is_some().then(Sha256::new);
        let frames = Frames { receiver, current: Bytes::new(), ended: false, digest };
        Ok(match self.name {
            Some("gzip") => Decoder::Gzip(Box::new(MultiGzDecoder::new(frames))),
            Some(_) => {
                let mut decoder = zstd::Decoder::new(frames)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                Decoder::Zstd(Box::new(decoder))
            }
            None => Decoder::Plain(frames),
        })
    }

    /// Refuses a body, read to its end, that has another digest.
    pub(crate) fn verify(&self, decoder: Decoder) -> Result<()> {
        let frames = match decoder {
            Decoder::Plain(frames) => frames,
            Decoder::Gzip(it) => it.into_inner(),
            Decoder::Zstd(it) => it.finish().into_inner(),
        };
        let digest = frames.digest.map(|digest| BASE64.encode(digest.finalize()));
        if self.digest == digest {
            return Ok(());
        }
        let message = "the body has another digest than Content-Digest says: nothing of it is kept";
        Err(Error::Malformed(message.to_owned()))
    }
}

impl Read for Frames {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && !self.ended {
            match self.receiver.blocking_recv() {
                Some(Frame::Data(bytes)) => self.current = bytes,
                Some(Frame::End) => self.ended = true,
                None => return Err(io::ErrorKind::ConnectionAborted.into()),
            }
        }
        let length = buffer.len().min(self.current.len());
        self.current.copy_to_slice(&mut buffer[..length]);
        if let Some(digest) = &mut self.digest {
            digest.update(&buffer[..length]);
        }
        Ok(length)
    }
}

impl Read for Decoder {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(it) => it.read(buffer),
            Self::Gzip(it) => it.read(buffer),
            Self::Zstd(it) => it.read(buffer),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn read(coding: &Coding, frames: Vec<Frame>) -> io::Result<(Vec<u8>, Decoder)> {
        let (sender, receiver) = mpsc::channel(frames.len().max(1));
        for frame in frames {
            assert!(sender.try_send(frame).is_ok());
        }
        drop(sender);
        let (mut decoder, mut text) = (coding.decoder(receiver)?, Vec::new());
        decoder.read_to_end(&mut text)?;
        Ok((text, decoder))
    }

    fn coding(encoding: &str, digest: &str) -> Coding {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, encoding.parse().unwrap());
        headers.insert(CONTENT_DIGEST, digest.parse().unwrap());
        Coding::of(&headers).unwrap()
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn bodies_are_read_whatever_their_encoding() {
        let text = b"one\ntwo\n".repeat(1000);
        for (name, bytes) in [
            ("identity", text.clone()),
            ("x-gzip", gzip(&text)),
            ("GZIP", [gzip(&text[..9]), gzip(&text[9..])].concat()),
            ("zstd", zstd::encode_all(&text[..], 3).unwrap()),
        ] {
            let frames = bytes.chunks(7).map(|it| Frame::Data(Bytes::copy_from_slice(it)));
            let frames = frames.chain([Frame::End]).collect();
            assert_eq!(read(&coding(name, ""), frames).unwrap().0, text, "{name}");
        }
    }

    #[test]
    fn body_that_is_cut_off_is_an_error() {
        let text = b"one\ntwo\n".repeat(1000);
        for (name, bytes) in [
            ("identity", text.clone()),
            ("gzip", gzip(&text)),
            ("zstd", zstd::encode_all(&text[..], 3).unwrap()),
        ] {
            let half = Bytes::copy_from_slice(&bytes[..bytes.len() / 2]);
            assert!(read(&coding(name, ""), vec![Frame::Data(half.clone())]).is_err(), "{name}");
            if name != "identity" {
                let frames = vec![Frame::Data(half), Frame::End];
                assert!(read(&coding(name, ""), frames).is_err(), "{name}");
            }
        }
    }

    #[test]
    fn digest_is_of_the_bytes_as_they_were_sent() {
        let bytes = gzip(b"one\n");
        let right = BASE64.encode(Sha256::digest(&bytes));
        for (digest, fits) in [
            (format!("sha-256=:{right}:"), true),
            (format!("md5=:abc=:, sha-256=:{right}:"), true),
            ("sha-256=:AAAA:".to_owned(), false),
            ("md5=:abc=:".to_owned(), true),
        ] {
            let coding = coding("gzip", &digest);
            let frames = vec![Frame::Data(bytes.clone().into()), Frame::End];
            let (_, decoder) = read(&coding, frames).unwrap();
            assert_eq!(coding.verify(decoder).is_ok(), fits, "{digest}");
        }
    }
}

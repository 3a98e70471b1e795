//! JSON as the stores hold it: a zstd frame when it is long.

use std::{borrow::Cow, cell::RefCell, io};

use serde::{Serialize, de::DeserializeOwned};
use zstd::bulk::{Compressor, Decompressor};

use crate::{Error, Result};

/// What is longer is compressed.
const PLAIN_MAX: usize = 1024;
/// How hard: fast, as others wait for it.
const LEVEL: i32 = 1;
/// The most that a frame may hold: more is a mistake.
const FRAME_MAX: usize = 1 << 30;
const FRAME_MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];

/// JSON, compressed when it is long.
pub(crate) fn pack<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    let json = serde_json::to_vec(value)?;
    if json.len() <= PLAIN_MAX {
        return Ok(json);
    }
    deflate(&json, LEVEL)
}

/// What [`pack`] wrote.
pub(crate) fn unpack<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let json = if bytes.starts_with(&FRAME_MAGIC) {
        let size = zstd::zstd_safe::get_frame_content_size(bytes).ok().flatten();
        let size = size.and_then(|size| usize::try_from(size).ok()).filter(|it| *it <= FRAME_MAX);
        let size = size.ok_or_else(|| corrupt("a frame's size"))?;
        Cow::Owned(inflate(bytes, size).map_err(|_| corrupt("a frame"))?)
    } else {
        Cow::Borrowed(bytes)
    };
    Ok(serde_json::from_slice(&json)?)
}

thread_local! {
    /// Making one takes longer than most frames do.
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
}

/// A frame of some bytes, compressed so hard.
pub(crate) fn deflate(plain: &[u8], level: i32) -> Result<Vec<u8>> {
    let frame = COMPRESSOR.with_borrow_mut(|kept| {
        let mut compressor = kept.take().map_or_else(|| Compressor::new(level), Ok)?;
        compressor.set_compression_level(level)?;
        let frame = compressor.compress(plain);
        *kept = Some(compressor);
        frame
    });
    frame.map_err(|error: io::Error| Error::Corrupt(error.to_string()))
}

/// What a frame holds, which is at most so many bytes.
pub(crate) fn inflate(frame: &[u8], bytes_max: usize) -> io::Result<Vec<u8>> {
    DECOMPRESSOR.with_borrow_mut(|kept| {
        let mut decompressor = kept.take().map_or_else(Decompressor::new, Ok)?;
        let plain = decompressor.decompress(frame, bytes_max);
        *kept = Some(decompressor);
        plain
    })
}

fn corrupt(what: &str) -> Error {
    Error::Corrupt(what.to_owned())
}

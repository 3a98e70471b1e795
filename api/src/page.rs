//! Where a page begins and how long it is.

use crate::error::{Error, Result};

/// How many things a page has if the client does not say.
const LIMIT: usize = 100;
const CURSOR_CHARS_MAX: usize = 256;

/// The length of a page.
pub(crate) fn limit(asked: Option<usize>, most: usize) -> Result<usize> {
    let limit = asked.unwrap_or(LIMIT);
    let fits = (1..=most).contains(&limit);
    fits.then_some(limit).ok_or_else(|| Error::Malformed(format!("`limit` is from 1 to {most}")))
}

/// Where a page begins: a text that only the store understands, if it may be one at all.
pub(crate) fn cursor(text: Option<&str>) -> Result<Option<&str>> {
    let Some(text) = text else { return Ok(None) };
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    let fits = plain && (1..=CURSOR_CHARS_MAX).contains(&text.len());
    fits.then_some(Some(text)).ok_or_else(bad_cursor)
}

/// A refusal of a cursor that was not given out.
pub(crate) fn bad_cursor() -> Error {
    Error::Malformed("`cursor` is the `next_cursor` of an earlier answer".to_owned())
}

//! The name of a request in a provider's file: by it alone its reply is put where it belongs,
//! whatever order replies come in.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// Bytes of a hash.
const HASH_BYTES: usize = 32;

/// Which item asks, and the hash of what: `7-` and 43 characters, within the 64 that the
/// strictest providers allow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Name {
    pub(super) index: u32,
    hash: [u8; HASH_BYTES],
}

impl Name {
    /// The name of an item's request, by its hash in hexadecimal; none if that is no such hash.
    pub(super) fn new(index: u32, request: &str) -> Option<Self> {
        let mut hash = [0; HASH_BYTES];
        if request.len() != 2 * HASH_BYTES {
            return None;
        }
        for (byte, at) in hash.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(request.get(at..at + 2)?, 16).ok()?;
        }
        Some(Self { index, hash })
    }

    /// The name that is written so.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (index, hash) = text.split_once('-')?;
        let hash = URL_SAFE_NO_PAD.decode(hash).ok()?.try_into().ok()?;
        Some(Self { index: index.parse().ok()?, hash })
    }

    /// The hash in hexadecimal.
    pub(super) fn request(&self) -> String {
        let [high, low] = [&self.hash[..16], &self.hash[16..]]
            .map(|half| half.iter().fold(0_u128, |number, byte| (number << 8) | u128::from(*byte)));
        format!("{high:032x}{low:032x}")
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.index, URL_SAFE_NO_PAD.encode(self.hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        let hash = "00ff".repeat(16);
        let name = Name::new(u32::MAX, &hash).unwrap();

        assert_eq!(Name::read(&name.to_string()), Some(name));
        assert_eq!((name.request(), name.to_string().len()), (hash, 54));
    }

    #[test]
    fn other_names_are_of_nobody() {
        for text in ["", "7", "7-", "7-abc", "x-", &format!("-{}", "A".repeat(43))] {
            assert_eq!(Name::read(text), None, "{text}");
        }
        assert_eq!(Name::new(1, "short"), None);
        assert_eq!(Name::new(1, &"é".repeat(32)), None);
    }
}

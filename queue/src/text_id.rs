//! The name of a text that is kept once for many.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The name of a text, which follows from it: the first half of its SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TextId(u128);

/// What is no name of a text.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the name of a text has 32 hexadecimal digits")]
pub struct NoTextId;

impl TextId {
    /// The name of a text.
    pub fn of(text: &str) -> Self {
        let digest: [u8; 32] = Sha256::digest(text).into();
        let (half, _) = digest.split_at(16);
        Self(half.iter().fold(0, |id, byte| id << 8 | u128::from(*byte)))
    }
}

impl fmt::Display for TextId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl From<TextId> for String {
    fn from(id: TextId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for TextId {
    type Error = NoTextId;

    fn try_from(text: String) -> Result<Self, NoTextId> {
        let id = u128::from_str_radix(&text, 16).map(Self).map_err(|_| NoTextId)?;
        if id.to_string() == text { Ok(id) } else { Err(NoTextId) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_beginning_of_the_hash_and_read_back() {
        let id = TextId::of("abc");

        assert_eq!(id.to_string(), "ba7816bf8f01cfea414140de5dae2223");
        assert_eq!(TextId::try_from(id.to_string()).unwrap(), id);
        assert!(TextId::try_from("+".repeat(32)).is_err());
    }
}

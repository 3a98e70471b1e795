//! Regular expressions: matched in linear time, so that none can hold a worker.

use std::str::FromStr;

use regex::{Regex, RegexBuilder};

/// The largest that a compiled pattern may be.
const SIZE_BYTES_MAX: usize = 1 << 20;

/// A regular expression. Its syntax is Python's, without backreferences and without looking
/// around: those cannot be matched in linear time, and are refused.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PatternError(String);

impl Pattern {
    /// Whether it matches somewhere in a text, as `re.search` does.
    pub fn is_in(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// The text that it was made of.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let pattern = RegexBuilder::new(text).size_limit(SIZE_BYTES_MAX).build();
        pattern.map(Self).map_err(|it| PatternError(it.to_string()))
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

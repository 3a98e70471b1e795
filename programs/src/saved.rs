//! What a program knows of the saved states in it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A state that DSPy saved, and that was laid over a program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// The signature that it is of; absent when it is of the whole program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// The versions of the packages that saved it: `dspy`, `python`.
    pub versions: BTreeMap<String, String>,
}

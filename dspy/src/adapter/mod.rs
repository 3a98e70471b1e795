//! How a signature becomes messages, and a reply becomes fields.

use serde::{Deserialize, Serialize};

/// The format of messages and replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Adapter {
    /// Sections under `[[ ## name ## ]]` headers.
    Chat {
        /// Whether a reply that cannot be read is asked for again as JSON.
        json_fallback: bool,
    },
    /// One JSON object.
    Json,
}

impl Default for Adapter {
    fn default() -> Self {
        Self::Chat { json_fallback: true }
    }
}

//! How webhooks are called.

use std::{fmt, time::Duration};

use queue::{Batch, Execution};
use serde_json::Value;

use super::{Callable, SigningSecret};

/// How webhooks are called.
#[derive(Clone, Debug, PartialEq)]
pub struct WebhookConfig {
    /// What calls are signed with, each of them; the receiver has to know one (`WEBHOOK_SECRET`).
    pub secrets: Vec<SigningSecret>,
    /// Which addresses may be called (`WEBHOOK_ALLOW`).
    pub callable: Callable,
    /// How long one call may take (`WEBHOOK_TIMEOUT`).
    pub timeout: Duration,
    /// How what has ended is shown.
    pub views: Views,
}

impl Default for WebhookConfig {
    fn default() -> Self {
        Self {
            secrets: Vec::new(),
            callable: Callable::default(),
            timeout: Duration::from_secs(15),
            views: Views { execution: |_| Value::Null, batch: |_| Value::Null },
        }
    }
}

/// How what has ended is shown: as an API shows it, which is not known here.
#[derive(Clone, Copy)]
pub struct Views {
    /// An execution's record.
    pub execution: fn(Execution) -> Value,
    /// A batch.
    pub batch: fn(Batch) -> Value,
}

impl fmt::Debug for Views {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Views")
    }
}

/// Of functions there is nothing to compare.
impl PartialEq for Views {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

//! How often a program is tried again, and how long it waits in between.
//!
//! Every part is optional: what a program does not say, the service's configuration does.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How often to try again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Retries {
    /// How many attempts after the first.
    pub max: Option<u32>,
    /// How long to wait before them.
    pub backoff: Backoff,
}

/// How long to wait before the next attempt: `initial * factor^n`, at most `max`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Backoff {
    /// The first wait.
    pub initial: Option<Duration>,
    /// What the wait is multiplied by each time.
    pub factor: Option<f64>,
    /// The longest wait.
    pub max: Option<Duration>,
    /// How the wait is spread.
    pub jitter: Option<Jitter>,
}

/// How a wait is spread, so that many who failed together do not come back together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Jitter {
    /// Anything between nothing and the whole wait.
    Full,
    /// Anything between half of the wait and the whole.
    Equal,
    /// Exactly the wait.
    None,
}

//! The distributed store: Redis streams with Lua.

use crate::{Clock, Limits};

/// How to reach a Redis, and what to keep in it.
#[derive(Clone, Debug)]
pub struct RedisConfig {
    /// `redis://`, `rediss://`, `redis+sentinel://HOST:PORT,…/MASTER` or `redis+cluster://HOST,…`.
    pub url: String,
    /// The name of the queue; queues of different names share nothing.
    pub queue: String,
    /// The bounds.
    pub limits: Limits,
    /// What time it is.
    pub clock: Clock,
    /// Whether to work on a server that may evict keys, and so lose executions.
    pub allow_eviction: bool,
}

/// A queue on Redis 7.0 or newer, or Valkey. Cheap to clone.
#[derive(Clone)]
pub struct RedisQueue {}

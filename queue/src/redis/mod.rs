//! The distributed store: Redis streams with Lua.
//!
//! Every change is one script under `lua/`, so that it happens whole or not at all, and may be
//! repeated after a lost answer. [`keys`] has the table of keys, [`document`] the formats.
//! A worker claims entries of lane streams into its own pending list; ending an execution
//! acknowledges the entry, and a worker whose entry was given to another cannot: that is the fence.

mod assemble;
mod batch;
mod check;
mod claim;
mod coming;
mod control;
mod document;
mod entry;
mod events;
mod feed;
mod finish;
mod gather;
mod home;
mod intake;
mod keys;
mod ledger;
mod lend;
mod list;
mod outbox;
mod packs;
mod payloads;
mod read;
mod scripts;
mod servers;
mod stats;
mod submit;
mod upkeep;
mod upload;
mod whole;
mod work;
mod written;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use self::{
    assemble::Assembler, claim::Claims, events::Events, finish::Finisher, gather::Gather,
    home::Home, keys::Keys, scripts::Scripts, submit::Submitter,
};
use crate::{Clock, Error, Limits, Objects, Result, WorkerId};

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
    /// Where payloads of batches lie; in Redis too, if there is none.
    pub objects: Option<Objects>,
}

/// A queue on Redis 7.0 or newer, or Valkey. Cheap to clone.
#[derive(Clone)]
pub struct RedisQueue {
    store: Arc<Store>,
    submitter: Gather<Submitter>,
    finisher: Assembler,
    claims: Arc<Claims>,
    events: Events,
    packer: Arc<tokio::sync::Notify>,
}

/// What all parts of the queue share.
struct Store {
    home: Arc<Home>,
    keys: Keys,
    scripts: Scripts,
    limits: Limits,
    clock: Clock,
    objects: Option<Objects>,
    /// Until when no upkeep is due, as the last heartbeat said; none if it is not known.
    quiet_until: Mutex<Option<Instant>>,
    /// The orders that each worker of this process has heard with its last heartbeat.
    heard: Mutex<HashMap<WorkerId, Vec<String>>>,
}

impl Store {
    /// The clock's reading as scripts take it: empty for the server's own.
    fn now(&self) -> String {
        self.clock.manual().map(|millis| millis.to_string()).unwrap_or_default()
    }

    /// About the same as a number, for what is only told.
    fn clock_ms(&self) -> i64 {
        self.clock.manual().unwrap_or_else(|| chrono::Utc::now().timestamp_millis())
    }

    fn quiet(&self) -> MutexGuard<'_, Option<Instant>> {
        self.quiet_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn heard(&self) -> MutexGuard<'_, HashMap<WorkerId, Vec<String>>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ttl(&self) -> u64 {
        millis(self.limits.result_ttl)
    }

    fn prefix(&self) -> &str {
        self.keys.prefix()
    }
}

impl RedisQueue {
    /// Connects, and refuses a server that would lose executions.
    pub async fn connect(config: RedisConfig) -> Result<Self> {
        let keys = Keys::new(&config.queue);
        let home = Arc::new(Home::find(&config.url, keys.prefix()).await?);
        let store = Arc::new(Store {
            home: Arc::clone(&home),
            keys,
            scripts: Scripts::new(),
            limits: config.limits,
            clock: config.clock,
            objects: config.objects,
            quiet_until: Mutex::default(),
            heard: Mutex::default(),
        });
        let packer = packs::start(&store);
        let finisher = Gather::start(Finisher::new(Arc::clone(&store), Arc::clone(&packer)));
        let queue = Self {
            submitter: Gather::start(Submitter::new(Arc::clone(&store))),
            finisher: Assembler::start(finisher, &store),
            claims: Arc::new(Claims::default()),
            events: Events::default(),
            packer,
            store,
        };
        queue.refuse_bad_server(config.allow_eviction).await?;
        queue.store.agree_on_objects().await?;
        Ok(queue)
    }

    async fn refuse_bad_server(&self, allow_eviction: bool) -> Result<()> {
        let server = self.server().await?;
        if server.version < (7, 0) {
            let (major, minor) = server.version;
            return Err(Error::Setup(format!(
                "this server is Redis {major}.{minor}; dspyx needs 7.0 or newer (or Valkey)"
            )));
        }
        let evicts = server.eviction.as_deref().is_some_and(|policy| policy != "noeviction");
        if evicts && !allow_eviction {
            let policy = server.eviction.unwrap_or_default();
            return Err(Error::Setup(format!(
                "this Redis has `maxmemory-policy {policy}` and may throw executions away; \
                 run `CONFIG SET maxmemory-policy noeviction`, or allow it with \
                 REDIS_ALLOW_EVICTION=true if you can lose them"
            )));
        }
        Ok(())
    }
}

impl fmt::Debug for RedisQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedisQueue").field(&self.store.prefix()).finish()
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
impl RedisQueue {
    /// A queue of its own on the server of all tests.
    async fn of_a_test() -> Self {
        let (url, queue) =
            (testkit::RedisServer::shared().url(), crate::BatchId::new().to_string());
        let (limits, clock) = (Limits::default(), Clock::Store);
        let config =
            RedisConfig { url, queue, limits, clock, allow_eviction: false, objects: None };
        Self::connect(config).await.unwrap()
    }
}

//! The side of the queue that operators use, by the API or the command line.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::{ObjectCounts, Result};

/// The most programs that manifests are kept of: as many as a folder may hold.
pub(crate) const MANIFESTS_MAX: u32 = 10_000;

/// What the fleet shares about programs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    /// The kept programs: ids and texts, by id.
    pub programs: Vec<(String, String)>,
    /// What workers found out: programs and manifests, by program.
    pub manifests: Vec<(String, String)>,
    /// The epoch that they belong to.
    pub epoch: u64,
}

/// Steers the queue, and keeps what the whole fleet must agree on.
#[async_trait]
pub trait Control: Send + Sync {
    /// Hands nothing out until resumed. What runs goes on.
    async fn pause(&self) -> Result<()>;

    /// Hands out again.
    async fn resume(&self) -> Result<()>;

    /// Forgets cached results, of one program or of all, and says how many. Raises the epoch.
    async fn clear_cache(&self, program: Option<&str>) -> Result<u64>;

    /// Keeps the text of a program file for every process of the fleet. Raises the epoch.
    async fn put_program(&self, id: &str, text: &str) -> Result<()>;

    /// Forgets a program kept by [`Control::put_program`]; whether there was one. Raises the epoch.
    async fn remove_program(&self, id: &str) -> Result<bool>;

    /// What is kept for every process of the fleet, as of one moment.
    async fn catalogue(&self) -> Result<Catalogue>;

    /// Keeps what a worker found out about a program by loading it, for those who must not load
    /// it. Raises the epoch, if it is news.
    async fn publish_manifest(&self, program: &str, text: &str) -> Result<()>;

    /// The number that goes up when programs change or caches are cleared.
    async fn epoch(&self) -> Result<u64>;

    /// Refuses a token from now until `expires`, when it is worthless anyway.
    async fn revoke_token(&self, jti: &str, expires: DateTime<Utc>) -> Result<()>;

    /// The revoked tokens that have not expired, by `jti`.
    async fn revoked_tokens(&self) -> Result<Vec<String>>;

    /// Whether the store can be reached, and by which name and version it goes.
    async fn ping(&self) -> Result<String>;

    /// What this process has asked of its object store.
    fn object_counts(&self) -> ObjectCounts {
        ObjectCounts::default()
    }

    /// What would make an operator sleep badly, though it works: missing persistence and the like.
    async fn warnings(&self) -> Result<Vec<String>>;

    /// Checks the invariants on the live store, and says what is broken, at most 100 of them.
    async fn violations(&self) -> Result<Vec<String>>;
}

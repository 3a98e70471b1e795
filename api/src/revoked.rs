//! The tokens that no longer count, as the whole fleet sees them.

use std::{
    collections::HashSet,
    sync::{PoisonError, RwLock},
    time::{Duration, Instant},
};

use queue::Queue;

/// How long a revoked token may still be accepted here.
const STALE: Duration = Duration::from_secs(2);

/// A copy of the store's list. The store drops expired tokens from it, which bounds it.
#[derive(Default)]
pub(crate) struct Revoked {
    copy: RwLock<Option<Copy>>,
    /// Lets one request fetch while the others wait for it.
    fetching: tokio::sync::Mutex<()>,
}

struct Copy {
    ids: HashSet<String>,
    fetched_at: Instant,
}

impl Revoked {
    /// Whether a token was revoked. An error if that cannot be known: then nobody gets in.
    pub(crate) async fn contains(&self, id: &str, queue: &dyn Queue) -> queue::Result<bool> {
        if let Some(known) = self.look(id) {
            return Ok(known);
        }
        let _fetching = self.fetching.lock().await;
        if let Some(known) = self.look(id) {
            return Ok(known);
        }
        // Before the call, so that the copy is never taken for younger than it is.
        let fetched_at = Instant::now();
        let ids: HashSet<String> = queue.revoked_tokens().await?.into_iter().collect();
        let known = ids.contains(id);
        let copy = Copy { ids, fetched_at };
        *self.copy.write().unwrap_or_else(PoisonError::into_inner) = Some(copy);
        Ok(known)
    }

    fn look(&self, id: &str) -> Option<bool> {
        let copy = self.copy.read().unwrap_or_else(PoisonError::into_inner);
        let fresh = copy.as_ref().filter(|copy| copy.fetched_at.elapsed() < STALE);
        fresh.map(|copy| copy.ids.contains(id))
    }
}

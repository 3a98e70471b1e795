//! Checks the invariants on a live store, one script a check, so that nothing moves meanwhile.

use super::RedisQueue;
use crate::Result;

/// How many executions that have not ended are looked at.
const LOOK_MAX: usize = 200_000;

impl RedisQueue {
    pub(super) async fn find_violations(&self) -> Result<Vec<String>> {
        let store = &self.store;
        let mut call = store.scripts.check.key(store.prefix());
        call.arg(LOOK_MAX);
        store.home.call(&call).await
    }
}

//! Chunks that a worker holds, and whose items are still to be read from the object store.

use std::{sync::Arc, time::Duration};

use tokio::{
    task::{JoinError, JoinSet},
    time::{sleep, timeout},
};
use tracing::{error, warn};

use super::{Store, entry::Chunk};
use crate::{BatchItem, Error, pack::unpack};

/// How long to wait for items before looking for other work again.
const LOOK: Duration = Duration::from_millis(20);
/// How long to wait before the object store is asked again.
const PAUSE_MIN: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// A chunk, and its items; none if they are gone.
type Come = (Chunk, Option<Vec<BatchItem>>);

/// Chunks on their way: one at a time, since none is claimed while one is coming.
#[derive(Default)]
pub(super) struct Coming {
    reading: JoinSet<Come>,
    come: Option<Come>,
}

impl Coming {
    pub(super) fn begin(&mut self, store: &Arc<Store>, chunk: Chunk) {
        self.reading.spawn(read(Arc::clone(store), chunk));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.reading.is_empty() && self.come.is_none()
    }

    /// One that has come.
    pub(super) fn take(&mut self) -> Option<Come> {
        if self.come.is_none() {
            let read = self.reading.try_join_next();
            self.note(read);
        }
        self.come.take()
    }

    /// Waits a moment for one; whether one has come.
    pub(super) async fn wait(&mut self) -> bool {
        if self.come.is_none() {
            let read = timeout(LOOK, self.reading.join_next()).await;
            self.note(read.ok().flatten());
        }
        self.come.is_some()
    }

    fn note(&mut self, read: Option<Result<Come, JoinError>>) {
        match read {
            Some(Ok(come)) => self.come = Some(come),
            Some(Err(error)) => error!(%error, "cannot read a chunk: {error}"),
            None => {}
        }
    }
}

/// Reads the items of a chunk, for as long as that takes.
async fn read(store: Arc<Store>, chunk: Chunk) -> Come {
    let (mut pause, batch) = (PAUSE_MIN, chunk.batch);
    loop {
        let items = match store.look_up(batch, &chunk.payload).await {
            Ok(Some(payload)) => unpack(&payload).map(Some),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        match items {
            Ok(items) => return (chunk, items),
            Err(error @ Error::Corrupt(_)) => {
                error!(%error, "cannot read items of batch {batch}: {error}");
                return (chunk, None);
            }
            Err(error) => warn!(%error, "cannot read items of batch {batch} yet: {error}"),
        }
        sleep(pause).await;
        pause = PAUSE_MAX.min(pause * 2);
    }
}

//! One thread looks up single executions by their names. Those that wait together are looked up in
//! one snapshot: to begin one is what a look costs most, as the writer has changed pages since.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::{file, list};
use crate::{Error, Execution, ExecutionId, Result};

/// The most looks in one snapshot.
const GROUP_MAX: usize = 64;

/// The most looks that wait; more wait in their callers.
const QUEUE_MAX: usize = 1024;

struct Look {
    id: ExecutionId,
    answer: oneshot::Sender<Result<Execution>>,
}

/// Where it is asked. When it is dropped, the thread ends.
pub(super) struct Lookups(mpsc::Sender<Look>);

impl Lookups {
    pub(super) fn start(path: &Path) -> Result<Self> {
        let connection = file::open_to_read(path)?;
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        std::thread::Builder::new()
            .name("sqlite-lookups".to_owned())
            .spawn(move || look_up(connection, receiver))
            .map_err(|error| Error::Unavailable(error.to_string()))?;
        Ok(Self(sender))
    }

    /// One as it was committed when this was called, or later. [`Error::NotFound`] if there is
    /// none.
    pub(super) async fn find(&self, id: ExecutionId) -> Result<Execution> {
        let (answer, found) = oneshot::channel();
        self.0.send(Look { id, answer }).await.map_err(|_| stopped())?;
        found.await.map_err(|_| stopped())?
    }
}

fn look_up(mut connection: Connection, mut looks: mpsc::Receiver<Look>) {
    let mut group = Vec::with_capacity(GROUP_MAX);
    while let Some(first) = looks.blocking_recv() {
        group.push(first);
        while group.len() < GROUP_MAX
            && let Ok(look) = looks.try_recv()
        {
            group.push(look);
        }
        match connection.transaction_with_behavior(TransactionBehavior::Deferred) {
            Ok(snapshot) => group.drain(..).for_each(|look| look.answer(&snapshot)),
            Err(error) => {
                for look in group.drain(..) {
                    drop(look.answer.send(Err(Error::Unavailable(error.to_string()))));
                }
            }
        }
    }
}

impl Look {
    /// A record that makes this panic is one that cannot be read, and the others can.
    fn answer(self, snapshot: &Connection) {
        let found = catch_unwind(AssertUnwindSafe(|| list::find_single(snapshot, self.id)));
        let found = found.unwrap_or_else(|_| Err(Error::Corrupt("a look panicked".to_owned())));
        // Nobody may wait for it any more.
        drop(self.answer.send(found));
    }
}

fn stopped() -> Error {
    Error::Unavailable("the look was stopped".to_owned())
}

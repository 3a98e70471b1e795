//! A small pool of connections that only read, each on a blocking thread for as long as a read
//! takes.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::Semaphore;

use super::file;
use crate::{Error, Result};

/// The most reads at once; more wait.
const READERS_MAX: usize = 4;

#[derive(Clone)]
pub(super) struct Readers {
    path: Arc<PathBuf>,
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let first = file::open_to_read(path)?;
        Ok(Self {
            path: Arc::new(path.to_owned()),
            idle: Arc::new(Mutex::new(vec![first])),
            permits: Arc::new(Semaphore::new(READERS_MAX)),
        })
    }

    /// Reads one consistent snapshot: all that was committed when the read began.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| stopped())?;
        let this = self.clone();
        let task = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let mut connection = match this.take() {
                Some(connection) => connection,
                None => file::open_to_read(&this.path)?,
            };
            let result = {
                let tx = connection.transaction_with_behavior(TransactionBehavior::Deferred)?;
                read(&tx)
            };
            this.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            result
        });
        task.await.map_err(|_| stopped())?
    }

    fn take(&self) -> Option<Connection> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

fn stopped() -> Error {
    Error::Unavailable("the read was stopped".to_owned())
}

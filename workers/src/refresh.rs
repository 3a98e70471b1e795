//! Keeps the worker's programs those of the fleet: reads them again when they may have changed.

use std::{sync::Arc, time::Duration};

use queue::Catalogue;
use tokio::{
    sync::Mutex,
    time::{self, Instant},
};
use tracing::{info, warn};

use crate::shift::Shift;

/// How often the folder is looked at.
const EVERY: Duration = Duration::from_secs(2);

/// How long the store may take to tell the programs it keeps.
const TIMEOUT: Duration = Duration::from_secs(5);

/// When the programs were read last. Its lock makes one reading serve all who wait for it, so it
/// is held over the reading: the waiting is its purpose.
#[derive(Debug, Default)]
pub(crate) struct Refresh(Mutex<Option<Instant>>);

impl Shift {
    /// Reads the programs again, unless that was begun after `since`.
    pub(crate) async fn refresh(self: &Arc<Self>, since: Instant) {
        let mut last = self.refresh.0.lock().await;
        if last.is_some_and(|last| last > since) {
            return;
        }
        let began = Instant::now();
        self.read_catalogue().await;
        self.reload().await;
        self.follow();
        *last = Some(began);
    }

    /// Reads what the store keeps for the fleet.
    async fn read_catalogue(self: &Arc<Self>) {
        let read = async {
            while !self.take_catalogue().await? {}
            Ok::<_, queue::Error>(())
        };
        match time::timeout(TIMEOUT, read).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%error, "cannot read the registered programs: {error}"),
            Err(_) => warn!("cannot read the registered programs: the store does not answer"),
        }
    }

    /// Reads it once; whether nobody else took in another reading meanwhile.
    async fn take_catalogue(self: &Arc<Self>) -> queue::Result<bool> {
        let known = self.registry.known();
        let Catalogue { programs, manifests, epoch } = self.queue.catalogue().await?;
        let registry = self.registry.clone();
        let keep = move || registry.keep(known, &programs, &manifests, epoch);
        // One that panicked would again.
        Ok(tokio::task::spawn_blocking(keep).await.map_or(true, |it| it.is_some()))
    }

    /// Reads what changed in the folder.
    async fn reload(self: &Arc<Self>) {
        let shift = Arc::clone(self);
        let reload = tokio::task::spawn_blocking(move || shift.registry.reload());
        if let Ok(reload) = reload.await
            && reload.is_change()
        {
            let (added, changed, removed) =
                (reload.added.len(), reload.changed.len(), reload.removed.len());
            info!("programs: {added} added, {changed} changed, {removed} removed");
        }
    }
}

/// Reads the folder again and again; and what the store keeps, when its epoch changes.
pub(crate) async fn follow(shift: Arc<Shift>, mut epochs: tokio::sync::watch::Receiver<u64>) {
    let mut followed = None;
    loop {
        let epoch = *epochs.borrow_and_update();
        if epoch != UNKNOWN && shift.registry.known().epoch != Some(epoch) {
            shift.read_catalogue().await;
            shift.reload().await;
        }
        // An API in this process reads into the same registry.
        let changes = Some(shift.registry.changes());
        if followed != changes {
            shift.follow();
            followed = changes;
        }
        tokio::select! {
            () = time::sleep(EVERY) => shift.reload().await,
            () = shift.sources.until_changed() => shift.follow(),
            changed = epochs.changed() => {
                if changed.is_err() {
                    return;
                }
            }
        }
    }
}

/// The epoch before the first heartbeat.
pub(crate) const UNKNOWN: u64 = u64::MAX;

//! Keeping this process's programs like those of the fleet and of the folder.

use std::{sync::Arc, time::Duration};

use programs::{Program, Registry};
use queue::Catalogue;
use tracing::{info, warn};

use crate::{App, error::Result};

/// How often to ask whether others have registered programs, and to look into the folder.
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl App {
    /// The program of a request. One that is not known may just have been registered elsewhere.
    pub(crate) async fn program(&self, id: &str) -> Result<Arc<Program>> {
        if let Ok(program) = self.registry.get(id) {
            return Ok(program);
        }
        self.catch_up().await?;
        Ok(self.registry.get(id)?)
    }

    /// The program that a batch was opened for; else its successor.
    pub(crate) async fn program_of(&self, spec: &queue::Spec) -> Result<Arc<Program>> {
        let pinned = format!("{}@{}", spec.program, spec.version);
        match self.registry.get(&pinned) {
            Ok(program) => Ok(program),
            Err(_) => self.program(&spec.program).await,
        }
    }

    /// Loads the fleet's programs if they have changed since the last time.
    pub(crate) async fn catch_up(&self) -> queue::Result<()> {
        let newest = self.queue.epoch().await?;
        loop {
            let known = self.registry.known();
            if known.epoch == Some(newest) {
                return Ok(());
            }
            let Catalogue { programs, manifests, epoch } = self.queue.catalogue().await?;
            let keep = move |it: &Registry| it.keep(known, &programs, &manifests, epoch);
            let Some(kept) = blocking(&self.registry, keep).await else { return Ok(()) };
            if let Some(reload) = kept {
                if reload.is_change() {
                    info!("the registered programs have changed");
                }
                return Ok(());
            }
        }
    }

    /// Follows the fleet and the folder until the server stops.
    pub(crate) async fn follow(self) {
        let mut reachable = true;
        loop {
            let found = self.catch_up().await;
            if let (true, Err(error)) = (reachable, &found) {
                warn!(%error, "cannot read the registered programs; trying again");
            }
            reachable = found.is_ok();
            if let Some(reload) = blocking(&self.registry, Registry::reload).await
                && reload.is_change()
            {
                info!("the folder of programs has changed");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// Runs what reads files or parses much where it keeps nobody waiting.
pub(crate) async fn blocking<T: Send + 'static>(
    registry: &Registry,
    work: impl FnOnce(&Registry) -> T + Send + 'static,
) -> Option<T> {
    let registry = registry.clone();
    tokio::task::spawn_blocking(move || work(&registry)).await.ok()
}

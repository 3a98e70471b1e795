//! Brings programs here whose code is elsewhere: models of MLflow, repositories of the Hugging Face
//! hub and of GitHub. Nothing of them is run here.
//!
//! Each source has a task (`watch`) that finds out which revision it means, fetches that into the
//! `store`, tells the registry where it is, and looks again: an alias may be moved, a branch goes
//! on. What runs goes on with the revision that it began with.

mod archive;
mod bucket;
mod budget;
mod config;
mod error;
mod fetch;
mod github;
mod hub;
mod landing;
mod mlflow;
mod store;
mod watch;
mod web;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use programs::{Program, Registry, Source};
use serde::{Deserialize, Serialize};
use tokio::{sync::Notify, task::JoinSet};

pub use self::config::SourcesConfig;
pub(crate) use self::{
    error::SourceError,
    mlflow::{artifacts, mlflow_host},
    web::{Failure, Host, Web},
};
use self::{
    fetch::Fetcher,
    watch::{Desk, Watch},
};
use crate::{Gateway, python::Findings};

/// Exactly what a source means now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Resolved {
    /// Where it is.
    host: String,
    /// What it is, for people.
    revision: String,
    /// What it is there: equal for equal files.
    content: String,
}

/// The sources of a worker's programs.
pub(crate) struct Sources {
    fetcher: Arc<Fetcher>,
    registry: Registry,
    findings: Findings,
    changed: Arc<Notify>,
    desks: Mutex<HashMap<Source, Desk>>,
    tasks: Mutex<JoinSet<()>>,
}

impl Sources {
    /// Nothing is fetched yet. What cannot be goes to `findings`.
    pub(crate) fn new(
        config: SourcesConfig,
        gateway: &Gateway,
        registry: Registry,
        findings: Findings,
    ) -> Self {
        Self {
            fetcher: Arc::new(Fetcher::new(config, gateway)),
            registry,
            findings,
            changed: Arc::default(),
            desks: Mutex::default(),
            tasks: Mutex::default(),
        }
    }

    /// Begins to fetch the sources that are new, and lets go those that are no more.
    pub(crate) fn follow(&self, programs: &[Arc<Program>]) {
        let wanted = programs.iter().filter(|it| it.runnable().is_ok());
        let wanted: Vec<&Source> = wanted.filter_map(|it| it.elsewhere()).collect();
        self.desks().retain(|source, _| {
            let is_wanted = wanted.contains(&source);
            if !is_wanted {
                self.registry.place(source, None);
            }
            is_wanted
        });
        for source in wanted {
            self.desk(source);
        }
    }

    /// Where they are fetched from.
    pub(crate) fn config(&self) -> &SourcesConfig {
        &self.fetcher.config
    }

    /// Waits until a source is here, or it is known why not. One that failed is tried again.
    pub(crate) async fn until_here(&self, source: &Source) -> Result<(), SourceError> {
        self.desk(source).look().await
    }

    /// Waits until something else is here than before.
    pub(crate) async fn until_changed(&self) {
        self.changed.notified().await;
    }

    fn desk(&self, source: &Source) -> Desk {
        let mut desks = self.desks();
        if let Some(desk) = desks.get(source) {
            return desk.clone();
        }
        let (desk, post) = Desk::new();
        let watch = Watch {
            source: source.clone(),
            fetcher: Arc::clone(&self.fetcher),
            registry: self.registry.clone(),
            findings: self.findings.clone(),
            changed: Arc::clone(&self.changed),
        };
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(watch.keep(post));
        desks.insert(source.clone(), desk.clone());
        desk
    }

    fn desks(&self) -> MutexGuard<'_, HashMap<Source, Desk>> {
        self.desks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

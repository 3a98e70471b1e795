//! Fetches one revision of a source, if it is not here already.

use programs::{Fetched, MlflowUri, Repository, Source};
use tokio::time::{self, Duration};

use super::{
    Resolved, SourceError, SourcesConfig,
    budget::Budget,
    github::{self, GitHub},
    hub::Hub,
    mlflow::{Mlflow, mlflow_host},
    store::Store,
    web::{Host, Key, Web},
};
use crate::{Gateway, gateway::Keys};

/// How long one fetch may take.
const FETCH_MAX: Duration = Duration::from_secs(1800);
/// The first delay after a fetch that failed; doubles with each.
const RETRY_BASE: Duration = Duration::from_secs(1);

const HUB_KEY: &str = "if it is there, set HF_TOKEN of one who may read it, or name another \
                       variable in `token_env`";
const GITHUB_KEY: &str =
    "set GITHUB_TOKEN of one who may read it, or name another variable in `token_env`";

/// Fetches sources.
pub(super) struct Fetcher {
    pub(super) config: SourcesConfig,
    web: Web,
    keys: Keys,
}

/// A source's host, and how it is asked.
enum Place<'a> {
    Mlflow(Mlflow<'a>, &'a MlflowUri),
    Hub(Hub<'a>, &'a Repository),
    GitHub(GitHub<'a>, &'a Repository),
}

impl Fetcher {
    /// One that asks over the gateway's connections.
    pub(super) fn new(config: SourcesConfig, gateway: &Gateway) -> Self {
        Self { config, web: Web::of(gateway), keys: gateway.keys().clone() }
    }

    /// How long to leave a source alone after a look.
    pub(super) fn pause(&self, source: &Source, failures: u32, is_here: bool) -> Duration {
        if is_here && is_fixed(source) {
            return Duration::MAX;
        }
        let factor = 1u32.checked_shl(failures).unwrap_or(u32::MAX);
        let delay = RETRY_BASE.saturating_mul(factor).min(self.config.refresh);
        if is_here { self.config.refresh } else { delay }
    }

    /// What a source meant last, if that is still on this machine.
    pub(super) async fn last(&self, source: &Source) -> Option<Fetched> {
        let store = self.store().await.ok()?;
        store.last(source, &self.place(source).ok()?.host().address())
    }

    /// What a source means now, on this machine.
    pub(super) async fn fetch(&self, source: &Source) -> Result<Fetched, SourceError> {
        if is_fixed(source)
            && let Some(last) = self.last(source).await
        {
            return Ok(last);
        }
        let (store, place) = (self.store().await?, self.place(source)?);
        let fetched = time::timeout(FETCH_MAX, self.fetch_now(source, &place, &store)).await;
        let too_slow = || format!("it took longer than {} s to fetch", FETCH_MAX.as_secs());
        fetched.map_err(|_| SourceError::Unavailable(too_slow())).flatten()
    }

    async fn store(&self) -> Result<Store, SourceError> {
        let Some(folder) = self.config.folder.clone() else {
            let text = "there is no folder for what is fetched; set SOURCES_DIR";
            return Err(SourceError::Refused(text.to_owned()));
        };
        let bytes_max = self.config.kept_bytes_max;
        blocking(move || Store::open(&folder, bytes_max)).await
    }

    async fn fetch_now(
        &self,
        source: &Source,
        place: &Place<'_>,
        store: &Store,
    ) -> Result<Fetched, SourceError> {
        let resolved = place.resolve().await?;
        if let Some(fetched) = store.find(source, &resolved) {
            return Ok(fetched);
        }
        let draft = store.draft()?;
        let mut budget = Budget::new(self.config.fetched_bytes_max);
        let (files, aside) = (draft.files(), draft.aside());
        match place {
            Place::Mlflow(host, _) => host.fetch(&resolved, &files, &mut budget).await?,
            Place::Hub(host, it) => host.fetch(it, &resolved, &files, &mut budget).await?,
            Place::GitHub(host, it) => {
                host.fetch(it, &resolved, &aside, &files, &mut budget).await?;
            }
        }
        let (store, source) = (store.clone(), source.clone());
        blocking(move || store.keep(draft, &source, &resolved, budget.taken())).await
    }

    fn place<'a>(&'a self, source: &'a Source) -> Result<Place<'a>, SourceError> {
        let (web, config) = (&self.web, &self.config);
        match source {
            Source::MlFlow { uri } => {
                let address = config.mlflow_tracking.as_ref().or(config.mlflow_registry.as_ref());
                let unset = "set MLFLOW_TRACKING_URI to the address of the MLflow server";
                let unset = || SourceError::Refused(unset.to_owned());
                let host =
                    |address: &str, variable| mlflow_host(config, &self.keys, address, variable);
                let tracking = host(address.ok_or_else(unset)?, "MLFLOW_TRACKING_URI")?;
                let registry = match &config.mlflow_registry {
                    Some(address) => host(address, "MLFLOW_REGISTRY_URI")?,
                    None => tracking.clone(),
                };
                let buckets = &config.objects;
                Ok(Place::Mlflow(Mlflow { web, tracking, registry, buckets }, uri))
            }
            Source::HuggingFace(it) => {
                let host = Host::new("Hugging Face", &config.hub, "HF_ENDPOINT", HUB_KEY)?;
                let key = self.token(it, "HF_TOKEN")?;
                Ok(Place::Hub(Hub { web, host: Host { key, ..host } }, it))
            }
            Source::GitHub(it) => {
                let host = Host::new("GitHub", &config.github, "GITHUB_API_URL", GITHUB_KEY)?;
                let key = self.token(it, "GITHUB_TOKEN")?;
                Ok(Place::GitHub(GitHub { web, host: Host { key, ..host } }, it))
            }
            Source::Local { .. } | Source::Saved { .. } => {
                Err(SourceError::Refused("its source is not elsewhere".to_owned()))
            }
        }
    }

    /// The token of a repository: in the variable that it names, else in the usual one.
    fn token(&self, it: &Repository, usual: &str) -> Result<Option<Key>, SourceError> {
        let Some(name) = &it.token_env else { return Ok(self.keys.get(usual).map(Key::Token)) };
        let unset = || SourceError::Refused(format!("the variable {name} is not set"));
        Ok(Some(Key::Token(self.keys.get(name).ok_or_else(unset)?)))
    }
}

impl Place<'_> {
    fn host(&self) -> &Host {
        match self {
            Self::Mlflow(host, _) => &host.tracking,
            Self::Hub(host, _) => &host.host,
            Self::GitHub(host, _) => &host.host,
        }
    }

    async fn resolve(&self) -> Result<Resolved, SourceError> {
        match self {
            Self::Mlflow(host, uri) => host.resolve(uri).await,
            Self::Hub(host, it) => host.resolve(it).await,
            Self::GitHub(host, it) => host.resolve(it).await,
        }
    }
}

/// Whether a source means the same for ever.
fn is_fixed(source: &Source) -> bool {
    match source {
        Source::Local { .. } | Source::Saved { .. } => true,
        Source::MlFlow { uri } => uri.is_fixed(),
        Source::HuggingFace(it) | Source::GitHub(it) => {
            it.revision.as_deref().is_some_and(github::is_commit)
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SourceError> + Send + 'static,
) -> Result<T, SourceError> {
    let stopped = |_| SourceError::Unavailable("the worker stops".to_owned());
    tokio::task::spawn_blocking(work).await.map_err(stopped)?
}

//! What of the environment concerns what is fetched and asked elsewhere: keys, and where to put it.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{Config, Secret, variable};

/// Keys that the process of a private server hands over: all clones hold the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct GivenKeys(Arc<Mutex<BTreeMap<String, Secret>>>);

impl GivenKeys {
    /// Takes keys in, by the names of variables.
    pub(crate) fn give(&self, keys: BTreeMap<String, String>) {
        self.lock().extend(keys.into_iter().map(|(name, key)| (name, Secret::new(&key))));
    }

    fn get(&self, name: &str) -> Option<String> {
        self.lock().get(name).map(|it| it.reveal().to_owned())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Secret>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The keys of model endpoints and of sources: those that were handed over or are set here, else
/// the variables that they are known by, e.g. OPENAI_API_KEY.
pub(crate) fn keys(config: &Config) -> workers::Keys {
    let own = config.lm_api_key.iter().map(|key| ("LM_API_KEY", key.clone()));
    let own: Vec<_> = own.chain(config.source_keys.iter().cloned()).collect();
    let given = config.given_keys.clone();
    workers::Keys::new(move |name| {
        let own = own.iter().rev().find(|it| it.0 == name);
        let own = own.map(|(_, key)| key.reveal().to_owned());
        given.get(name).or(own).or_else(|| variable(name))
    })
}

/// Where sources are fetched from, and put: in the folder for what can be had again, if no other is
/// named.
pub(crate) fn sources(config: &Config) -> workers::SourcesConfig {
    let home = || variable("HOME").map(|it| PathBuf::from(it).join(".cache"));
    let cache = || variable("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
    let named = config.sources.folder.clone();
    let folder = named.or_else(|| cache().map(|it| it.join("dspyx/sources")));
    let folder = folder.and_then(|it| std::path::absolute(it).ok());
    let objects = super::objects::options();
    let objects = match &config.mlflow_s3 {
        Some(address) => objects.with_s3_at(address.clone()),
        None => objects,
    };
    workers::SourcesConfig { folder, objects, ..config.sources.clone() }
}

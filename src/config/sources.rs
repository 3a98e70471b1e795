//! What of the environment concerns what is fetched and asked elsewhere: keys, and where to put it.

use std::path::PathBuf;

use super::{Config, variable};

/// The keys of model endpoints and of sources: those that are set here, else the variables that
/// they are known by, e.g. OPENAI_API_KEY.
pub(crate) fn keys(config: &Config) -> workers::Keys {
    let own = config.lm_api_key.iter().map(|key| ("LM_API_KEY", key.clone()));
    let own: Vec<_> = own.chain(config.source_keys.iter().cloned()).collect();
    workers::Keys::new(move |name| match own.iter().rev().find(|it| it.0 == name) {
        Some((_, key)) => Some(key.reveal().to_owned()),
        None => variable(name),
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
    workers::SourcesConfig { folder, ..config.sources.clone() }
}

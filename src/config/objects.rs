//! The object store, whose own variables the environment has.

use std::{env, ffi::OsString};

use anyhow::Result;
use queue::Objects;

use super::Config;

/// The object store that the configuration names.
pub(crate) fn objects(config: &Config) -> Result<Option<Objects>> {
    let Some(url) = &config.object_store else { return Ok(None) };
    let text = |it: OsString| it.into_string().ok();
    let options = env::vars_os().filter_map(|(name, value)| text(name).zip(text(value)));
    Ok(Some(Objects::open(url, options)?))
}

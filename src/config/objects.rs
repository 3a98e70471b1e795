//! Object stores, whose own variables the environment has.

use std::{env, ffi::OsString};

use anyhow::Result;
use queue::{ObjectOptions, Objects};

use super::Config;

/// The object store that the configuration names.
pub(crate) fn objects(config: &Config) -> Result<Option<Objects>> {
    let Some(url) = &config.object_store else { return Ok(None) };
    Ok(Some(Objects::open(url, &options())?))
}

/// What the environment says to object stores.
pub(super) fn options() -> ObjectOptions {
    let text = |it: OsString| it.into_string().ok();
    let all = env::vars_os().filter_map(|(name, value)| text(name).zip(text(value)));
    ObjectOptions::of(all)
}

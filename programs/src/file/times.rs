//! How long, how often, and whether from the cache: `timeout`, `retries`, `cache`.

use std::time::Duration;

use super::{
    duration,
    nearest::nearest,
    spot::{Spot, Table},
};
use crate::{Backoff, CachePolicy, Jitter, LoadError, Retries};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const TIMEOUT_MAX: Duration = DAY.saturating_mul(7);
const TTL_MAX: Duration = DAY.saturating_mul(366);
const RETRIES_MAX: u64 = 100;
const FACTOR_MAX: f64 = 100.0;
const JITTERS: [(&str, Jitter); 3] =
    [("full", Jitter::Full), ("equal", Jitter::Equal), ("none", Jitter::None)];

/// How long one attempt may take.
pub(super) fn timeout(file: &Table<'_>) -> Result<Option<Duration>, LoadError> {
    file.get("timeout").map(|it| duration::read(&it, TIMEOUT_MAX)).transpose()
}

/// How often to try again: `2`, or `{max: 2, backoff: {…}}`.
pub(super) fn retries(file: &Table<'_>) -> Result<Retries, LoadError> {
    let Some(spot) = file.get("retries") else { return Ok(Retries::default()) };
    if !spot.is_table() {
        return Ok(Retries { max: Some(times(&spot)?), ..Retries::default() });
    }
    let table = spot.table(&["max", "backoff"])?;
    let max = table.get("max").map(|it| times(&it)).transpose()?;
    let backoff = table.get("backoff").map(|it| backoff(&it)).transpose()?;
    Ok(Retries { max, backoff: backoff.unwrap_or_default() })
}

/// Whether an old result will do: `false`, or `{enabled: true, ttl: 24h}`.
pub(super) fn cache(file: &Table<'_>) -> Result<CachePolicy, LoadError> {
    let Some(spot) = file.get("cache") else { return Ok(CachePolicy::default()) };
    if !spot.is_table() {
        return Ok(CachePolicy { enabled: spot.bool()?, ttl: None });
    }
    let table = spot.table(&["enabled", "ttl"])?;
    let enabled = table.get("enabled").map(|it| it.bool()).transpose()?;
    let ttl = table.get("ttl").map(|it| duration::read(&it, TTL_MAX)).transpose()?;
    Ok(CachePolicy { enabled: enabled.unwrap_or(true), ttl })
}

fn times(spot: &Spot<'_>) -> Result<u32, LoadError> {
    Ok(u32::try_from(spot.count(0, RETRIES_MAX)?).unwrap_or(u32::MAX))
}

fn backoff(spot: &Spot<'_>) -> Result<Backoff, LoadError> {
    let table = spot.table(&["initial", "factor", "max", "jitter"])?;
    let wait = |key| table.get(key).map(|it| duration::read(&it, DAY)).transpose();
    let factor = table.get("factor").map(|it| it.number(1.0, FACTOR_MAX)).transpose()?;
    let jitter = table.get("jitter").map(|it| jitter(&it)).transpose()?;
    Ok(Backoff { initial: wait("initial")?, factor, max: wait("max")?, jitter })
}

fn jitter(spot: &Spot<'_>) -> Result<Jitter, LoadError> {
    let word = spot.text()?;
    let names = JITTERS.map(|(name, _)| name);
    let found = JITTERS.iter().find(|(name, _)| *name == word).map(|(_, jitter)| *jitter);
    found.ok_or_else(|| {
        let near = nearest(word, &names).map(|it| format!("did you mean `{it}`?"));
        let fix = near.unwrap_or_else(|| "write `full`, `equal` or `none`".to_owned());
        spot.fail(format!("unknown jitter `{word}`"), fix)
    })
}

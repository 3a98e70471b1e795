//! How much a request may ask for. Each bound is checked here, and told with its place.

use std::time::Duration;

use axum::http::Uri;
use chrono::{DateTime, TimeDelta, Utc};
use queue::{Allowance, Mode, Policy, micros};
use serde_json::Value;

use crate::{
    Config,
    error::{Error, Result},
    problem::Fault,
    record,
    request::{Budget, Options},
};

/// The most attempts after the first.
pub(crate) const RETRIES_MAX: u32 = 100;

/// The most items of a batch that comes as one JSON list.
const LIST_ITEMS_MAX: usize = 10_000;

/// The most dollars that a budget can be.
const BUDGET_MAX: f64 = 1_000_000.0;

/// How far away a start may be.
const DELAY_SECONDS_MAX: f64 = 366.0 * 24.0 * 3600.0;

const METADATA_MAX: usize = 64;
const METADATA_NAME_CHARS_MAX: usize = 64;
const METADATA_VALUE_CHARS_MAX: usize = 1024;
const LM_BYTES_MAX: usize = 16 * 1024;
const WEBHOOK_BYTES_MAX: usize = 2048;

/// A refusal of one part of a request.
pub(crate) fn invalid(pointer: &str, message: impl Into<String>) -> Error {
    let message = message.into();
    let name = pointer.trim_start_matches('/');
    let detail = format!("`{name}` {message}");
    Error::Invalid(detail, vec![Fault { pointer: pointer.to_owned(), message }])
}

/// Checks what stands in a request whatever the program.
pub(crate) fn check(options: &Options, config: &Config) -> Result<()> {
    if options.max_retries.is_some_and(|it| it > RETRIES_MAX) {
        return Err(invalid("/max_retries", format!("is at most {RETRIES_MAX}")));
    }
    lm(options, config)?;
    metadata(options)?;
    webhook(options.webhook.as_deref())
}

/// The time that one attempt may take.
pub(crate) fn timeout(seconds: f64, config: &Config) -> Result<Duration> {
    let most = config.timeout_seconds_max;
    let fits = seconds >= 0.001 && seconds <= most as f64;
    let duration = Duration::try_from_secs_f64(seconds).ok().filter(|_| fits);
    duration.ok_or_else(|| invalid("/timeout", format!("is from 0.001 to {most} seconds")))
}

/// What may be spent, by the request and by the program.
pub(crate) fn allowance(asked: Budget, of_program: Option<f64>) -> Result<Allowance> {
    let (Budget::Execution(dollars) | Budget::Batch(dollars)) = asked;
    budget(dollars)?;
    let (execution, batch) = match asked {
        Budget::Execution(dollars) => (dollars.or(of_program), None),
        Budget::Batch(dollars) => (of_program, dollars),
    };
    Ok(Allowance { execution_micros: execution.map(micros), batch_micros: batch.map(micros) })
}

/// Checks a budget.
pub(crate) fn budget(dollars: Option<f64>) -> Result<()> {
    if dollars.is_some_and(|it| !(0.0..=BUDGET_MAX).contains(&it)) {
        return Err(invalid("/budget", format!("is 0 to {BUDGET_MAX} dollars")));
    }
    Ok(())
}

/// When to start, by whichever of the two ways it is said.
pub(crate) fn not_before(
    run_at: Option<DateTime<Utc>>,
    delay: Option<f64>,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>> {
    let seconds = match (run_at, delay) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => return Err(invalid("/delay", "and `run_at` say the same: send one")),
        (Some(at), None) => (at - now).as_seconds_f64(),
        (None, Some(seconds)) if seconds >= 0.0 => seconds,
        (None, Some(_)) => return Err(invalid("/delay", "is 0 or more seconds")),
    };
    if seconds > DELAY_SECONDS_MAX {
        let pointer = if run_at.is_some() { "/run_at" } else { "/delay" };
        return Err(invalid(pointer, "is at most 366 days away"));
    }
    let delayed =
        || Duration::try_from_secs_f64(seconds).ok().and_then(|it| TimeDelta::from_std(it).ok());
    Ok(run_at.or_else(|| delayed().map(|delay| now + delay)))
}

/// Checks how many items came in one JSON body.
pub(crate) fn list(items: usize, config: &Config) -> Result<()> {
    let most = config.batch_items_max.min(LIST_ITEMS_MAX);
    if (1..=most).contains(&items) {
        return Ok(());
    }
    let message = format!(
        "has 1 to {most} items, and {items} were sent; send more as `application/x-ndjson`"
    );
    Err(invalid("/inputs_list", message))
}

/// Checks that an upload has no more items than it may have.
pub(crate) fn items_max(items: u64, most: u64) -> Result<()> {
    let message = || format!("are more than {most}");
    if items <= most { Ok(()) } else { Err(invalid("/items", message())) }
}

/// Checks that a batch has an item.
pub(crate) fn not_empty(items: u64) -> Result<()> {
    let message = "are none: a batch has at least one line that is not blank";
    if items > 0 { Ok(()) } else { Err(invalid("/items", message)) }
}

/// Checks what a batch is apart from its items.
pub(crate) fn batch(mode: Mode, policy: Policy) -> Result<()> {
    if policy.concurrency == Some(0) {
        return Err(invalid("/concurrency", "is 1 or more"));
    }
    match mode {
        Mode::DryRun => Err(invalid("/mode", "of a batch is `normal` or `debug`")),
        Mode::Normal | Mode::Debug => Ok(()),
    }
}

/// Whether a value is nested deeper than so many levels. The parser has bounded it already, so
/// the recursion is bounded too.
pub(crate) fn deeper(value: &Value, levels: usize) -> bool {
    let Some(inner) = levels.checked_sub(1) else {
        return matches!(value, Value::Array(_) | Value::Object(_));
    };
    match value {
        Value::Array(items) => items.iter().any(|it| deeper(it, inner)),
        Value::Object(fields) => fields.values().any(|it| deeper(it, inner)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// A name as a part of a JSON pointer.
pub(crate) fn token(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn lm(options: &Options, config: &Config) -> Result<()> {
    if options.lm.is_empty() {
        return Ok(());
    }
    if options.lm.values().any(|it| deeper(it, config.inputs_depth_max)) {
        return Err(invalid("/lm", "is nested too deep"));
    }
    let size = serde_json::to_vec(&options.lm).map_or(usize::MAX, |it| it.len());
    let fits = size <= LM_BYTES_MAX;
    fits.then_some(()).ok_or_else(|| invalid("/lm", format!("has at most {LM_BYTES_MAX} bytes")))
}

fn metadata(options: &Options) -> Result<()> {
    if options.metadata.len() > METADATA_MAX {
        return Err(invalid("/metadata", format!("has at most {METADATA_MAX} entries")));
    }
    for (name, value) in &options.metadata {
        let refuse = |message: String| Err(invalid(&format!("/metadata/{}", token(name)), message));
        if name.is_empty() || name.chars().count() > METADATA_NAME_CHARS_MAX {
            return refuse(format!("has a name of 1 to {METADATA_NAME_CHARS_MAX} characters"));
        }
        if value.chars().count() > METADATA_VALUE_CHARS_MAX {
            return refuse(format!("has at most {METADATA_VALUE_CHARS_MAX} characters"));
        }
        if record::RESERVED.contains(&name.as_str()) {
            return refuse("is a name that the record uses itself".to_owned());
        }
    }
    Ok(())
}

/// Checks where to tell of the end. Whether it may be called, the caller decides: names may mean
/// something else by then.
fn webhook(url: Option<&str>) -> Result<()> {
    let Some(url) = url else { return Ok(()) };
    let is_web = |it: &Uri| {
        let host = it.authority().filter(|it| !it.as_str().contains('@'));
        matches!(it.scheme_str(), Some("http" | "https"))
            && host.is_some_and(|it| !it.host().is_empty())
    };
    let fits = url.len() <= WEBHOOK_BYTES_MAX && url.parse().is_ok_and(|it| is_web(&it));
    let message = format!(
        "is an http or https URL with a host and without a user, of at most {WEBHOOK_BYTES_MAX} \
         bytes"
    );
    fits.then_some(()).ok_or_else(|| invalid("/webhook", message))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn attempts_take_a_millisecond_to_a_day() {
        let config = Config::default();
        assert_eq!(timeout(0.5, &config).unwrap(), Duration::from_millis(500));
        for seconds in [0.0, -1.0, 86_401.0, f64::NAN, f64::INFINITY, 1e300] {
            assert!(timeout(seconds, &config).is_err(), "{seconds}");
        }
    }

    #[test]
    fn starts_are_at_most_a_year_away() {
        let now = Utc::now();
        let at = not_before(None, Some(1.5), now).unwrap().unwrap();
        assert_eq!((at - now).num_milliseconds(), 1500);
        for delay in [-0.1, 1e9, f64::INFINITY, f64::NAN] {
            assert!(not_before(None, Some(delay), now).is_err(), "{delay}");
        }
        assert!(not_before(Some(now), Some(0.0), now).is_err());
        assert!(not_before(Some(now + TimeDelta::days(400)), None, now).is_err());
        assert_eq!(
            not_before(Some(now - TimeDelta::days(9)), None, now).unwrap().unwrap(),
            now - TimeDelta::days(9)
        );
    }

    #[test]
    fn depth_counts_arrays_and_objects() {
        assert!(!deeper(&json!(1), 0));
        assert!(!deeper(&json!([[1]]), 2));
        assert!(deeper(&json!([[{}]]), 2));
    }

    #[test]
    fn a_webhook_that_could_not_be_called_is_refused() {
        for url in [None, Some("https://example.com/hook?x=1"), Some("http://[::1]:8080")] {
            assert!(webhook(url).is_ok(), "{url:?}");
        }
        let long = format!("https://example.com/{}", "x".repeat(WEBHOOK_BYTES_MAX));
        for url in
            ["", "hook", "/hook", "ftp://x/y", "https://", "https://a:b@x/", "https:x", &long]
        {
            assert!(webhook(Some(url)).is_err(), "{url}");
        }
    }
}

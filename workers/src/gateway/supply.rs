//! What an endpoint says of its limits, in the headers of its answers.
//!
//! `x-ratelimit-{limit,remaining,reset}-{requests,tokens}` as OpenAI, Groq and vLLM's gateways send
//! them (`reset` as `1m30s`, `120ms`), and `anthropic-ratelimit-{requests,tokens}-…` as Anthropic
//! does (`reset` as a time).

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::HeaderMap;

use super::terms::Supply;

/// The windows that providers have: what is measured is taken for the nearest.
const WINDOWS_SECONDS: [f64; 4] = [1.0, 60.0, 3600.0, 86400.0];

/// How far a measured window may be from the one it is taken for.
const TOLERANCE: f64 = 0.25;

/// What was said of requests and tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Told {
    pub(super) requests: Option<Gauge>,
    pub(super) tokens: Option<Gauge>,
}

/// What was said of one supply.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Gauge {
    limit: f64,
    remaining: f64,
    /// Until the whole supply is there again.
    reset: Duration,
}

impl Told {
    pub(super) fn read(headers: &HeaderMap, now: DateTime<Utc>) -> Self {
        let of = |what: &str| {
            let openai = |part: &str| format!("x-ratelimit-{part}-{what}");
            let anthropic = |part: &str| format!("anthropic-ratelimit-{what}-{part}");
            Gauge::read(headers, openai, now).or_else(|| Gauge::read(headers, anthropic, now))
        };
        Self { requests: of("requests"), tokens: of("tokens") }
    }
}

impl Gauge {
    fn read(
        headers: &HeaderMap,
        name: impl Fn(&str) -> String,
        now: DateTime<Utc>,
    ) -> Option<Self> {
        let text = |part| headers.get(name(part))?.to_str().ok().map(str::trim);
        let number = |part| text(part)?.parse::<f64>().ok().filter(|it| *it >= 0.0);
        let limit = number("limit").filter(|it| *it > 0.0)?;
        Some(Self { limit, remaining: number("remaining")?, reset: time(text("reset")?, now)? })
    }

    /// The limit and its window, if they can be told: what is used comes back evenly, so that the
    /// time until all is back tells the window.
    pub(super) fn supply(&self) -> Option<Supply> {
        let used = self.limit - self.remaining;
        let measured = self.reset.as_secs_f64() * self.limit / used;
        let near = |window: &f64| (measured / window - 1.0).abs() <= TOLERANCE;
        let window = WINDOWS_SECONDS.into_iter().find(near)?;
        Some(Supply { limit: self.limit, window: Duration::from_secs_f64(window) })
    }

    /// How long nothing is left.
    pub(super) fn empty_for(&self) -> Option<Duration> {
        (self.remaining < 1.0 && !self.reset.is_zero()).then_some(self.reset)
    }
}

/// A time as `1m30s`, `120ms` or `2.5` (seconds), or until a date.
fn time(text: &str, now: DateTime<Utc>) -> Option<Duration> {
    if let Ok(seconds) = text.parse() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    if let Ok(date) = DateTime::parse_from_rfc3339(text) {
        return Some((date.to_utc() - now).to_std().unwrap_or_default());
    }
    let (mut rest, mut seconds) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let unit = &rest[digits..];
        let unit = &unit[..unit.find(|c: char| c.is_ascii_digit()).unwrap_or(unit.len())];
        seconds += number
            * match unit {
                "ms" => 0.001,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                "d" => 86400.0,
                _ => return None,
            };
        rest = &rest[digits + unit.len()..];
    }
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(k, v)| (k.parse().unwrap(), v.parse().unwrap())).collect()
    }

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    #[test]
    fn openai_s_headers_tell_limit_and_window() {
        let headers = headers(&[
            ("x-ratelimit-limit-requests", "600"),
            ("x-ratelimit-remaining-requests", "590"),
            ("x-ratelimit-reset-requests", "1s"),
            ("x-ratelimit-limit-tokens", "150000"),
            ("x-ratelimit-remaining-tokens", "149000"),
            ("x-ratelimit-reset-tokens", "400ms"),
        ]);

        let told = Told::read(&headers, now());

        let minute = Duration::from_secs(60);
        let requests = told.requests.unwrap().supply();
        assert_eq!(requests, Some(Supply { limit: 600.0, window: minute }));
        let tokens = told.tokens.unwrap().supply();
        assert_eq!(tokens, Some(Supply { limit: 150_000.0, window: minute }));
        assert_eq!(told.requests.unwrap().empty_for(), None);
    }

    #[test]
    fn anthropic_s_headers_tell_when_there_is_more() {
        let headers = headers(&[
            ("anthropic-ratelimit-requests-limit", "50"),
            ("anthropic-ratelimit-requests-remaining", "0"),
            ("anthropic-ratelimit-requests-reset", "2027-01-15T08:00:30Z"),
        ]);

        let told = Told::read(&headers, now());

        assert_eq!(told.requests.unwrap().empty_for(), Some(Duration::from_secs(30)));
        assert_eq!(told.tokens, None);
    }

    #[test]
    fn times_are_read_in_all_their_forms() {
        let read = |text| time(text, now()).map(|it| it.as_secs_f64());

        assert_eq!(read("6m0s"), Some(360.0));
        assert_eq!(read("1h2m3s"), Some(3723.0));
        assert_eq!(read("120ms"), Some(0.12));
        assert_eq!(read("7.66s"), Some(7.66));
        assert_eq!(read("2.5"), Some(2.5));
        assert_eq!(read("1 week"), None);
        assert_eq!(read("-3"), None);
    }

    #[test]
    fn what_does_not_fit_a_window_teaches_nothing() {
        let gauge = |remaining, reset| Gauge {
            limit: 100.0,
            remaining,
            reset: Duration::from_secs_f64(reset),
        };

        assert_eq!(gauge(100.0, 0.0).supply(), None);
        assert_eq!(gauge(50.0, 1000.0).supply(), None);
        assert!(gauge(0.0, 60.0).supply().is_some());
    }
}

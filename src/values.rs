//! Values as people write them in the environment, in the file and as flags. An error says what is
//! allowed; who calls adds the name of the setting and the value.

use std::{
    fmt::Display,
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    ops::RangeInclusive,
    str::FromStr,
    time::Duration,
};

use anyhow::{Result, anyhow, bail};
use workers::TermsBook;

/// The units of durations, in milliseconds.
const UNITS: [(&str, f64); 6] = [
    ("ms", 1.0),
    ("s", 1_000.0),
    ("m", 60_000.0),
    ("h", 3_600_000.0),
    ("d", 86_400_000.0),
    ("w", 604_800_000.0),
];

/// A thousand years: longer is a mistake, and would overflow dates.
const DURATION_MAX: Duration = Duration::from_secs(1000 * 365 * 86_400);

/// A duration such as `30d`, `1h30m`, `500ms`; a bare number is seconds.
pub(crate) fn duration(text: &str) -> Result<Duration> {
    let allowed = || anyhow!("must be a duration such as 30s, 15m, 24h, 7d or 1h30m");
    let mut rest = text.trim();
    let mut millis = 0.0;
    if rest.is_empty() {
        return Err(allowed());
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(end);
        let number: f64 = number.parse().map_err(|_| allowed())?;
        let end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let bare = unit.is_empty() && after.is_empty() && rest.len() == text.trim().len();
        let unit = if bare { "s" } else { unit };
        let (_, size) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(allowed)?;
        millis += number * size;
        rest = after;
    }
    let duration = Duration::try_from_secs_f64(millis / 1000.0).map_err(|_| allowed())?;
    if duration > DURATION_MAX {
        bail!("must be at most 1000 years");
    }
    Ok(duration)
}

/// Dollars, as millionths.
pub(crate) fn dollars(text: &str) -> Result<u64> {
    let found = text.trim().trim_start_matches('$').parse().ok();
    let found = found.filter(|it: &f64| it.is_finite() && *it >= 0.0);
    Ok(queue::micros(found.ok_or_else(|| anyhow!("must be dollars such as 20 or 0.50"))?))
}

/// The terms of models in a file.
pub(crate) fn models(path: &str) -> Result<TermsBook> {
    let text = fs::read_to_string(path).map_err(|error| anyhow!("cannot be read: {error}"))?;
    toml::from_str(&text).map_err(|error| anyhow!("is not as it should be: {error}"))
}

/// A duration that is longer than none.
pub(crate) fn positive(text: &str) -> Result<Duration> {
    let found = duration(text)?;
    if found.is_zero() {
        bail!("must be longer than 0s");
    }
    Ok(found)
}

/// A duration for people to read at a glance: `850 µs`, `12.3 ms`, `4.5 s`, `3 min 20 s`.
pub(crate) fn glance(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 0.001 {
        return format!("{:.0} µs", seconds * 1e6);
    }
    if seconds < 1.0 {
        return format!("{:.1} ms", seconds * 1e3);
    }
    if seconds < 60.0 {
        return format!("{seconds:.1} s");
    }
    let (minutes, seconds) = (duration.as_secs() / 60, duration.as_secs() % 60);
    if minutes < 60 {
        return format!("{minutes} min {seconds} s");
    }
    format!("{} h {} min", minutes / 60, minutes % 60)
}

/// A whole number within a range.
pub(crate) fn whole<T>(text: &str, range: RangeInclusive<T>) -> Result<T>
where
    T: FromStr + PartialOrd + Display,
{
    let found = text.trim().replace('_', "").parse().ok().filter(|it| range.contains(it));
    found.ok_or_else(|| anyhow!("must be a whole number from {} to {}", range.start(), range.end()))
}

/// The names of variables, with commas between them.
pub(crate) fn names(text: &str) -> Result<Vec<String>> {
    let names: Vec<String> = text.split(',').map(|it| it.trim().to_owned()).collect();
    let is_name =
        |it: &String| !it.is_empty() && it.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if names.iter().all(is_name) {
        return Ok(names);
    }
    bail!("must be names of variables with commas between them, as in `MY_TOKEN,MY_REGION`")
}

/// A yes or a no.
pub(crate) fn flag(text: &str) -> Result<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => bail!("must be true or false"),
    }
}

/// An address to listen on.
pub(crate) fn address(text: &str) -> Result<IpAddr> {
    if text == "localhost" {
        return Ok(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    text.trim_matches(['[', ']'])
        .parse()
        .map_err(|_| anyhow!("must be an IP address: 127.0.0.1 for this machine, 0.0.0.0 for all"))
}

/// An address and a port to listen on.
pub(crate) fn socket(text: &str) -> Result<SocketAddr> {
    let wrong = || anyhow!("must be an IP address and a port, as 127.0.0.1:9464");
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    Ok(SocketAddr::new(address(host).map_err(|_| wrong())?, port.parse().map_err(|_| wrong())?))
}

/// An address that begins with one of the given schemes.
pub(crate) fn url(text: &str, schemes: &[&str]) -> Result<String> {
    let known = schemes.iter().any(|scheme| {
        text.strip_prefix(scheme).is_some_and(|rest| {
            rest.strip_prefix("://").is_some_and(|host| !host.is_empty() && !host.starts_with('/'))
        })
    });
    if known {
        return Ok(text.trim_end_matches('/').to_owned());
    }
    let forms: Vec<String> = schemes.iter().map(|scheme| format!("{scheme}://")).collect();
    bail!("must begin with {} and name a host", forms.join(", "))
}

/// Addresses, separated by commas.
pub(crate) fn urls(text: &str, schemes: &[&str]) -> Result<Vec<String>> {
    let each = text.split(',').map(str::trim).filter(|it| !it.is_empty());
    each.map(|it| url(it, schemes)).collect()
}

/// A short name that can be part of a key.
pub(crate) fn name(text: &str) -> Result<String> {
    const NAME_MAX: usize = 64;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if (1..=NAME_MAX).contains(&text.len()) && text.chars().all(fits) {
        return Ok(text.to_owned());
    }
    bail!("must be 1 to {NAME_MAX} letters, digits, `-`, `_` or `.`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_in_many_units() {
        for (text, seconds) in [("250ms", 0.25), ("90s", 90.0), ("15m", 900.0), ("7d", 604_800.0)] {
            assert_eq!(duration(text).unwrap(), Duration::from_secs_f64(seconds), "{text}");
        }
        assert_eq!(duration("1h30m").unwrap(), Duration::from_secs(5400));
        assert_eq!(duration("300").unwrap(), Duration::from_secs(300));
        assert_eq!(duration("0.5").unwrap(), Duration::from_millis(500));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "d", "5y", "1h30", "-5s", "5 s", "1..5s", "99999999w", "inf"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_stay_in_their_range() {
        assert_eq!(whole("1_000", 0..=2000).unwrap(), 1000);
        let error = whole::<u16>("70000", 0..=65535).unwrap_err().to_string();
        assert_eq!(error, "must be a whole number from 0 to 65535");
    }

    #[test]
    fn a_place_to_listen_has_an_address_and_a_port() {
        for (text, meant) in [("localhost:1", "127.0.0.1:1"), ("[::1]:0", "[::1]:0")] {
            assert_eq!(socket(text).unwrap().to_string(), meant);
        }
        for text in ["9464", "127.0.0.1", ":9464", "host:9464", "127.0.0.1:70000"] {
            let error = socket(text).unwrap_err().to_string();
            assert_eq!(error, "must be an IP address and a port, as 127.0.0.1:9464", "{text}");
        }
    }

    #[test]
    fn urls_have_a_known_scheme_and_a_host() {
        assert_eq!(url("http://a:1/", &["http", "https"]).unwrap(), "http://a:1");
        for text in ["ftp://a", "http://", "http:///x", "a:1"] {
            assert!(url(text, &["http", "https"]).is_err(), "{text}");
        }
        let several = urls("http://a:1/, https://b,", &["http", "https"]).unwrap();
        assert_eq!(several, ["http://a:1", "https://b"]);
        assert!(urls("http://a, b", &["http", "https"]).is_err());
    }

    #[test]
    fn glances_are_short() {
        assert_eq!(glance(Duration::from_micros(850)), "850 µs");
        assert_eq!(glance(Duration::from_secs(200)), "3 min 20 s");
        assert_eq!(glance(Duration::from_secs(7260)), "2 h 1 min");
    }
}

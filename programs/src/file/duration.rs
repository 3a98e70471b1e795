//! How a file writes a duration: seconds, or a number with its unit.

use std::time::Duration;

use super::spot::Spot;
use crate::LoadError;

const FORMS: &str = "write seconds, or a number with its unit: 500ms, 90s, 15m, 24h, 7d";

const UNITS: [(&str, f64); 5] =
    [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86400.0)];

/// A duration of more than nothing and at most `max`.
pub(super) fn read(spot: &Spot<'_>, max: Duration) -> Result<Duration, LoadError> {
    let text = spot.word().map_err(|_| spot.fail("must be a duration", FORMS))?;
    let Some(seconds) = seconds(text) else {
        return Err(spot.fail(format!("`{text}` is no duration"), FORMS));
    };
    // Rounded to what the stores keep, so that a positive duration never becomes nothing.
    let rounded = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
    if rounded < Duration::from_millis(1) || rounded > max {
        let problem = format!("`{text}` must be from 1ms to {}s", max.as_secs());
        return Err(spot.fail(problem, "write another duration"));
    }
    Ok(rounded)
}

fn seconds(text: &str) -> Option<f64> {
    let text = text.trim();
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = match unit {
        "" => 1.0,
        unit => UNITS.iter().find(|(name, _)| *name == unit)?.1,
    };
    let plain = |c: char| c.is_ascii_digit() || c == '.';
    let number = number.trim_end();
    if !number.chars().all(plain) {
        return None;
    }
    Some(number.parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_seconds_and_a_unit_says_what_else() {
        for (text, wanted) in [
            ("300", Some(300.0)),
            ("0.5", Some(0.5)),
            ("500ms", Some(0.5)),
            ("90 s", Some(90.0)),
            ("24h", Some(86400.0)),
            ("1.5m", Some(90.0)),
            ("7d", Some(604_800.0)),
            ("-1", None),
            ("h", None),
            ("1w", None),
            ("1 h 30 m", None),
            ("1e3", None),
            ("", None),
            ("nan", None),
        ] {
            assert_eq!(seconds(text), wanted, "{text}");
        }
    }
}

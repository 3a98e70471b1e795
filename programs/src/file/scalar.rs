//! What a plain YAML scalar means, by the core schema of YAML 1.2.

use std::{borrow::Cow, fmt::Write as _};

use serde_json::{Number, Value};

/// The value of an unquoted text. `yes`, `no`, `on` and `off` are texts.
pub(super) fn resolve(raw: &str) -> Result<Value, String> {
    match raw {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::Null),
        "true" | "True" | "TRUE" => return Ok(Value::Bool(true)),
        "false" | "False" | "FALSE" => return Ok(Value::Bool(false)),
        _ => {}
    }
    let unsigned = raw.strip_prefix(['+', '-']).unwrap_or(raw);
    if ["inf", "Inf", "INF", "nan", "NaN", "NAN"].iter().any(|it| unsigned == format!(".{it}")) {
        return Err(format!("`{raw}` is no finite number"));
    }
    if let Some((digits, radix)) = in_radix(raw) {
        let number = u64::from_str_radix(digits, radix).map(Value::from);
        return number.map_err(|_| too_large(raw));
    }
    if !is_number(unsigned) {
        return Ok(raw.into());
    }
    let digits = raw.strip_prefix('+').unwrap_or(raw);
    if unsigned.bytes().all(|it| it.is_ascii_digit()) {
        let whole = digits.parse::<i64>().map(Value::from);
        return whole
            .or_else(|_| digits.parse::<u64>().map(Value::from))
            .map_err(|_| too_large(raw));
    }
    let number = digits.parse().ok().and_then(Number::from_f64);
    number.map(Value::Number).ok_or_else(|| too_large(raw))
}

/// JSON writes what is beyond the first plane as two escapes, `\ud83d\ude00`; YAML as one.
pub(super) fn join_surrogates(text: &str) -> Cow<'_, str> {
    if !text.trim_start().starts_with('{') || !text.contains("\\u") {
        return Cow::Borrowed(text);
    }
    let mut joined = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        joined.push_str(&rest[..at]);
        rest = &rest[at..];
        let step = if let Some(c) = surrogate_pair(rest) {
            let _ = write!(joined, "\\U{:08x}", u32::from(c));
            "\\uxxxx\\uxxxx".len()
        } else {
            // Both bytes of an escape, so that `\\u` is not taken for one.
            let step = rest.char_indices().nth(2).map_or(rest.len(), |(at, _)| at);
            joined.push_str(&rest[..step]);
            step
        };
        rest = &rest[step..];
    }
    joined.push_str(rest);
    Cow::Owned(joined)
}

fn surrogate_pair(text: &str) -> Option<char> {
    let unit = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        let plain = digits.bytes().all(|it| it.is_ascii_hexdigit());
        plain.then(|| u16::from_str_radix(digits, 16).ok()).flatten()
    };
    char::decode_utf16([unit(0)?, unit(6)?]).next()?.ok().filter(|it| it.len_utf16() == 2)
}

fn in_radix(raw: &str) -> Option<(&str, u32)> {
    let (digits, radix) = match raw.split_at_checked(2)? {
        ("0x", digits) => (digits, 16),
        ("0o", digits) => (digits, 8),
        _ => return None,
    };
    let is_number = !digits.is_empty() && digits.chars().all(|it| it.is_digit(radix));
    is_number.then_some((digits, radix))
}

/// Whether a text is `1`, `1.`, `.5`, `1.5e-3`.
fn is_number(unsigned: &str) -> bool {
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |it: &str| it.bytes().all(|it| it.is_ascii_digit());
    let exponent = exponent.is_none_or(|it| {
        let it = it.strip_prefix(['+', '-']).unwrap_or(it);
        !it.is_empty() && digits(it)
    });
    exponent && digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty())
}

fn too_large(raw: &str) -> String {
    format!("the number `{raw}` is too large")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn plain_scalars_follow_the_core_schema() {
        for (raw, value) in [
            ("", json!(null)),
            ("~", json!(null)),
            ("True", json!(true)),
            ("yes", json!("yes")),
            ("12", json!(12)),
            ("-12", json!(-12)),
            ("+5", json!(5)),
            ("007", json!(7)),
            ("0x1F", json!(31)),
            ("0o17", json!(15)),
            ("0x", json!("0x")),
            ("18446744073709551615", json!(u64::MAX)),
            ("1.5", json!(1.5)),
            (".5", json!(0.5)),
            ("1.", json!(1.0)),
            ("1e3", json!(1000.0)),
            ("-1.5E-3", json!(-0.0015)),
            (".", json!(".")),
            ("e3", json!("e3")),
            ("1e", json!("1e")),
            ("1.2.3", json!("1.2.3")),
            ("--1", json!("--1")),
            ("24h", json!("24h")),
            ("é", json!("é")),
        ] {
            assert_eq!(resolve(raw), Ok(value), "{raw}");
        }
        for raw in [".inf", "-.INF", ".nan", "1e999", "18446744073709551616", "0xfffffffffffffffff"]
        {
            assert!(resolve(raw).is_err(), "{raw}");
        }
    }

    #[test]
    fn a_pair_of_json_escapes_becomes_one_of_yaml() {
        let text = r#" {"a": "\ud83d\ude00 \\ud83d\ude00 \u00e9 \ud83d"#;
        let joined = r#" {"a": "\U0001f600 \\ud83d\ude00 \u00e9 \ud83d"#;
        assert_eq!(join_surrogates(text), joined);
        assert_eq!(join_surrogates(r"a: \ud83d\ude00"), r"a: \ud83d\ude00");
    }
}

//! Text and numbers as pydantic turns one into the other.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a value of any other of Python's types goes one and the same way"
)]

use crate::python::object::{Int, Object};

/// The most characters of an integer in text.
const INT_LEN_MAX: usize = 4300;

/// The integer that a text is: blanks around, a sign, underscores between digits, `.0` at the end.
pub(super) fn int_of_text(text: &str) -> Option<Int> {
    let text = text.trim();
    let (negative, unsigned) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let whole = match unsigned.split_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|b| b == b'0') => whole,
        Some(_) => return None,
        None => unsigned,
    };
    if text.len() > INT_LEN_MAX {
        return None;
    }
    digits(whole).map(|digits| Int::from_digits(negative, &digits))
}

/// The digits, given that underscores stand alone between them.
fn digits(text: &str) -> Option<String> {
    let is_fine =
        text.split('_').all(|it| !it.is_empty() && it.bytes().all(|b| b.is_ascii_digit()));
    is_fine.then(|| text.replace('_', ""))
}

/// The float that a text is. Blanks around it are taken off, but not where digits are grouped.
pub(super) fn float_of_text(text: &str) -> Option<f64> {
    if let Ok(float) = text.trim().parse() {
        return Some(float);
    }
    let is_grouped = text.contains('_')
        && !text.contains("__")
        && !text.starts_with('_')
        && !text.ends_with('_');
    is_grouped.then(|| text.replace('_', "").parse().ok()).flatten()
}

/// The truth that a word stands for.
pub(super) fn text_bool(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "0" | "off" | "f" | "false" | "n" | "no" => Some(false),
        "1" | "on" | "t" | "true" | "y" | "yes" => Some(true),
        _ => None,
    }
}

/// The truth that a number stands for.
pub(super) fn bool_of(value: &Object) -> Option<bool> {
    match value {
        Object::Bool(flag) => Some(*flag),
        Object::Int(Int::Small(0)) => Some(false),
        Object::Int(Int::Small(1)) => Some(true),
        Object::Float(float) if *float == 0.0 => Some(false),
        Object::Float(float) if (*float - 1.0).abs() < f64::EPSILON => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_only_where_no_blanks_are() {
        assert_eq!(float_of_text("1_0.5"), Some(10.5));
        assert_eq!(float_of_text(" 1.5\u{b}"), Some(1.5));
        assert_eq!(float_of_text(" 1_0.5"), None);
        assert_eq!(float_of_text("1__0"), None);
    }
}

//! Python's number literals.

use super::object::{Int, Object};

/// The value of a number as Python's source writes it.
pub(crate) fn literal(text: &str, digits_max: usize) -> Option<Object> {
    let lower = text.to_ascii_lowercase();
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = lower.strip_prefix(prefix) {
            let digits = grouped(digits.strip_prefix('_').unwrap_or(digits), radix)?;
            // Of any length to Python, which cannot print a longer one.
            let is_fine = digits.len() <= digits_max;
            return is_fine.then(|| Object::Int(from_radix(&digits, radix)));
        }
    }
    if let Some(real) = lower.strip_suffix('j') {
        let imaginary = decimal_float(real).or_else(|| grouped(real, 10)?.parse().ok())?;
        return Some(Object::Complex(0.0, imaginary));
    }
    let Some(digits) = grouped(&lower, 10) else { return decimal_float(&lower).map(Object::Float) };
    let has_leading_zero = digits.starts_with('0') && digits.bytes().any(|b| b != b'0');
    let is_fine = !has_leading_zero && digits.len() <= digits_max;
    is_fine.then(|| Object::Int(Int::from_digits(false, &digits)))
}

/// The digits, given that underscores stand only between two of them.
fn grouped(text: &str, radix: u32) -> Option<String> {
    let is_grouped =
        text.split('_').all(|it| !it.is_empty() && it.chars().all(|c| c.is_digit(radix)));
    is_grouped.then(|| text.replace('_', ""))
}

fn decimal_float(text: &str) -> Option<f64> {
    let (mantissa, exponent) = match text.split_once('e') {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let exponent = match exponent {
        Some(it) => Some(grouped(it.strip_prefix(['+', '-']).unwrap_or(it), 10).map(|_| it)?),
        None => None,
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None if exponent.is_some() => (mantissa, None),
        None => return None,
    };
    let is_given = |it: &str| it.is_empty() || grouped(it, 10).is_some();
    let has_digits = !whole.is_empty() || fraction.is_some_and(|it| !it.is_empty());
    let is_fine = has_digits && is_given(whole) && fraction.is_none_or(is_given);
    is_fine.then(|| text.replace('_', "").parse().ok()).flatten()
}

/// Digits of another base in base ten; by hand, for integers may be of any length.
fn from_radix(digits: &str, radix: u32) -> Int {
    let mut decimal: Vec<u32> = vec![0];
    for digit in digits.chars().filter_map(|c| c.to_digit(radix)) {
        let mut carry = digit;
        for place in &mut decimal {
            let sum = *place * radix + carry;
            *place = sum % 10;
            carry = sum / 10;
        }
        while carry > 0 {
            decimal.push(carry % 10);
            carry /= 10;
        }
    }
    let text: String = decimal.iter().rev().filter_map(|d| char::from_digit(*d, 10)).collect();
    Int::from_digits(false, &text)
}

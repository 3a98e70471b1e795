//! Python's `repr` and `str`.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a value of any other of Python's types goes one and the same way"
)]

use super::{
    object::{Dict, Object},
    unicode::is_printable,
};

/// `repr` of a list of strings.
pub(crate) fn str_list<S: AsRef<str>>(items: &[S]) -> String {
    let items: Vec<_> = items.iter().map(|it| string(it.as_ref())).collect();
    format!("[{}]", items.join(", "))
}

/// `str(value)`.
pub(crate) fn str(value: &Object) -> String {
    match value {
        Object::Str(text) | Object::Decimal(text) => text.clone(),
        other => repr(other),
    }
}

/// `repr(value)`.
pub(crate) fn repr(value: &Object) -> String {
    match value {
        Object::None => "None".to_owned(),
        Object::Bool(true) => "True".to_owned(),
        Object::Bool(false) => "False".to_owned(),
        Object::Int(int) => int.to_string(),
        Object::Float(value) => float(*value),
        Object::Str(text) => string(text),
        Object::Decimal(text) => format!("Decimal('{text}')"),
        Object::Bytes(bytes) => self::bytes(bytes),
        Object::List(items) => format!("[{}]", joined(items)),
        Object::Tuple(items) if items.len() == 1 => format!("({},)", repr(&items[0])),
        Object::Tuple(items) => format!("({})", joined(items)),
        Object::Set(items) if items.is_empty() => "set()".to_owned(),
        Object::Set(items) => format!("{{{}}}", joined(items)),
        Object::Dict(dict) => format!("{{{}}}", entries(dict)),
        Object::Complex(real, imaginary) => complex(*real, *imaginary),
        Object::Ellipsis => "Ellipsis".to_owned(),
    }
}

/// The parts without the `.0` of whole floats; a real part of nothing, and not of minus nothing, is
/// not shown.
fn complex(real: f64, imaginary: f64) -> String {
    let part = |it: f64| {
        let text = float(it);
        text.strip_suffix(".0").map_or(text.clone(), ToOwned::to_owned)
    };
    if real == 0.0 && real.is_sign_positive() {
        return format!("{}j", part(imaginary));
    }
    let sign = if imaginary.is_sign_negative() && !imaginary.is_nan() { "" } else { "+" };
    format!("({}{sign}{}j)", part(real), part(imaginary))
}

fn joined(items: &[Object]) -> String {
    items.iter().map(repr).collect::<Vec<_>>().join(", ")
}

fn entries(dict: &Dict) -> String {
    let pairs = dict.iter().map(|(key, value)| format!("{}: {}", repr(key), repr(value)));
    pairs.collect::<Vec<_>>().join(", ")
}

/// With fewer digits no number is as near to two.
const TIED_DIGITS: usize = 15;

/// `repr` of a float: the shortest digits that read back; an exponent from 1e16 and below 1e-4.
pub(crate) fn float(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = shortest(value);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        // With as many digits as it has; of more, there are zeros only.
        let digits = mantissa.bytes().filter(u8::is_ascii_digit).count();
        let decimals = i32::try_from(digits).unwrap_or(0) - 1 - exponent;
        return format!("{value:.*}", usize::try_from(decimals).unwrap_or(0).max(1));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

/// The shortest digits that are read as the same number; of two that are as near, the even ones.
fn shortest(value: f64) -> String {
    let short = format!("{value:e}");
    let digits = short.bytes().take_while(|b| *b != b'e').filter(u8::is_ascii_digit).count();
    if digits < TIED_DIGITS {
        return short;
    }
    let even = format!("{value:.*e}", digits - 1);
    if even.parse() == Ok(value) { even } else { short }
}

/// `repr` of a string.
pub(crate) fn string(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => out.extend(['\\', c]),
            c if is_printable(c) => out.push(c),
            c => out.push_str(&escaped(c)),
        }
    }
    out.push(quote);
    out
}

fn escaped(c: char) -> String {
    match u32::from(c) {
        code @ 0..=0xff => format!("\\x{code:02x}"),
        code @ 0x100..=0xffff => format!("\\u{code:04x}"),
        code => format!("\\U{code:08x}"),
    }
}

fn bytes(bytes: &[u8]) -> String {
    let body: String = bytes.iter().map(|b| b.escape_ascii().to_string()).collect();
    format!("b'{}'", body.replace("\\\"", "\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_print_as_python_prints_them() {
        let cases = [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (1e16, "1e+16"),
            (1e15, "1000000000000000.0"),
            (123_456_789.123, "123456789.123"),
            (78_901_234_567_890.12, "78901234567890.12"),
            (1.234_567_890_123_456_8e17, "1.2345678901234568e+17"),
            (1_234_567_890_123_456.8, "1234567890123456.8"),
            (0.000_123_456, "0.000123456"),
            (9_007_199_254_740_992.0, "9007199254740992.0"),
            (1e-4, "0.0001"),
            (1e-7, "1e-07"),
            (1.5e-10, "1.5e-10"),
            (-0.0, "-0.0"),
            (1e22, "1e+22"),
            (1e100, "1e+100"),
            (f64::INFINITY, "inf"),
        ];

        for (value, want) in cases {
            assert_eq!(float(value), want);
        }
    }

    #[test]
    fn strings_choose_their_quotes() {
        assert_eq!(string("a"), "'a'");
        assert_eq!(string("it's"), "\"it's\"");
        assert_eq!(string("it's \"x\""), "'it\\'s \"x\"'");
        assert_eq!(string("\u{2028}\u{7f}é"), "'\\u2028\\x7fé'");
    }
}

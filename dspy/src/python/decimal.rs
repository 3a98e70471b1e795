//! Python's `decimal.Decimal`, as far as reading and printing go.

/// The largest exponent of Python's C implementation.
const EXPONENT_MAX: i64 = 999_999_999_999_999_999;

/// What a text is as a decimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decimal {
    /// A finite number, as Python prints it.
    Finite(String),
    /// `NaN` or an infinity.
    Special,
}

/// `Decimal(text)`, if it is one.
pub(crate) fn parse(text: &str) -> Option<Decimal> {
    let text = super::text::strip(text).replace('_', "");
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(&text)),
    };
    if is_special(unsigned) {
        return Some(Decimal::Special);
    }
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent_of(exponent)?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: Option<String> = whole.chars().chain(fraction.chars()).map(digit).collect();
    let digits = digits.filter(|it| !it.is_empty())?;
    let exponent = exponent.checked_sub(i64::try_from(fraction.chars().count()).ok()?)?;
    let digits = match digits.trim_start_matches('0') {
        "" => "0",
        significant => significant,
    };
    let adjusted = exponent.checked_add(i64::try_from(digits.len()).ok()? - 1)?;
    if digits != "0" && adjusted.abs() > EXPONENT_MAX {
        return None;
    }
    Some(Decimal::Finite(format!("{sign}{}", printed(digits, exponent, adjusted))))
}

/// `inf`, `Infinity`, `nan`, `sNaN123`.
fn is_special(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let payload = text.strip_prefix("snan").or_else(|| text.strip_prefix("nan"));
    matches!(text.as_str(), "inf" | "infinity")
        || payload.is_some_and(|it| it.chars().all(|c| digit(c).is_some()))
}

fn exponent_of(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let digits: String = digits.chars().map(digit).collect::<Option<_>>()?;
    let size: i64 = digits.parse().ok()?;
    Some(if text.starts_with('-') { -size } else { size })
}

/// Any decimal digit of Unicode, as ASCII writes it.
fn digit(c: char) -> Option<char> {
    /// The zeros of the scripts whose digits stand in a row.
    const ZEROS: [u32; 8] = [0x30, 0x660, 0x6f0, 0x966, 0x9e6, 0xe50, 0xff10, 0x7c0];
    let code = u32::from(c);
    let zero = ZEROS.into_iter().find(|zero| (*zero..zero + 10).contains(&code))?;
    char::from_digit(code - zero, 10)
}

/// `str(decimal)`: plain while the number is not small, else in scientific notation.
fn printed(digits: &str, exponent: i64, adjusted: i64) -> String {
    if exponent <= 0 && adjusted >= -6 {
        let places = usize::try_from(-exponent).unwrap_or(0);
        if places == 0 {
            return digits.to_owned();
        }
        let padded = format!("{digits:0>width$}", width = places + 1);
        let (whole, fraction) = padded.split_at(padded.len() - places);
        return format!("{whole}.{fraction}");
    }
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    let sign = if adjusted < 0 { '-' } else { '+' };
    format!("{first}{point}{rest}E{sign}{}", adjusted.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_and_printed_as_python_does() {
        let cases = [
            ("1.10", "1.10"),
            (" +1_000.5 ", "1000.5"),
            ("1e5", "1E+5"),
            ("1E-7", "1E-7"),
            ("12e-1", "1.2"),
            ("0.000001", "0.000001"),
            ("0.0000001", "1E-7"),
            ("0E-10", "0E-10"),
            ("-0.00", "-0.00"),
            ("000012.3400", "12.3400"),
            (".5", "0.5"),
            ("5.", "5"),
            ("٣", "3"),
            ("123E+3", "1.23E+5"),
        ];

        for (text, want) in cases {
            assert_eq!(parse(text), Some(Decimal::Finite(want.to_owned())), "{text}");
        }
        assert_eq!(parse("-Infinity"), Some(Decimal::Special));
        assert_eq!(parse("sNaN12"), Some(Decimal::Special));
    }

    #[test]
    fn what_is_no_decimal_is_refused() {
        for text in
            ["", ".", "1,5", "--1", "1e", "e1", "0x10", "1e1.5", "nanx", "1e9999999999999999999"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}

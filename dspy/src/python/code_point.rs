//! Characters by the numbers that escapes write.

const HIGH: std::ops::Range<u32> = 0xd800..0xdc00;
const LOW: std::ops::Range<u32> = 0xdc00..0xe000;
const DIGITS: usize = 4;
/// How many characters an escape has: `\u0000`.
const ESCAPE_CHARS: usize = 2 + DIGITS;

/// The number that hexadecimal digits write; `None` if there is none or another character.
pub(crate) fn hex(digits: impl IntoIterator<Item = char>) -> Option<u32> {
    let mut code: Option<u32> = None;
    for digit in digits {
        code = Some(code.unwrap_or(0).checked_mul(16)?.checked_add(digit.to_digit(16)?)?);
    }
    code
}

/// The character of a `\u` escape, and how many characters of what follows are its other half.
///
/// Python keeps halves of surrogate pairs apart, and they become one when they are written as
/// JSON. A half without the other, which Rust's text cannot hold, becomes U+FFFD.
pub(crate) fn paired(code: u32, rest: impl IntoIterator<Item = char>) -> (char, usize) {
    let low = HIGH.contains(&code).then(|| escaped(rest)).flatten();
    match low.filter(|it| LOW.contains(it)) {
        Some(low) => {
            let code = 0x1_0000 + ((code - HIGH.start) << 10) + (low - LOW.start);
            (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), ESCAPE_CHARS)
        }
        None => (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 0),
    }
}

/// The number of the `\u` escape that a text begins with.
fn escaped(text: impl IntoIterator<Item = char>) -> Option<u32> {
    let mut text = text.into_iter();
    if text.next() != Some('\\') || text.next() != Some('u') {
        return None;
    }
    // Fewer digits, where the text ends, write no half: those have four.
    hex(text.take(DIGITS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_become_one() {
        let low = "\\udf89!";

        assert_eq!(paired(0xd83c, low.chars()), ('🎉', 6));
        assert_eq!(paired(0xd83c, low[1..].chars()), ('\u{fffd}', 0));
        assert_eq!(paired(0xd83c, low[..5].chars()), ('\u{fffd}', 0));
        assert_eq!(paired(0xe9, low.chars()), ('é', 0));
        assert_eq!(hex("e9".chars()), Some(0xe9));
        assert_eq!(hex("".chars()), None);
    }
}

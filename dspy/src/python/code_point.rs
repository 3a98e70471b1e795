//! Characters by the numbers that escapes write.

const HIGH: std::ops::Range<u32> = 0xd800..0xdc00;
const LOW: std::ops::Range<u32> = 0xdc00..0xe000;
const ESCAPE_CHARS: usize = "\\u0000".len();

/// The number that hexadecimal digits write; `None` if there is none or another character.
pub(crate) fn hex(digits: &[char]) -> Option<u32> {
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
pub(crate) fn paired(code: u32, rest: &[char]) -> (char, usize) {
    let low = || match rest {
        ['\\', 'u', digits @ ..] => hex(digits.get(..4)?).filter(|it| LOW.contains(it)),
        _ => None,
    };
    match HIGH.contains(&code).then(low).flatten() {
        Some(low) => {
            let code = 0x1_0000 + ((code - HIGH.start) << 10) + (low - LOW.start);
            (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), ESCAPE_CHARS)
        }
        None => (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_become_one() {
        let rest: Vec<char> = "\\udf89!".chars().collect();

        assert_eq!(paired(0xd83c, &rest), ('🎉', 6));
        assert_eq!(paired(0xd83c, &rest[1..]), ('\u{fffd}', 0));
        assert_eq!(paired(0xe9, &rest), ('é', 0));
        assert_eq!(hex(&['e', '9']), Some(0xe9));
        assert_eq!(hex(&[]), None);
    }
}

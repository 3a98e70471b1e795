//! Names that Python takes.

use super::unicode::{self, nfkc};

/// Words of Python's own.
pub(crate) const KEYWORDS: [&str; 35] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue",
    "def", "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import",
    "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while",
    "with", "yield",
];

/// Whether a field may be called so: pydantic takes no name that begins with `_`.
pub fn is_field_name(name: &str) -> bool {
    !name.starts_with('_') && is_identifier(name)
}

/// Whether Python takes it for a name: `str.isidentifier`, and no word of its own.
pub(crate) fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    let begins = chars.next().is_some_and(unicode::starts_name);
    begins && chars.all(unicode::continues_name) && !KEYWORDS.contains(&name)
}

/// A name as Python takes it, which is in its compatible form: `ﬁeld` is `field`.
///
/// What becomes one of Python's own words is still a name.
pub(crate) fn taken(name: &str) -> String {
    if name.is_ascii() { name.to_owned() } else { nfkc(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_of_what_python_knows() {
        for name in ["a1", "résumé", "名前", "ⅷ", "a·b", "e\u{301}"] {
            assert!(is_field_name(name), "{name}");
        }
        // Letters that are newer than Python 3.11, and what is no letter.
        for name in ["", "_a", "1a", "a-b", "class", "\u{1c89}a", "a\u{30fb}", "²", "a²"] {
            assert!(!is_field_name(name), "{name}");
        }
    }
}

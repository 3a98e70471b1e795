//! Names that Python takes: of fields, of types, of members.

use super::spot::Named;
use crate::LoadError;

/// The longest name.
const CHARS_MAX: usize = 128;

const KEYWORDS: [&str; 35] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue",
    "def", "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import",
    "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while",
    "with", "yield",
];

/// A name that Python takes; `what` it is the name of.
pub(super) fn read(named: &Named<'_>, what: &str) -> Result<String, LoadError> {
    let name = named.name;
    if is_name(name) {
        return Ok(name.to_owned());
    }
    let fix = "use letters, digits and `_`, a letter first, and no word of Python's own";
    Err(named.fail(format!("`{name}` is no name for {what}"), fix))
}

/// Whether a field may be called so.
pub(super) fn is_name(name: &str) -> bool {
    let shape = name.starts_with(char::is_alphabetic)
        && name.chars().all(|c| c.is_alphanumeric() || c == '_')
        && name.chars().count() <= CHARS_MAX;
    shape && !KEYWORDS.contains(&name)
}

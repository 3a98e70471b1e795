//! Names that Python takes: of fields, of types, of members.

use super::spot::Named;
use crate::LoadError;

/// The longest name.
const CHARS_MAX: usize = 128;

/// A name that Python takes; `what` it is the name of.
pub(super) fn read(named: &Named<'_>, what: &str) -> Result<String, LoadError> {
    let name = named.name;
    if dspy::is_field_name(name) && name.chars().count() <= CHARS_MAX {
        return Ok(name.to_owned());
    }
    let fix = "use letters, digits and `_`, a letter first, and no word of Python's own";
    Err(named.fail(format!("`{name}` is no name for {what}"), fix))
}

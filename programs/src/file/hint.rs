//! What to say about a key that is not known, and where secrets are not to be.

use super::{nearest::nearest, spot::Spot};
use crate::{LoadError, lm};

const NEVER_IN_A_FILE: &str = "a secret is never read from a file";
const NAME_A_VARIABLE: &str = "put it into an environment variable, and name that variable in \
                               `lm.api_key_env`";

/// The most items of a list in a part of the file that is read for secrets only.
const ITEMS_MAX: usize = 10_000;

/// Keys that people write at the top and that belong elsewhere.
const MOVED: [(&[&str], &str); 3] = [
    (&["model", "temperature", "max_tokens", "api_base", "api_key_env"], "it belongs under `lm`"),
    (
        &["inputs", "outputs", "module", "examples", "instructions", "demos"],
        "it belongs under `signatures`, into a signature: `signatures: {main: {…}}`",
    ),
    (&["signature"], "write `signatures: {main: {…}}`"),
];

/// The problem with a key that is not known, and the fix.
pub(super) fn unknown(path: &str, key: &str, known: &[&str]) -> (String, String) {
    if lm::is_secret(key) {
        return (NEVER_IN_A_FILE.to_owned(), NAME_A_VARIABLE.to_owned());
    }
    if key == "token" {
        let fix = "put it into an environment variable, and name that variable in `token_env`";
        return (NEVER_IN_A_FILE.to_owned(), fix.to_owned());
    }
    let moved = MOVED.iter().find(|(keys, _)| path.is_empty() && keys.contains(&key));
    let fix = match (moved, nearest(key, known)) {
        (Some((_, fix)), _) => (*fix).to_owned(),
        (None, Some(near)) => format!("did you mean `{near}`?"),
        (None, None) => format!("known here: {}", known.join(", ")),
    };
    ("unknown key".to_owned(), fix)
}

/// Refuses secrets in a part of the file whose keys are the author's.
pub(super) fn refuse_secrets(spot: &Spot<'_>) -> Result<(), LoadError> {
    if spot.is_list() {
        return spot.list(ITEMS_MAX)?.iter().try_for_each(refuse_secrets);
    }
    if !spot.is_table() {
        return Ok(());
    }
    for named in spot.names()? {
        if lm::is_secret(named.name) {
            return Err(named.fail(NEVER_IN_A_FILE, NAME_A_VARIABLE));
        }
        refuse_secrets(&named.spot)?;
    }
    Ok(())
}

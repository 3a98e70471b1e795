//! The Python interpreter of the tests, with the real DSPy.

use std::path::{Path, PathBuf};

/// The interpreter that `scripts/test` makes: `target/venv/bin/python` of the workspace, with what
/// `tests/requirements.txt` names. Panics when it is not there: what compares with the real DSPy
/// is never skipped.
pub fn python() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let python = root.join("target/venv/bin/python");
    assert!(
        python.exists(),
        "there is no {}, the Python of the tests: `./scripts/test` makes it, or \
         `python3 -m venv target/venv && target/venv/bin/pip install -r tests/requirements.txt`",
        python.display()
    );
    // Not resolved further: an environment is found by the path of its interpreter.
    root.canonicalize().expect("the workspace").join("target/venv/bin/python")
}

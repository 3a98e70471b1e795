//! The Python environment of the tests, with the real DSPy.

use std::path::{Path, PathBuf};

/// The interpreter that `scripts/test` makes: `target/venv/bin/python` of the workspace, with what
/// `tests/requirements.txt` names. Panics when it is not there: what compares with the real DSPy
/// is never skipped.
pub fn python() -> PathBuf {
    // Not resolved further: an environment is found by the path of its interpreter.
    of_venv(
        "bin/python",
        "`python3 -m venv target/venv && target/venv/bin/pip install -r tests/requirements.txt`",
    )
}

/// The `DENO_DIR` that `scripts/test` makes, with what DSPy's sandbox needs besides Deno. Panics
/// when it is not there.
pub fn deno_dir() -> PathBuf {
    of_venv("deno", "`target/venv/bin/python tests/python/sandbox.py target/venv/deno`")
}

fn of_venv(name: &str, command: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = root.canonicalize().expect("the workspace").join("target/venv").join(name);
    let shown = path.display();
    assert!(path.exists(), "there is no {shown}: `./scripts/test` makes it, or {command}");
    path
}

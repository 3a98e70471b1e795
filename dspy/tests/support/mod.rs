//! What the tests over the golden files share.

pub(crate) mod neutral;
pub(crate) mod plain;
pub(crate) mod program;
pub(crate) mod replay;
pub(crate) mod settings;

use std::path::PathBuf;

/// The folder of golden files.
pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

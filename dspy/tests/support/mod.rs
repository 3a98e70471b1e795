//! What the tests over the golden files share.

pub mod neutral;
pub mod plain;
pub mod replay;

use std::path::PathBuf;

use serde_json::Value;

/// The folder of golden files.
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// A JSON file of the folder.
pub fn json(name: &str) -> Value {
    let text = std::fs::read_to_string(folder().join(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

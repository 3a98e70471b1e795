//! The embedded store: one file, no server, one machine.

/// A queue in a SQLite file. Cheap to clone.
#[derive(Clone)]
pub struct SqliteQueue {}

//! Why a source could not be fetched, and what to do.

/// Why a source could not be fetched, by what follows from it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SourceError {
    /// It may be had later, without anybody doing anything here.
    #[error("{0}")]
    Unavailable(String),
    /// It will not be had before somebody does what it says.
    #[error("{0}")]
    Refused(String),
}

impl SourceError {
    /// The disk cannot be written to, or read.
    pub(super) fn disk(what: &str, error: &std::io::Error) -> Self {
        Self::Unavailable(format!("{what}: {error}; see SOURCES_DIR"))
    }
}

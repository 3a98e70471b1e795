//! Why a Python program gave no outputs.

/// Why a Python program gave no outputs, by what follows from it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum Fault {
    /// The program raised an exception of its own, or gave what is no JSON.
    #[error("{message}")]
    Raised {
        /// What it says.
        message: String,
        /// Where it was raised; in debug mode.
        traceback: Option<String>,
    },
    /// The program could not be loaded, and could not be a second time.
    #[error("the program cannot be loaded: {0}")]
    NotLoaded(String),
    /// What its source names could not be fetched, this time.
    #[error("the program cannot be fetched: {0}")]
    NotFetched(String),
    /// No process of it could be started, this time.
    #[error("no process of the program can be started: {0}")]
    NotStarted(String),
    /// Its process ended under it, also when it ran alone.
    #[error("{0}")]
    Crashed(String),
    /// Its process was ended because of another execution. It is not to blame.
    #[error("{0}")]
    Bystander(String),
}

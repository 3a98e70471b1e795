//! What can go wrong with a store, named by what the caller can do about it.

use std::time::Duration;

/// A failure of the queue.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Tell the client: there is nothing of that name.
    #[error("no such {0}")]
    NotFound(&'static str),
    /// Tell the client: what it asks for cannot happen in this state any more.
    #[error("it is {0} already")]
    AlreadyEnded(crate::State),
    /// Tell the client: the idempotency key was used with another body.
    #[error("the idempotency key was used for a different request")]
    KeyReused,
    /// Tell the client to come back later: a limit of the queue is reached.
    #[error("{limit}: at most {most} executions may wait")]
    Full {
        /// Which limit, in words.
        limit: &'static str,
        /// Its value.
        most: u64,
        /// When to try again.
        retry_after: Duration,
    },
    /// Tell the client to come back later: the store has no room for more, and has lost nothing.
    #[error("the store has no room for more now ({0}); what it has is kept")]
    NoRoom(&'static str),
    /// Tell the client with which item to go on.
    #[error("the batch has {received} items: the next part begins with `first={received}`")]
    OutOfStep {
        /// How many items the batch has.
        received: u64,
    },
    /// Tell the client: the batch takes no more items.
    #[error("the batch takes no more items: it is sealed with {received}")]
    Sealed {
        /// How many items the batch has.
        received: u64,
    },
    /// Tell the client: the store cannot promise this.
    #[error("the store cannot do this: {0}")]
    Unsupported(String),
    /// Try again later; nothing is known to be lost.
    #[error("the store cannot be reached: {0}")]
    Unavailable(String),
    /// Tell the operator at start: the store is set up in a way that loses data.
    #[error("{0}")]
    Setup(String),
    /// Tell the operator: the store holds something unexpected.
    #[error("the store holds something unexpected: {0}")]
    Corrupt(String),
}

/// A result of the queue.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Whether the same may go well later: the store is away, or has no room now.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::NoRoom(_))
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Error::Corrupt(error.to_string())
    }
}

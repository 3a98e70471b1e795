//! What a keeper hears.

use queue::Class;
use tokio::{
    io::BufReader,
    net::unix::OwnedReadHalf,
    sync::{mpsc, oneshot},
};

use super::{
    fault::Fault,
    link::Heard,
    parent::{Parent, StartError},
    protocol::FromParent,
    seat::Seat,
};

/// Where events are sent. Each belongs to a child, a run or a start, of which there are few.
pub(super) type Events = mpsc::UnboundedSender<Event>;

/// What a keeper hears, beside those who ask for seats.
#[derive(Debug)]
pub(super) enum Event {
    /// A parent was started, or could not be.
    Started(Result<Box<(Parent, BufReader<OwnedReadHalf>)>, StartError>),
    /// The parent says something; nothing once it is gone.
    Parent(Option<FromParent>),
    /// A child says something.
    Child { child: u32, heard: Box<Heard> },
    /// A seat was given back unused.
    Free { child: u32, run: u64 },
    /// Nobody waits for a run any more.
    Abandoned { child: u32, run: u64 },
    /// A child's process is gone, and all that it has said was read.
    Buried { child: u32, how: String },
}

/// Somebody who wants a seat.
#[derive(Debug)]
pub(super) struct Ask {
    /// Whether nobody else may run in the same child.
    pub(super) alone: bool,
    /// How urgent it is.
    pub(super) class: Class,
    /// Where the seat goes.
    pub(super) reply: oneshot::Sender<Result<Seat, Fault>>,
}

//! A place in a child for one run.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::{
    event::{Event, Events},
    fault::Fault,
    link::Link,
    protocol::{FromChild, ToChild},
};

/// A place in a child for one run. Dropped before its end, the run is stopped.
#[derive(Debug)]
pub(super) struct Seat {
    /// The child's connection.
    pub(super) link: Arc<Link>,
    /// The run's number.
    pub(super) run: u64,
    child: u32,
    inbox: mpsc::Receiver<FromChild>,
    events: Events,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// The child has not heard of the run.
    Taken,
    /// The child runs it.
    Running,
    /// The child has said the last of it, or is gone.
    Over,
}

impl Seat {
    /// A seat for a run in a child.
    pub(super) fn new(link: &Arc<Link>, child: u32, run: u64, events: Events) -> Self {
        let (link, inbox) = (Arc::clone(link), link.open(run));
        Self { link, run, child, inbox, events, stage: Stage::Taken }
    }

    /// Gives the child what it is to run.
    pub(super) async fn begin(&mut self, message: &ToChild<'_>) -> Result<(), Fault> {
        self.stage = Stage::Running;
        let told = self.link.tell(message).await;
        told.map_err(|error| {
            self.stage = Stage::Taken;
            Fault::Raised { message: format!("the inputs are too large: {error}"), traceback: None }
        })
    }

    /// The next message of the run.
    pub(super) async fn hear(&mut self) -> Result<FromChild, Fault> {
        let message = self.inbox.recv().await.ok_or_else(|| self.lost())?;
        if message.is_last() {
            self.stage = Stage::Over;
        }
        Ok(message)
    }

    fn lost(&mut self) -> Fault {
        self.stage = Stage::Over;
        match self.link.obituary() {
            Some(it) if it.was_killed => Fault::Bystander(it.text),
            Some(it) => Fault::Crashed(it.text),
            None => Fault::Crashed("the program's process ended".to_owned()),
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let (child, run) = (self.child, self.run);
        let event = match self.stage {
            Stage::Taken => Event::Free { child, run },
            Stage::Running => Event::Abandoned { child, run },
            Stage::Over => return,
        };
        self.link.close(run);
        // A keeper that is gone has killed the child already.
        let _gone = self.events.send(event);
    }
}

//! The connection to one child: messages of many runs over one socket.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::Serialize;
use tokio::{
    io::{AsyncWriteExt, BufReader, BufWriter},
    net::unix::{OwnedReadHalf, OwnedWriteHalf},
    sync::mpsc,
};

use super::{frame, protocol::FromChild};

/// How many messages of one run may wait to be read, before the child has to wait.
const INBOX: usize = 256;

/// How many frames may wait to be written, before those who write have to wait.
const OUTBOX: usize = 64;

/// How a child's process ended.
#[derive(Clone, Debug)]
pub(super) struct Obituary {
    /// For people.
    pub(super) text: String,
    /// Whether it was ended because of one of its runs, to which the others were bystanders.
    pub(super) was_killed: bool,
}

/// The connection to one child.
#[derive(Debug)]
pub(super) struct Link {
    outbox: mpsc::Sender<Vec<u8>>,
    routes: Mutex<Routes>,
}

#[derive(Debug, Default)]
struct Routes {
    runs: HashMap<u64, mpsc::Sender<FromChild>>,
    ended: Option<Obituary>,
}

/// What a child says that is for the keeper.
#[derive(Debug)]
pub(super) enum Heard {
    /// It belongs to no run.
    Message(Box<FromChild>),
    /// Nothing follows for this run.
    Over(u64),
    /// Nothing follows at all.
    Silent,
}

impl Link {
    /// A connection, and the future that writes to it until it is dropped.
    pub(super) fn new(writer: OwnedWriteHalf) -> (Arc<Self>, impl Future<Output = ()> + Send) {
        let (outbox, frames) = mpsc::channel(OUTBOX);
        let link = Self { outbox, routes: Mutex::default() };
        (Arc::new(link), write(writer, frames))
    }

    /// Says something to the child. It may be gone, which its runs hear otherwise.
    pub(super) async fn tell(&self, message: &impl Serialize) -> io::Result<()> {
        let frame = frame::encode(message)?;
        let _gone = self.outbox.send(frame).await;
        Ok(())
    }

    /// The same, if that needs no waiting.
    pub(super) fn try_tell(&self, message: &impl Serialize) {
        if let Ok(frame) = frame::encode(message) {
            // Full or gone: who is told to stop so has a deadline behind it.
            let _lost = self.outbox.try_send(frame);
        }
    }

    /// Begins to keep the messages of a run.
    pub(super) fn open(&self, run: u64) -> mpsc::Receiver<FromChild> {
        let (inbox, messages) = mpsc::channel(INBOX);
        self.routes().runs.insert(run, inbox);
        messages
    }

    /// Forgets a run: nobody reads its messages any more.
    pub(super) fn close(&self, run: u64) {
        self.routes().runs.remove(&run);
    }

    /// Ends every run: the process is gone.
    pub(super) fn end(&self, obituary: Obituary) {
        let mut routes = self.routes();
        routes.ended = Some(obituary);
        routes.runs.clear();
    }

    /// How the process ended, once it has.
    pub(super) fn obituary(&self) -> Option<Obituary> {
        self.routes().ended.clone()
    }

    /// Reads what the child says until the end, and hands it to the runs and the keeper.
    pub(super) async fn read(
        self: Arc<Self>,
        reader: OwnedReadHalf,
        mut heard: impl FnMut(Heard) + Send,
    ) {
        let mut reader = BufReader::new(reader);
        loop {
            let message = match frame::read::<FromChild>(&mut reader).await {
                Ok(Some(message)) => message,
                Ok(None) => break,
                Err(error) => {
                    tracing::warn!(%error, "a runner says what cannot be read: {error}");
                    break;
                }
            };
            let Some(run) = message.run() else {
                heard(Heard::Message(Box::new(message)));
                continue;
            };
            let is_last = message.is_last();
            let inbox = self.routes().runs.get(&run).cloned();
            if let Some(inbox) = inbox {
                // The one who read may have gone.
                let _unread = inbox.send(message).await;
            }
            if is_last {
                self.close(run);
                heard(Heard::Over(run));
            }
        }
        heard(Heard::Silent);
    }

    fn routes(&self) -> MutexGuard<'_, Routes> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes what waits together: each write wakes the child, which takes it longer than to read it.
async fn write(writer: OwnedWriteHalf, mut frames: mpsc::Receiver<Vec<u8>>) {
    let (mut writer, mut waiting) = (BufWriter::new(writer), Vec::new());
    while frames.recv_many(&mut waiting, OUTBOX).await > 0 {
        for frame in waiting.drain(..) {
            if writer.write_all(&frame).await.is_err() {
                return;
            }
        }
        if writer.flush().await.is_err() {
            return;
        }
    }
}

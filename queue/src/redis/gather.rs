//! Self-clocked group commit: a call is sent at once when none is under way, else it waits for the
//! answer of that one, together with all others that come meanwhile. It costs no time when there
//! is little to do, and halves the work of Redis when there is much.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::{Error, Result};

/// The most calls in one script: it blocks the server for about a millisecond.
const GROUP_MAX: usize = 64;
/// How many calls may wait; more wait outside.
pub(super) const WAITING_MAX: usize = 4096;
/// How long a stubborn call waits before it asks again.
const AGAIN: Duration = Duration::from_millis(250);

type Asked<C> = (<C as Commit>::Call, oneshot::Sender<Result<<C as Commit>::Answer>>);

/// What carries a group of calls out, in one step.
pub(super) trait Commit: Send + 'static {
    type Call: Send + 'static;
    type Answer: Send + 'static;

    /// Whether calls are carried out again for as long as the store cannot be reached and their
    /// callers wait.
    const STUBBORN: bool;

    /// Carries the calls out, and gives an answer to each, in order.
    fn commit(
        &mut self,
        calls: &[Self::Call],
    ) -> impl Future<Output = Result<Vec<Result<Self::Answer>>>> + Send;
}

/// A door to a [`Commit`]. The task behind it ends when the last door is gone.
pub(super) struct Gather<C: Commit> {
    door: mpsc::Sender<Asked<C>>,
}

impl<C: Commit> Clone for Gather<C> {
    fn clone(&self) -> Self {
        Self { door: self.door.clone() }
    }
}

impl<C: Commit> Gather<C> {
    pub(super) fn start(commit: C) -> Self {
        let (door, calls) = mpsc::channel(WAITING_MAX);
        tokio::spawn(serve(commit, calls));
        Self { door }
    }

    pub(super) async fn call(&self, call: C::Call) -> Result<C::Answer> {
        let (sender, answer) = oneshot::channel();
        self.door.send((call, sender)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

async fn serve<C: Commit>(mut commit: C, mut asked: mpsc::Receiver<Asked<C>>) {
    let mut group = Vec::with_capacity(GROUP_MAX);
    while asked.recv_many(&mut group, GROUP_MAX).await > 0 {
        let (calls, senders): (Vec<_>, Vec<_>) = group.drain(..).unzip();
        let answers = loop {
            match commit.commit(&calls).await {
                Err(error) if error.may_pass() && C::STUBBORN && are_awaited(&senders) => {
                    tokio::time::sleep(AGAIN).await;
                }
                answers => break answers,
            }
        };
        let answers =
            answers.unwrap_or_else(|error| senders.iter().map(|_| Err(again(&error))).collect());
        for (sender, answer) in senders.into_iter().zip(answers) {
            let _: Result<(), _> = sender.send(answer); // its caller went away
        }
    }
}

/// The same failure, for another caller.
fn again(error: &Error) -> Error {
    if let Error::NoRoom(why) = error {
        return Error::NoRoom(why);
    }
    Error::Unavailable(error.to_string())
}

fn are_awaited<T>(senders: &[oneshot::Sender<T>]) -> bool {
    senders.iter().any(|sender| !sender.is_closed())
}

pub(super) fn gone() -> Error {
    Error::Unavailable("the queue was closed".to_owned())
}

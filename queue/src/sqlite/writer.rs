//! One thread owns the connection that writes. What waits together is committed together: under
//! load a transaction holds many steps, and a step costs no disk sync of its own.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use super::{
    bundle,
    file::File,
    signal::Signals,
    step::{Effects, Rules, Step, disk_is_full},
    tally::Tally,
};
use crate::{Error, Result};

/// The most steps in one transaction.
const GROUP_MAX: usize = 256;

/// The most steps that wait; more wait in their callers.
const QUEUE_MAX: usize = 1024;

/// How many must wait for results for a commit to wait for the steps of those who run now. Fewer
/// commits leave more of the machine, of which so many wait for a share; where few wait, each step
/// would only be later. As `commit_siblings` of PostgreSQL.
const SIBLINGS: usize = 64;

/// How often it lets others run then. With more, executions come in bursts that wait for each
/// other.
const YIELDS: usize = 2;

/// From which length on a transaction may have kept heartbeats from being heard in time.
const DEAF_FROM: Duration = Duration::from_millis(500);

/// Runs inside the transaction, and gives what to do once it is committed (or is not).
type Work = Box<dyn FnOnce(&Group<'_>) -> (Effects, Answer) + Send>;
/// Told what to say instead of a step's result if its transaction was not committed.
type Answer = Box<dyn FnOnce(Option<Refusal>)>;
type Refusal = fn() -> Error;

/// What the steps of one transaction share.
struct Group<'a> {
    tx: &'a Connection,
    rules: &'a Arc<Rules>,
}

pub(super) struct Writer {
    /// None once it is dropped, so that the thread ends.
    steps: Option<mpsc::Sender<Work>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    pub(super) fn start(file: File, rules: Arc<Rules>, signals: Arc<Signals>) -> Result<Self> {
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        let thread = std::thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || write(file, receiver, &rules, &signals))
            .map_err(|error| Error::Unavailable(error.to_string()))?;
        Ok(Self { steps: Some(sender), thread: Mutex::new(Some(thread)) })
    }

    /// Whether there is hope for a step that could not be committed.
    pub(super) fn is_running(&self) -> bool {
        self.steps.as_ref().is_some_and(|steps| !steps.is_closed())
    }

    /// Runs a step, and answers when it is on disk. A step that fails changes nothing.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Step<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (sender, receiver) = oneshot::channel();
        let step: Work = Box::new(move |group| {
            let (result, effects) = isolated(group, work);
            let answer: Answer = Box::new(move |refusal| {
                let result = refusal.map_or(result, |refusal| Err(refusal()));
                // nobody waits any more: dropping the result is what it takes
                drop(sender.send(result));
            });
            (effects, answer)
        });
        let steps = self.steps.as_ref().ok_or_else(gone)?;
        steps.send(step).await.map_err(|_| gone())?;
        receiver.await.map_err(|_| gone())?
    }
}

impl Drop for Writer {
    /// Waits until the file is closed, so that it can be opened again at once.
    fn drop(&mut self) {
        self.steps = None;
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread.filter(|it| it.thread().id() != std::thread::current().id()) {
            drop(thread.join());
        }
    }
}

fn write(
    mut file: File,
    mut steps: mpsc::Receiver<Work>,
    rules: &Arc<Rules>,
    signals: &Arc<Signals>,
) {
    while let Some(first) = steps.blocking_recv() {
        let mut group = vec![first];
        take(&mut steps, &mut group);
        for _ in 0..YIELDS {
            if signals.waiting() >= SIBLINGS {
                std::thread::yield_now();
                take(&mut steps, &mut group);
            }
        }
        let begun = Instant::now();
        write_group(&mut file.connection, group, rules, signals);
        if begun.elapsed() > DEAF_FROM {
            rules.was_deaf();
        }
    }
}

/// Adds what waits to a group, as far as it has room.
fn take(steps: &mut mpsc::Receiver<Work>, group: &mut Vec<Work>) {
    while group.len() < GROUP_MAX
        && let Ok(step) = steps.try_recv()
    {
        group.push(step);
    }
}

/// Commits a group of steps. If that fails, each is dropped or told, and nothing has changed.
fn write_group(
    connection: &mut Connection,
    steps: Vec<Work>,
    rules: &Arc<Rules>,
    signals: &Arc<Signals>,
) {
    let Ok(tx) = connection.transaction_with_behavior(TransactionBehavior::Immediate) else {
        return;
    };
    let group = Group { tx: &tx, rules };
    let mut tally = Tally::default();
    let (mut accepted, mut ended, mut told) = (Vec::new(), Vec::new(), Vec::new());
    let mut arrived = false;
    let mut answers = Vec::with_capacity(steps.len());
    for step in steps {
        let (effects, answer) = step(&group);
        tally.merge(effects.tally);
        accepted.extend(effects.accepted);
        ended.extend(effects.ended);
        told.extend(effects.told);
        arrived |= effects.arrived;
        answers.push(answer);
    }
    let committed = tally.write(&tx).and_then(|()| bundle::write(&tx, rules.now(), &told));
    let committed = committed.and_then(|()| Ok(tx.commit()?));
    let refusal = committed.err().map(|error| refusal(&error));
    if refusal.is_none() {
        signals.accepted(accepted);
        signals.ended(&ended);
    }
    for answer in answers {
        answer(refusal);
    }
    if refusal.is_none() && arrived {
        signals.arrived();
    }
}

fn refusal(error: &Error) -> Refusal {
    warn!(%error, "a transaction was not committed: {error}");
    if matches!(error, Error::NoRoom(_)) { disk_is_full } else { gone }
}

/// Undoes a step that fails or panics, and leaves the others of its group alone.
fn isolated<T>(
    group: &Group<'_>,
    work: impl FnOnce(&mut Step<'_>) -> Result<T>,
) -> (Result<T>, Effects) {
    let now = group.rules.now();
    let mut step = Step { tx: group.tx, rules: group.rules, now, effects: Effects::default() };
    let result = savepoint(group.tx, "SAVEPOINT step").and_then(|()| {
        let done = catch_unwind(AssertUnwindSafe(|| work(&mut step)));
        let result = done.unwrap_or_else(|_| Err(Error::Corrupt("a step panicked".to_owned())));
        if result.is_err() {
            savepoint(group.tx, "ROLLBACK TO step")?;
        }
        savepoint(group.tx, "RELEASE step")?;
        result
    });
    let effects = if result.is_ok() { step.effects } else { Effects::default() };
    (result, effects)
}

fn savepoint(tx: &Connection, statement: &str) -> Result<()> {
    // SQLite has undone the whole transaction: what comes now would be one of its own
    if tx.is_autocommit() {
        return Err(gone());
    }
    tx.prepare_cached(statement)?.execute([])?;
    Ok(())
}

fn gone() -> Error {
    Error::Unavailable("the transaction was not committed".to_owned())
}

//! Keeps the processes of one program: one task, which alone decides on them.
//!
//! It starts the parent, asks it for children as there is work, gives seats to those who ask, and
//! lets processes go: when they are too old or too large, when nobody needs them, and when a run
//! does not stop as it was told. What runs beside that one is given back, and blamed for nothing.

use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{self, Duration, Instant},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    config::FAILURES_MAX,
    crowd::Crowd,
    event::{Ask, Event, Events},
    fault::Fault,
    line::Line,
    parent::{Parent, Recipe, StartError},
    protocol::{FromParent, ToParent},
    report::{Report, Reports},
    staff::Staff,
};

/// How often a keeper looks after its children at least.
const TICK: Duration = Duration::from_secs(1);

/// The most that wait for a seat; those who wait longer for one have their own deadlines.
pub(super) const ASKS: usize = 1024;

/// The keeper of one program.
pub(super) struct Keeper {
    pub(super) recipe: Recipe,
    pub(super) parent: Parenthood,
    pub(super) staff: Staff,
    pub(super) events: Events,
    pub(super) tasks: JoinSet<()>,
    heard: mpsc::UnboundedReceiver<Event>,
    asks: mpsc::Receiver<Ask>,
    /// Who waits for a seat.
    waiting: Line,
    /// Who waits for a process where nobody else runs.
    waiting_alone: Line,
    /// How many of them the metrics know of.
    waiting_counted: u64,
    trouble: Trouble,
    reports: Reports,
    /// When there was work last.
    busy_at: Instant,
    crowd: Crowd,
    /// When to look after the children next, whatever else happens.
    next_look: Instant,
}

/// Whether there is a parent.
pub(super) enum Parenthood {
    None,
    Starting,
    Here(Box<Parent>),
}

/// How starts have failed lately.
#[derive(Debug, Default)]
struct Trouble {
    failures: u32,
    not_before: Option<Instant>,
    reason: String,
    /// Whether it would fail again for the same reason.
    is_lasting: bool,
}

impl Keeper {
    /// A keeper who hears those asks.
    pub(super) fn new(recipe: Recipe, asks: mpsc::Receiver<Ask>, reports: Reports) -> Self {
        let (events, heard) = mpsc::unbounded_channel();
        Self {
            recipe,
            parent: Parenthood::None,
            staff: Staff::default(),
            events,
            tasks: JoinSet::new(),
            heard,
            asks,
            waiting: Line::default(),
            waiting_alone: Line::default(),
            waiting_counted: 0,
            trouble: Trouble::default(),
            reports,
            busy_at: Instant::now(),
            crowd: Crowd::default(),
            next_look: Instant::now() + TICK,
        }
    }

    /// Keeps until nobody can ask any more and nothing runs, or until `stop`.
    pub(super) async fn keep(mut self, stop: CancellationToken) {
        self.start_parent();
        let mut open = true;
        while open || !self.staff.is_idle() || self.has_waiting() {
            let wake = self.wake();
            tokio::select! {
                ask = self.asks.recv(), if open => match ask {
                    Some(ask) if ask.alone => self.waiting_alone.push(ask),
                    Some(ask) => self.waiting.push(ask),
                    None => open = false,
                },
                Some(event) = self.heard.recv() => self.hear(event).await,
                () = time::sleep_until(wake) => {
                    self.next_look = Instant::now() + TICK;
                    self.look_after(Instant::now()).await;
                }
                () = stop.cancelled() => break,
            }
            self.serve().await;
        }
        self.end().await;
    }

    /// When to look after the children next.
    fn wake(&self) -> Instant {
        let retry = self.trouble.not_before.filter(|_| self.has_waiting());
        let due = self.staff.next_deadline().into_iter().chain(retry);
        due.fold(self.next_look, Instant::min)
    }

    fn has_waiting(&self) -> bool {
        !self.waiting.is_empty() || !self.waiting_alone.is_empty()
    }

    async fn hear(&mut self, event: Event) {
        match event {
            Event::Started(Ok(started)) => {
                let (parent, mut reader) = *started;
                let events = self.events.clone();
                self.tasks.spawn(async move {
                    while let Ok(Some(message)) = super::frame::read(&mut reader).await {
                        let _gone = events.send(Event::Parent(Some(message)));
                    }
                    let _gone = events.send(Event::Parent(None));
                });
                if let Some(manifest) = &parent.manifest {
                    self.healthy(manifest.clone());
                }
                self.parent = Parenthood::Here(Box::new(parent));
            }
            Event::Started(Err(StartError::CannotFork(reason))) => {
                let program = &self.recipe.program;
                warn!(%program, "each process loads the program by itself: {reason}");
                self.parent = Parenthood::None;
                self.recipe.init.spawn = true;
                self.start_parent();
            }
            Event::Started(Err(StartError::NotLoaded(reason))) => self.failed(reason, true),
            Event::Started(Err(StartError::Passing(reason))) => self.failed(reason, false),
            Event::Parent(Some(FromParent::Exited { child, code, signal })) => {
                self.bury(child, how(code, signal));
            }
            Event::Parent(Some(_)) => {}
            Event::Parent(None) => self.orphan(),
            Event::Child { child, heard } => self.hear_child(child, *heard).await,
            Event::Free { child, run } => self.staff.over(child, run, false),
            Event::Abandoned { child, run } => {
                let until = Instant::now() + self.recipe.config.grace;
                self.staff.abandon(child, run, until);
            }
            Event::Buried { child, how } => self.buried(child, &how),
        }
    }

    /// Gives seats to those who wait, and asks for children where there are too few.
    pub(super) async fn serve(&mut self) {
        for (waiting, alone) in [(&mut self.waiting, false), (&mut self.waiting_alone, true)] {
            waiting.tidy();
            while !waiting.is_empty()
                && let Some(seat) = self.staff.place(alone, &self.events)
            {
                self.busy_at = Instant::now();
                if let Some(ask) = waiting.pop() {
                    // One that has gone gives its seat back by dropping it.
                    drop(ask.reply.send(Ok(seat)));
                }
                waiting.tidy();
            }
        }
        self.count_waiting();
        match self.parent {
            Parenthood::None if self.has_waiting() => self.start_or_refuse(),
            Parenthood::None | Parenthood::Starting => {}
            Parenthood::Here(_) => self.grow().await,
        }
    }

    /// Tells the metrics, which are of all programs, how many more or fewer wait.
    fn count_waiting(&mut self) {
        let metrics = &self.recipe.metrics.python_waiting;
        metrics.sub(self.waiting_counted);
        self.waiting_counted = (self.waiting.len() + self.waiting_alone.len()) as u64;
        metrics.add(self.waiting_counted);
    }

    fn start_or_refuse(&mut self) {
        let is_due = self.trouble.not_before.is_none_or(|it| it <= Instant::now());
        if is_due {
            self.trouble.not_before = None;
            self.start_parent();
        } else if self.trouble.is_lasting || self.trouble.failures >= FAILURES_MAX {
            self.refuse_all();
        }
    }

    fn start_parent(&mut self) {
        self.parent = Parenthood::Starting;
        let (recipe, events) = (self.recipe.clone(), self.events.clone());
        self.tasks.spawn(async move {
            let started = recipe.start().await.map(Box::new);
            let _gone = events.send(Event::Started(started));
        });
    }

    /// Asks for children where there are too few.
    async fn grow(&mut self) {
        let crowded = self.crowd.note(self.staff.is_crowded(), Instant::now());
        let (waiting, alone) = (self.waiting.len(), self.waiting_alone.len());
        let wanted = self.staff.wanted(waiting, alone, crowded, self.recipe.config.processes);
        for is_alone in wanted {
            self.fork(is_alone, None).await;
        }
    }

    /// A program that could not be loaded or started.
    pub(super) fn failed(&mut self, reason: String, is_lasting: bool) {
        self.parent = Parenthood::None;
        let failures = self.trouble.failures + 1;
        let delay = self.recipe.config.backoff(failures);
        let program = &self.recipe.program;
        warn!(%program, failures, "cannot be started: {reason}");
        self.recipe.metrics.python_start_errors.add(1);
        let not_before = Some(Instant::now() + delay);
        self.trouble = Trouble { failures, not_before, reason: reason.clone(), is_lasting };
        if is_lasting || failures >= FAILURES_MAX {
            self.reports.send(Report::Unhealthy(reason));
            self.refuse_all();
        }
    }

    fn refuse_all(&mut self) {
        let reason = &self.trouble.reason;
        let waiting = self.waiting.drain().chain(self.waiting_alone.drain());
        for ask in waiting {
            let failure = if self.trouble.is_lasting {
                Fault::NotLoaded(reason.clone())
            } else {
                Fault::NotStarted(reason.clone())
            };
            drop(ask.reply.send(Err(failure)));
        }
    }

    /// A program that was loaded.
    pub(super) fn healthy(&mut self, manifest: programs::PythonManifest) {
        self.trouble = Trouble::default();
        self.reports.send(Report::Healthy(Box::new(manifest)));
    }

    /// The parent is gone, and its children with it.
    fn orphan(&mut self) {
        if !matches!(self.parent, Parenthood::Here(_)) {
            return;
        }
        self.parent = Parenthood::None;
        let lost: Vec<u32> = self.staff.numbers().collect();
        for child in lost {
            self.staff.kill_group(child);
            self.bury(child, "its parent process ended".to_owned());
        }
        let failures = self.trouble.failures + 1;
        let not_before = Some(Instant::now() + self.recipe.config.backoff(failures));
        let reason = "its parent process ended".to_owned();
        self.trouble = Trouble { failures, not_before, reason, is_lasting: false };
    }

    /// Ends what has nothing to do for a long time.
    pub(super) async fn rest(&mut self, now: Instant) {
        let idle = now.duration_since(self.busy_at) > self.recipe.config.idle_max;
        if idle && self.staff.is_empty() && matches!(self.parent, Parenthood::Here(_)) {
            info!(program = %self.recipe.program, "has nothing to do; its processes end");
            self.tell(&ToParent::Shutdown).await;
            self.parent = Parenthood::None;
        }
    }

    /// Tells the parent something, if there is one.
    pub(super) async fn tell(&mut self, message: &ToParent<'_>) {
        if let Parenthood::Here(parent) = &mut self.parent
            && let Err(error) = parent.tell(message).await
        {
            warn!(program = %self.recipe.program, %error, "lost its parent process");
            parent.kill();
        }
    }

    async fn end(mut self) {
        self.recipe.metrics.python_waiting.sub(self.waiting_counted);
        self.tell(&ToParent::Shutdown).await;
        for child in self.staff.numbers().collect::<Vec<_>>() {
            self.staff.kill_group(child);
            self.recipe.metrics.python_processes.sub(1);
        }
        self.tasks.shutdown().await;
    }
}

/// How a process ended, for people.
fn how(code: Option<i32>, signal: Option<i32>) -> String {
    match (code, signal) {
        (Some(code), _) => format!("it ended with exit code {code}"),
        (None, Some(9)) => "it was killed by signal 9, perhaps because memory was short".to_owned(),
        (None, Some(6)) => {
            "it aborted (signal 6), perhaps because it may not have more memory".to_owned()
        }
        (None, Some(11)) => "it crashed (signal 11, an invalid access to memory)".to_owned(),
        (None, Some(24)) => {
            "it has used the CPU time that it may have (signal 24, PYTHON_CPU_MAX)".to_owned()
        }
        (None, Some(signal)) => format!("it was killed by signal {signal}"),
        (None, None) => "it could not be made".to_owned(),
    }
}

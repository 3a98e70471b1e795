//! How a keeper deals with its children: makes them, looks after them, lets them go.

use std::sync::Arc;

use tokio::time::{self, Duration, Instant};
use tracing::{info, warn};

use super::{
    config::MEMORY_SHARE,
    event::Event,
    keeper::{Keeper, Parenthood},
    link::{Heard, Link},
    output::{self, LastWords},
    protocol::{FromChild, ToChild, ToParent},
    staff::{Child, State},
};

/// How long the stacks of a process may take to be written before it is killed.
const DUMP: Duration = Duration::from_millis(300);

/// How long a killed child may take to be gone before its parent is killed.
const DEATH: Duration = Duration::from_secs(5);

/// How long what a dead child has said may take to be read.
const LAST_WORDS: Duration = Duration::from_millis(100);

impl Keeper {
    /// Asks the parent for a child.
    pub(super) async fn fork(&mut self, is_alone: bool, replaces: Option<u32>) {
        let Parenthood::Here(parent) = &mut self.parent else { return };
        let number = self.staff.number();
        let ends = match parent.fork(number).await {
            Ok(ends) => ends,
            Err(error) => {
                warn!(program = %self.recipe.program, %error, "cannot make a process: {error}");
                parent.kill();
                return;
            }
        };
        let words = LastWords::default();
        let (reader, writer) = ends.socket.into_split();
        let (link, write) = Link::new(writer);
        self.tasks.spawn(write);
        let events = self.events.clone();
        self.tasks.spawn(Arc::clone(&link).read(reader, move |heard| {
            let _gone = events.send(Event::Child { child: number, heard: Box::new(heard) });
        }));
        for (pipe, stream) in ends.pipes.into_iter().zip(["stdout", "stderr"]) {
            let program = self.recipe.program.clone();
            self.tasks.spawn(output::follow(pipe, program, stream, words.clone()));
        }
        let until = Instant::now() + self.recipe.config.start_timeout;
        let child = Child { replaces, ..Child::new(link, words, until, is_alone) };
        self.staff.children.insert(number, child);
        self.recipe.metrics.python_started.add(1);
        self.recipe.metrics.python_processes.add(1);
    }

    /// Deals with what a child says.
    pub(super) async fn hear_child(&mut self, number: u32, heard: Heard) {
        match heard {
            Heard::Over(run) => {
                self.staff.over(number, run, true);
                self.dismiss_who_may_leave();
            }
            Heard::Message(message) => self.hear_message(number, *message).await,
            Heard::Silent => {
                if let Some(child) = self.staff.children.get_mut(&number) {
                    // The parent tells how it ended; if not soon, something is wrong with both.
                    let until = Instant::now() + DEATH;
                    child.state = match child.state {
                        State::Dying(since) => State::Dying(since),
                        State::Starting(_) | State::Ready | State::Leaving => {
                            State::Starting(until)
                        }
                    };
                }
            }
        }
    }

    async fn hear_message(&mut self, number: u32, message: FromChild) {
        if let Some(child) = self.staff.children.get_mut(&number) {
            child.heard_at = Instant::now();
        }
        match message {
            FromChild::Ready { manifest, concurrency, pid, ahead } => {
                if self.recipe.init.spawn {
                    self.healthy(manifest);
                }
                let Some(child) = self.staff.children.get_mut(&number) else { return };
                child.state = State::Ready;
                child.slots = if child.is_alone { 1 } else { concurrency };
                child.ahead = ahead;
                child.pid = Some(pid);
                self.staff.concurrency = concurrency;
                let replaced = child.replaces;
                if let Some(old) = replaced.and_then(|it| self.staff.children.get_mut(&it)) {
                    old.state = State::Leaving;
                }
                self.dismiss_who_may_leave();
            }
            FromChild::Begun { runs } => {
                if let Some(child) = self.staff.children.get_mut(&number) {
                    child.unbegun = child.unbegun.saturating_sub(runs);
                }
            }
            FromChild::InitFailed(reason) => {
                if self.staff.remove(number, &reason.message).is_some() {
                    self.recipe.metrics.python_processes.sub(1);
                }
                self.tell(&ToParent::Kill { child: number }).await;
                self.failed(reason.message, true);
            }
            FromChild::Alone { reason } => {
                let program = &self.recipe.program;
                info!(%program, "runs one execution at a time: {reason}");
                if let Some(child) = self.staff.children.get_mut(&number) {
                    child.slots = 1;
                }
            }
            FromChild::Pong { rss_bytes, .. } => {
                if let Some(child) = self.staff.children.get_mut(&number) {
                    child.rss_bytes = rss_bytes;
                }
                self.replace_the_worn().await;
            }
            FromChild::LmRequest(_)
            | FromChild::EmbedRequest(_)
            | FromChild::Span(_)
            | FromChild::ToolSpan(_)
            | FromChild::Log { .. }
            | FromChild::Result { .. }
            | FromChild::Error(_)
            | FromChild::Cancelled { .. } => {}
        }
    }

    /// Does what is due.
    pub(super) async fn look_after(&mut self, now: Instant) {
        while self.tasks.try_join_next().is_some() {}
        self.press(now).await;
        self.feel_pulses(now).await;
        self.replace_the_worn().await;
        for child in self.staff.children.values_mut() {
            let idle = child.used == 0 && child.idle_since + self.recipe.config.idle_max < now;
            if child.state == State::Ready && idle {
                child.state = State::Leaving;
            }
            if child.state == State::Ready {
                child.link.try_tell(&ToChild::Ping);
            }
        }
        self.dismiss_who_may_leave();
        self.rest(now).await;
    }

    /// Notes who answers nothing. What runs there may keep it from that, and has a time of its own;
    /// who has nothing to do and does not answer is of no use.
    async fn feel_pulses(&mut self, now: Instant) {
        let silence_max = self.recipe.config.silence_max;
        let mut lifeless = Vec::new();
        for (number, child) in &mut self.staff.children {
            let is_silent = child.state == State::Ready && child.heard_at + silence_max <= now;
            if is_silent && child.silent_since.is_none() {
                let program = &self.recipe.program;
                warn!(%program, child = number, "answers nothing; it is given no more executions");
            }
            child.silent_since = is_silent.then(|| child.silent_since.unwrap_or(now));
            if is_silent && child.used == 0 {
                child.state = State::Dying(now + DEATH);
                lifeless.push(*number);
            }
        }
        for child in lifeless {
            self.recipe.metrics.python_killed.add(1);
            let program = &self.recipe.program;
            warn!(%program, child, "has nothing to do and answers nothing; its process is killed");
            self.tell(&ToParent::Kill { child }).await;
        }
    }

    /// Presses those who do not stop: first their stacks are written, then they are killed.
    async fn press(&mut self, now: Instant) {
        let mut orders = Vec::new();
        for (number, child) in &mut self.staff.children {
            let is_late = child.abandoned.values().any(|it| *it <= now);
            match child.state {
                State::Ready | State::Leaving if is_late && !child.was_dumped => {
                    child.was_dumped = true;
                    for until in child.abandoned.values_mut() {
                        *until = now + DUMP;
                    }
                    orders.push(ToParent::Dump { child: *number });
                }
                State::Ready | State::Leaving if is_late => {
                    child.state = State::Dying(now + DEATH);
                    orders.push(ToParent::Kill { child: *number });
                }
                State::Starting(until) if until <= now => {
                    child.state = State::Dying(now + DEATH);
                    orders.push(ToParent::Kill { child: *number });
                }
                State::Dying(until) if until <= now => {
                    child.state = State::Dying(now + DEATH);
                    if let Parenthood::Here(parent) = &mut self.parent {
                        parent.kill();
                    }
                }
                State::Starting(_) | State::Ready | State::Leaving | State::Dying(_) => {}
            }
        }
        for order in orders {
            if let ToParent::Kill { child } = order {
                self.recipe.metrics.python_killed.add(1);
                let program = &self.recipe.program;
                warn!(%program, child, "does not stop; its process is killed");
            }
            self.tell(&order).await;
        }
    }

    async fn replace_the_worn(&mut self) {
        let config = Arc::clone(&self.recipe.config);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a number of bytes"
        )]
        let rss_max = (config.memory_bytes_max as f64 * MEMORY_SHARE) as u64;
        let is_worn = |it: &Child| it.is_worn(config.executions_max, rss_max, config.age_max);
        let pairs = self.staff.children.iter_mut().filter(|(_, it)| is_worn(it));
        let worn: Vec<u32> = pairs
            .map(|(number, child)| {
                child.is_replaced = true;
                *number
            })
            .collect();
        for old in worn {
            self.fork(false, Some(old)).await;
        }
    }

    /// Lets those go who are leaving and have nothing to do.
    fn dismiss_who_may_leave(&mut self) {
        for child in self.staff.children.values_mut() {
            if child.state == State::Leaving && child.used == 0 {
                child.link.try_tell(&ToChild::Shutdown);
            }
        }
    }

    /// A child has ended: waits a moment for its last words.
    pub(super) fn bury(&mut self, child: u32, how: String) {
        let events = self.events.clone();
        self.tasks.spawn(async move {
            time::sleep(LAST_WORDS).await;
            let _gone = events.send(Event::Buried { child, how });
        });
    }

    /// A child is gone for good.
    pub(super) fn buried(&mut self, number: u32, how: &str) {
        let Some(child) = self.staff.remove(number, how) else { return };
        let metrics = &self.recipe.metrics;
        metrics.python_processes.sub(1);
        if child.used > 0 && !matches!(child.state, State::Dying(_)) {
            metrics.python_crashed.add(1);
        }
        let was_loading = child.slots == 0;
        if was_loading && self.recipe.init.spawn {
            let words = child.words.quote();
            self.failed(format!("the process ended while it loaded ({how}){words}"), false);
        }
    }
}

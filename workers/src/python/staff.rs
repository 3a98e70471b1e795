//! The children of one program: who has room, who is too old, who does not stop.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use tokio::time::{Duration, Instant};

use super::{
    event::Events,
    link::{Link, Obituary},
    output::LastWords,
    protocol::ToChild,
    seat::Seat,
};

/// From how many runs on a child that does not tell which it has begun is taken for busy.
const BUSY_FROM: usize = 16;

/// One child process.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) link: Arc<Link>,
    pub(super) words: LastWords,
    pub(super) state: State,
    /// How many runs it takes at once.
    pub(super) slots: usize,
    /// How many it has.
    pub(super) used: usize,
    /// How many it may have that it has not begun; none where it does not tell.
    pub(super) ahead: Option<usize>,
    /// How many it has that it has not begun, where it tells.
    pub(super) unbegun: usize,
    /// How many it has had.
    pub(super) served: u64,
    /// Whether it is for one run that nobody else may be near.
    pub(super) is_alone: bool,
    /// The child whose place it takes.
    pub(super) replaces: Option<u32>,
    /// Whether another is to take its place.
    pub(super) is_replaced: bool,
    pub(super) born_at: Instant,
    pub(super) idle_since: Instant,
    /// When it has said something last.
    pub(super) heard_at: Instant,
    /// When it was noticed that this is too long ago.
    pub(super) silent_since: Option<Instant>,
    pub(super) rss_bytes: u64,
    pub(super) pid: Option<u32>,
    /// Runs that nobody waits for, and when they must have stopped.
    pub(super) abandoned: HashMap<u64, Instant>,
    /// Whether its stacks were written, the last step before it is killed.
    pub(super) was_dumped: bool,
}

/// Where a child stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// It loads, until then at the latest.
    Starting(Instant),
    /// It runs what it is given.
    Ready,
    /// It is given no more.
    Leaving,
    /// It is being killed; the parent will tell.
    Dying(Instant),
}

/// The children of one program.
#[derive(Debug, Default)]
pub(super) struct Staff {
    pub(super) children: BTreeMap<u32, Child>,
    next_child: u32,
    next_run: u64,
    /// How many runs a child takes at once, as the last one said.
    pub(super) concurrency: usize,
}

impl Staff {
    /// The number of the next child.
    pub(super) fn number(&mut self) -> u32 {
        self.next_child += 1;
        self.next_child
    }

    /// The numbers of all children.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u32> {
        self.children.keys().copied()
    }

    /// Whether nothing runs.
    pub(super) fn is_idle(&self) -> bool {
        self.children.values().all(|it| it.used == 0)
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.children.is_empty()
    }

    /// A seat in the child that is the least behind, and has the most room.
    pub(super) fn place(&mut self, alone: bool, events: &Events) -> Option<Seat> {
        let takes = |it: &&mut Child| it.is_alone == alone && it.room() > 0 && !it.is_behind();
        let pairs = self.children.iter_mut().filter(|(_, it)| takes(it));
        let (number, child) = pairs.min_by_key(|(_, it)| (it.unbegun, it.used))?;
        self.next_run += 1;
        child.used += 1;
        child.unbegun += usize::from(child.ahead.is_some());
        Some(Seat::new(&child.link, *number, self.next_run, events.clone()))
    }

    /// Whether all children that take several have more to do than one process can at a time.
    pub(super) fn is_crowded(&self) -> bool {
        let mut shared = self.children.values().filter(|it| !it.is_alone).peekable();
        shared.peek().is_some() && shared.all(Child::is_busy)
    }

    /// The children to make, so that so many who wait can be served, and one more if those who are
    /// here were `crowded` for long: whether each is for one alone.
    pub(super) fn wanted(
        &self,
        waiting: usize,
        alone: usize,
        crowded: bool,
        most: usize,
    ) -> Vec<bool> {
        let count = |is_alone: bool, states: fn(State) -> bool| {
            let of = |it: &&Child| it.is_alone == is_alone && states(it.state);
            self.children.values().filter(of).count()
        };
        let is_here = |it: State| matches!(it, State::Starting(_) | State::Ready);
        let is_new = |it: State| matches!(it, State::Starting(_));
        let shared = self.children.values().filter(|it| !it.is_alone);
        let without_slot = waiting.saturating_sub(shared.map(Child::room).sum());
        // Before the first has said how many it takes, one is enough.
        let each = if self.concurrency == 0 { usize::MAX } else { self.concurrency };
        let needed = without_slot.div_ceil(each).max(usize::from(crowded));
        let needed = needed.saturating_sub(count(false, is_new));
        let room = most.max(1).saturating_sub(count(false, is_here));
        let mut wanted = vec![false; needed.min(room)];
        if alone > 0 && count(true, |_| true) == 0 {
            wanted.push(true);
        }
        wanted
    }

    /// A run is over; it may be that the child has not heard of it.
    pub(super) fn over(&mut self, child: u32, run: u64, has_run: bool) {
        let Some(child) = self.children.get_mut(&child) else { return };
        child.used = child.used.saturating_sub(1);
        child.unbegun = child.unbegun.saturating_sub(usize::from(!has_run));
        child.served += u64::from(has_run || child.is_alone);
        child.abandoned.remove(&run);
        child.idle_since = Instant::now();
        if child.is_alone && child.state == State::Ready {
            child.state = State::Leaving;
        }
    }

    /// Nobody waits for a run any more: it has to stop.
    pub(super) fn abandon(&mut self, child: u32, run: u64, until: Instant) {
        let Some(child) = self.children.get_mut(&child) else { return };
        child.abandoned.insert(run, until);
        child.link.try_tell(&ToChild::Cancel { run });
    }

    /// When the next run must have stopped, or the next child must have loaded.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let of_child = |it: &Child| {
            let abandoned = it.abandoned.values().copied().min();
            match it.state {
                State::Ready | State::Leaving => abandoned,
                State::Starting(until) | State::Dying(until) => Some(until),
            }
        };
        self.children.values().filter_map(of_child).min()
    }

    /// Takes a child that is gone, and tells those who are in it.
    pub(super) fn remove(&mut self, number: u32, how: &str) -> Option<Child> {
        let child = self.children.remove(&number)?;
        let was_killed = matches!(child.state, State::Dying(_));
        let text = if was_killed {
            "another execution in the same process did not stop, and the process was killed"
                .to_owned()
        } else {
            format!("the program's process ended: {how}{}", child.words.quote())
        };
        child.link.end(Obituary { text, was_killed });
        Some(child)
    }

    /// Kills a child with all that it has started, without its parent.
    pub(super) fn kill_group(&self, number: u32) {
        let pid = self.children.get(&number).and_then(|it| it.pid);
        let pid =
            pid.and_then(|it| i32::try_from(it).ok()).and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            // It may be gone already.
            let _gone = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
        }
    }
}

impl Child {
    /// One that loads, until then.
    pub(super) fn new(link: Arc<Link>, words: LastWords, until: Instant, is_alone: bool) -> Self {
        let now = Instant::now();
        Self {
            link,
            words,
            state: State::Starting(until),
            slots: 0,
            used: 0,
            ahead: None,
            unbegun: 0,
            served: 0,
            is_alone,
            replaces: None,
            is_replaced: false,
            born_at: now,
            idle_since: now,
            heard_at: now,
            silent_since: None,
            rss_bytes: 0,
            pid: None,
            abandoned: HashMap::new(),
            was_dumped: false,
        }
    }

    /// How many more it can be given.
    fn room(&self) -> usize {
        if self.state != State::Ready || self.silent_since.is_some() {
            return 0;
        }
        let slots = if self.is_alone && self.served > 0 { 0 } else { self.slots };
        slots.saturating_sub(self.used)
    }

    /// Whether it has to begin some of what it has, before it is given more.
    fn is_behind(&self) -> bool {
        self.ahead.is_some_and(|ahead| self.unbegun >= ahead)
    }

    /// Whether it may have more to do than one process can at a time.
    fn is_busy(&self) -> bool {
        if self.ahead.is_some() { self.is_behind() } else { self.used >= BUSY_FROM }
    }

    /// Whether another should take its place.
    pub(super) fn is_worn(&self, executions: u64, rss_bytes: u64, age: Duration) -> bool {
        self.state == State::Ready
            && !self.is_alone
            && !self.is_replaced
            && (self.served >= executions
                || self.rss_bytes >= rss_bytes
                || self.born_at.elapsed() >= age)
    }
}

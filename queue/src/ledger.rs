//! The side of the queue where calls that cost money are accounted for: whose turn it is, which
//! replies are known, and what was spent. What is called, it does not know.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use crate::{ExecutionId, Result};

/// Accounts for paid calls. Every method is one atomic step.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Takes the next free moment at which all of the rates allow a call, or none of them if it is
    /// later than `wait_max` from now. If its answer is lost, a moment is lost too.
    async fn reserve(&self, rates: &[Rate], wait_max: Duration) -> Result<Turn>;

    /// Lets nobody have a turn of this rate for so long.
    async fn hold_off(&self, rate: &str, time: Duration) -> Result<()>;

    /// Looks for the reply to a call; if there is none, says who is to make it.
    ///
    /// First in the execution's own journal, whatever it may spend; then, for a shared call, among
    /// everybody's. After that budgets count. Repeated by the same holder, it renews its right.
    async fn recall(&self, wanted: &Wanted) -> Result<Recalled>;

    /// Keeps a reply that was paid for, and ends the holder's right to make the call. A place in
    /// the journal is filled once: a repeated call changes nothing.
    async fn keep(&self, paid: &Paid) -> Result<()>;

    /// Ends the holder's right to make a call that came to nothing; whoever waits may try.
    async fn give_up(&self, request: &str, holder: &str) -> Result<()>;

    /// Takes a kept reply back, because nothing can be made of it: the call is made anew.
    async fn retract(&self, place: &Place) -> Result<()>;

    /// Forgets the journal of an execution that has ended. Without it, it is forgotten in time.
    async fn forget(&self, execution: ExecutionId) -> Result<()>;
}

/// What a call takes of a limited supply.
#[derive(Clone, Debug, PartialEq)]
pub struct Rate {
    /// Which supply.
    pub name: String,
    /// How much of it there is in every window.
    pub limit: f64,
    /// The window.
    pub window: Duration,
    /// How much the call takes; below 0, how much it gives back.
    pub amount: f64,
}

/// When a call may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// After so long; the moment is taken.
    In(Duration),
    /// Not within the time given: not before so long. Nothing is taken.
    TooLate(Duration),
}

/// The place of a call in the journal of an execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The execution that makes the call.
    pub execution: ExecutionId,
    /// Which generation of it.
    pub generation: u32,
    /// A hash of all that the reply depends on.
    pub request: String,
    /// How many equal calls the attempt has made before.
    pub occurrence: u32,
}

/// A call whose reply is looked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// Its place.
    pub place: Place,
    /// Whether an equal call's reply will do, of whichever execution.
    pub shared: bool,
    /// Who asks: a name of this call alone.
    pub holder: String,
    /// How long the right to make the call lasts.
    pub hold: Duration,
    /// What must not be spent yet.
    pub budgets: Vec<Budget>,
}

/// A bound on what may be spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Whose: an execution's, a batch's, an owner's.
    pub scope: String,
    /// How much, in millionths of the currency.
    pub micros_max: u64,
}

/// What is known of a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Recalled {
    /// The reply, from the execution's own journal: it was paid for before.
    Own(Value),
    /// The reply to an equal call.
    Shared(Value),
    /// Nothing: the caller is to make the call.
    Yours,
    /// Somebody else is making an equal call: look again soon.
    Elsewhere,
    /// Nothing, and this budget is spent.
    Spent(String),
}

/// A reply that was paid for.
#[derive(Clone, Debug, PartialEq)]
pub struct Paid {
    /// Where it belongs.
    pub place: Place,
    /// Who made the call.
    pub holder: String,
    /// The reply.
    pub reply: Value,
    /// How long the journal keeps it.
    pub kept: Duration,
    /// How long it may serve equal calls, if at all.
    pub shared: Option<Duration>,
    /// What it cost, by scope, in millionths of the currency.
    pub costs: Vec<(String, u64)>,
    /// What the call took of its supplies beyond what was reserved.
    pub corrections: Vec<Rate>,
}

impl Rate {
    /// For how long the call takes the whole supply, in milliseconds.
    pub(crate) fn cost_ms(&self) -> f64 {
        self.amount * self.window_ms() / self.limit.max(f64::MIN_POSITIVE)
    }

    /// How far calls may come before their even pace, in milliseconds: a hundredth of the window,
    /// so that no window sees more than a hundredth beyond its limit.
    pub(crate) fn burst_ms(&self) -> f64 {
        self.window_ms() / 100.0
    }

    fn window_ms(&self) -> f64 {
        self.window.as_secs_f64() * 1000.0
    }
}

impl Place {
    /// Its name among the execution's calls.
    pub(crate) fn name(&self) -> String {
        format!("{}:{}:{}", self.generation, self.request, self.occurrence)
    }
}

//! For whom calls are made: whose replies they are, and who pays.

use std::{
    collections::{HashMap, VecDeque, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use queue::{Budget, ExecutionId, Place, Spec, Task};

/// The execution that an attempt's calls are made for. One an attempt: it counts them.
#[derive(Debug)]
pub struct Account {
    execution: ExecutionId,
    generation: u32,
    spec: Arc<Spec>,
    /// When the attempt began, which decides whose month pays.
    began: DateTime<Utc>,
    budgets: Vec<Budget>,
    shared: Option<Duration>,
    made: Mutex<Made>,
}

/// Who is charged.
#[derive(Clone, Copy, Debug)]
enum Payer {
    Execution,
    Owner,
    Batch,
}

/// The calls of an attempt.
#[derive(Debug, Default)]
struct Made {
    /// How often each was made.
    counts: HashMap<String, u32>,
    /// The last replies and where they are kept, oldest first.
    replies: VecDeque<(u64, Place)>,
}

/// The most replies that an attempt remembers.
const REPLIES_MAX: usize = 1000;

impl Account {
    /// The account of a task. Its owner may spend so much in a calendar month (UTC); equal calls
    /// get one reply for as long as `shared` says.
    pub fn of(task: &Task, owner_micros: Option<u64>, shared: Option<Duration>) -> Self {
        Self::new((task.id, task.generation), Arc::clone(&task.spec), owner_micros, shared)
    }

    /// The account of a generation of an execution: the same.
    pub(crate) fn new(
        (execution, generation): (ExecutionId, u32),
        spec: Arc<Spec>,
        owner_micros: Option<u64>,
        shared: Option<Duration>,
    ) -> Self {
        let (began, budgets, made) = (Utc::now(), Vec::new(), Mutex::default());
        let mut account = Self { execution, generation, spec, began, budgets, shared, made };
        let allowance = account.spec.allowance;
        let limits = [
            (Payer::Execution, allowance.execution_micros),
            (Payer::Owner, owner_micros),
            (Payer::Batch, allowance.batch_micros),
        ];
        let budget = |(payer, micros_max): (Payer, Option<u64>)| {
            let micros_max = micros_max?;
            Some(Budget { scope: account.scope(payer)?, micros_max })
        };
        account.budgets = limits.into_iter().filter_map(budget).collect();
        account
    }

    /// The name under which it is kept what one has spent.
    fn scope(&self, payer: Payer) -> Option<String> {
        match payer {
            Payer::Execution => Some(format!("x:{}.{}", self.execution, self.generation)),
            Payer::Owner => Some(format!("o:{}:{}", self.spec.owner, self.began.format("%Y-%m"))),
            Payer::Batch => self.execution.item_of().map(|(batch, _)| format!("b:{batch}")),
        }
    }

    /// Whether any call was made.
    pub(crate) fn is_used(&self) -> bool {
        !self.made().counts.is_empty()
    }

    /// The place of the next call of this request.
    pub(crate) fn next_place(&self, request: String) -> Place {
        let mut made = self.made();
        let count = made.counts.entry(request.clone()).or_default();
        let occurrence = *count;
        *count += 1;
        Place { execution: self.execution, generation: self.generation, request, occurrence }
    }

    /// Remembers where a reply is kept.
    pub(super) fn note(&self, reply: Option<&str>, place: &Place) {
        let mut made = self.made();
        if made.replies.len() == REPLIES_MAX {
            made.replies.pop_front();
        }
        made.replies.push_back((fingerprint(reply.unwrap_or_default()), place.clone()));
    }

    /// Where a reply is kept that could not be read, and the one before it: the adapter may have
    /// asked twice, in two formats, and the first reply would lead to the second again.
    pub(crate) fn unreadable(&self, reply: &str) -> Vec<Place> {
        let made = self.made();
        let wanted = fingerprint(reply);
        let at = made.replies.iter().rposition(|(it, _)| *it == wanted);
        let range = at.map(|at| made.replies.range(at.saturating_sub(1)..=at));
        range.into_iter().flatten().map(|(_, place)| place.clone()).collect()
    }

    fn made(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long equal calls get one reply; none if each is made.
    pub(crate) fn shared(&self) -> Option<Duration> {
        self.shared
    }

    pub(crate) fn budgets(&self) -> &[Budget] {
        &self.budgets
    }

    /// Each who pays, and how much.
    pub(crate) fn charge(&self, micros: u64) -> Vec<(String, u64)> {
        if micros == 0 {
            return Vec::new();
        }
        let payers = [Payer::Execution, Payer::Owner, Payer::Batch].into_iter();
        payers.filter_map(|it| Some((self.scope(it)?, micros))).collect()
    }
}

fn fingerprint(reply: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    reply.hash(&mut hasher);
    hasher.finish()
}

/// A budget that is spent, in words.
pub(super) fn spent(scope: &str) -> String {
    let whose = match scope.split_once(':') {
        Some(("x", _)) => {
            "the `budget` of this execution is spent: give it, or its program, a larger one"
        }
        Some(("o", _)) => "the owner's budget of this month is spent: raise OWNER_BUDGET",
        Some(_) | None => "the `budget` of this batch is spent",
    };
    whose.to_owned()
}

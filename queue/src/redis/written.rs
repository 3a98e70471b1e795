//! Endings as the script that takes them back reads them.

use std::time::Duration;

use redis::ScriptInvocation;

use super::{
    document::{Envelope, Tail},
    millis,
    submit::lane_of,
};
use crate::{
    ATTEMPTS_KEPT, Attempt, End, Ending, ExecutionId, Failure, Histogram, Mode, Report, Result,
    State, Used, lease::Token,
};

/// The words for an attempt that succeeded, and for one that failed for good.
const OK: &str = "ok";
const BAD: &str = "bad";

/// An ending as the script takes it.
pub(super) struct Written {
    pub(super) token: Token,
    pub(super) id: ExecutionId,
    pub(super) fate: &'static str,
    pub(super) generation: u32,
    envelope: Vec<u8>,
    pub(super) tail: Vec<u8>,
    delay: u64,
    pub(super) micros: u64,
    pub(super) bucket: u32,
    pub(super) program: String,
    pub(super) cache: String,
    home: String,
    pub(super) used: Used,
    before: Vec<u8>,
}

/// What items of a chunk that ended alike have in common.
#[derive(PartialEq, Eq, Hash)]
pub(super) struct Alike<'a> {
    lane: &'a str,
    entry: &'a str,
    fate: &'static str,
    generation: u32,
}

impl Written {
    pub(super) fn empty(token: Token, id: ExecutionId, fate: &'static str) -> Self {
        Self {
            token,
            id,
            fate,
            generation: 0,
            envelope: Vec::new(),
            tail: Vec::new(),
            delay: 0,
            micros: 0,
            bucket: 0,
            program: String::new(),
            cache: String::new(),
            home: String::new(),
            used: Used::default(),
            before: Vec::new(),
        }
    }

    pub(super) fn new(ending: Ending) -> Result<Self> {
        let Ending { lease, end, started_at, run_time } = ending;
        let (task, token) = (lease.task, lease.token);
        let micros = u64::try_from(run_time.as_micros()).unwrap_or(u64::MAX);
        let attempt = |error: Option<Failure>| Attempt {
            started_at,
            finished_at: started_at + run_time,
            worker: token.worker.clone(),
            error,
            generation: task.generation,
        };
        let fate = fate(end);
        let mut attempts = task.attempts;
        let before = serde_json::to_vec(&attempts)?;
        if fate.counts {
            attempts.push(attempt(fate.report.failure.clone()));
        }
        let surplus = attempts.len().saturating_sub(ATTEMPTS_KEPT);
        attempts.drain(..surplus);
        let mut written = Self {
            generation: task.generation,
            delay: millis(fate.delay),
            micros,
            bucket: Histogram::bucket(run_time),
            program: task.spec.program.clone(),
            before,
            ..Self::empty(token, task.id, fate.word)
        };
        if let Some(cache) = task.cache.as_ref().filter(|_| task.spec.mode == Mode::Normal) {
            written.cache = format!("{}|{}", cache.fingerprint, millis(cache.ttl));
        }
        // The items of a chunk lie in the batch's inputs until one goes a way of its own.
        if written.token.chunk.is_none() || !fate.ends {
            written.home = lane_of(&task.spec, task.id);
            written.envelope =
                Envelope::write(&task.spec, &task.inputs, task.cache.as_ref(), task.created_at)?;
        }
        if fate.ends && task.id.item_of().is_some() {
            written.used = Used::of(&fate.report);
        }
        written.tail = if fate.ends {
            Tail { attempts, report: fate.report, micros: Some(micros) }.write()?
        } else {
            serde_json::to_vec(&attempts)?
        };
        Ok(written)
    }

    /// Whether it is of a chunk that can go to the store in one piece.
    pub(super) fn is_of_whole(&self) -> bool {
        self.token.whole && self.is_first_result()
    }

    /// Whether it is an item's first attempt, and gave a result.
    fn is_first_result(&self) -> bool {
        let has_result = matches!(self.fate, OK | BAD);
        self.token.chunk.is_some() && has_result && self.before == b"[]"
    }

    /// How an item that gave a result ended.
    pub(super) fn state(&self) -> State {
        if self.fate == OK { State::Succeeded } else { State::Failed }
    }

    /// What it has in common with others, if it is an item's first attempt that gave a result.
    pub(super) fn alike(&self) -> Option<Alike<'_>> {
        let Token { lane, entry, .. } = &self.token;
        self.is_first_result().then_some(Alike {
            lane,
            entry,
            fate: self.fate,
            generation: self.generation,
        })
    }

    pub(super) fn put(&self, call: &mut ScriptInvocation<'_>) {
        let kind = if self.token.chunk.is_some() { "c" } else { "s" };
        call.arg(kind).arg(&*self.token.lane).arg(&*self.token.entry).arg(self.id.to_string());
        call.arg(self.fate).arg(self.generation).arg(self.envelope.as_slice());
        call.arg(self.tail.as_slice()).arg(self.delay).arg(self.micros).arg(self.bucket);
        call.arg(&self.program).arg(&self.cache).arg(&self.home).arg(words(self.used));
        call.arg(self.before.as_slice());
    }

    /// Puts items of a chunk that ended alike.
    pub(super) fn put_alike(call: &mut ScriptInvocation<'_>, items: &[&Self]) {
        let Some((first, (batch, _))) = items.first().and_then(|it| Some((it, it.id.item_of()?)))
        else {
            return;
        };
        call.arg("g").arg(&*first.token.lane).arg(&*first.token.entry).arg(batch.to_string());
        call.arg(first.token.chunk).arg(first.fate).arg(first.generation).arg(&first.program);
        call.arg(items.len());
        for it in items {
            call.arg(it.id.item_of().map(|(_, index)| index)).arg(it.tail.as_slice());
            call.arg(it.micros).arg(it.bucket).arg(&it.cache).arg(words(it.used));
        }
    }
}

/// What an item used, as `prompt|completion|micros`; empty if nothing.
pub(super) fn words(used: Used) -> String {
    if used == Used::default() {
        return String::new();
    }
    format!("{}|{}|{}", used.prompt_tokens, used.completion_tokens, used.cost_micros)
}

/// What an end means to the script.
struct Fate {
    word: &'static str,
    /// Whether it is terminal.
    ends: bool,
    /// Whether it is listed as an attempt.
    counts: bool,
    report: Report,
    delay: Duration,
}

fn fate(end: End) -> Fate {
    let fate = |word, ends, counts, report, delay| Fate { word, ends, counts, report, delay };
    let failed = |failure| Report { failure: Some(failure), ..Report::default() };
    let none = Duration::ZERO;
    match end {
        End::Succeeded(report) => fate(OK, true, true, report, none),
        End::Failed(report) => fate(BAD, true, true, report, none),
        End::Retry(failure, delay) => fate("retry", false, true, failed(failure), delay),
        End::Throttled(failure, delay) => fate("throttle", false, false, failed(failure), delay),
        End::Returned => fate("return", false, false, Report::default(), none),
        End::Cancelled => fate("cancel", true, false, Report::default(), none),
        End::Expired => fate("expire", true, false, Report::default(), none),
    }
}

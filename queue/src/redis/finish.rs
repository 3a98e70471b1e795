//! Taking back what came of the work, many with one call.

use std::{sync::Arc, time::Duration};

use tokio::sync::Notify;

use super::{
    RedisQueue, Store,
    document::{Envelope, Tail},
    gather::Commit,
    home::Line,
    millis,
    submit::lane_of,
};
use crate::{
    ATTEMPTS_KEPT, Attempt, End, Ending, ExecutionId, Failure, Histogram, Mode, Report, Result,
    Used, Verdict, lease::Token,
};

/// An ending as the script takes it.
#[derive(Default)]
pub(super) struct Written {
    kind: &'static str,
    token: Option<Token>,
    id: String,
    fate: &'static str,
    generation: u32,
    envelope: Vec<u8>,
    tail: Vec<u8>,
    delay: u64,
    micros: u64,
    bucket: u32,
    program: String,
    cache: String,
    home: String,
    used: String,
    before: Vec<u8>,
}

impl Written {
    fn new(ending: Ending) -> Result<Self> {
        let Ending { lease, end, started_at, run_time } = ending;
        let (task, token) = (lease.task, lease.token);
        let micros = u64::try_from(run_time.as_micros()).unwrap_or(u64::MAX);
        let mut written = Self {
            kind: if token.chunk.is_some() { "c" } else { "s" },
            id: task.id.to_string(),
            generation: task.generation,
            micros,
            bucket: Histogram::bucket(run_time),
            program: task.spec.program.clone(),
            home: lane_of(&task.spec, task.id),
            ..Self::default()
        };
        let attempt = |error: Option<Failure>| Attempt {
            started_at,
            finished_at: started_at + run_time,
            worker: token.worker.clone(),
            error,
            generation: task.generation,
        };
        let fate = fate(end);
        if let Some(cache) = task.cache.as_ref().filter(|_| task.spec.mode == Mode::Normal) {
            written.cache = format!("{}|{}", cache.fingerprint, millis(cache.ttl));
        }
        // The items of a chunk lie in the batch's inputs until one goes a way of its own.
        if written.kind == "s" || !fate.ends {
            written.envelope =
                Envelope::write(&task.spec, &task.inputs, task.cache.as_ref(), task.created_at)?;
        }
        if fate.ends && task.id.item_of().is_some() {
            written.used = words(Used::of(&fate.report));
        }
        let mut attempts = task.attempts;
        written.before = serde_json::to_vec(&attempts)?;
        if fate.counts {
            attempts.push(attempt(fate.report.failure.clone()));
        }
        let surplus = attempts.len().saturating_sub(ATTEMPTS_KEPT);
        attempts.drain(..surplus);
        written.fate = fate.word;
        written.delay = millis(fate.delay);
        written.tail = if fate.ends {
            Tail { attempts, report: fate.report, micros: Some(micros) }.write()?
        } else {
            serde_json::to_vec(&attempts)?
        };
        written.token = Some(token);
        Ok(written)
    }
}

/// What an item used, as `prompt|completion|micros`; empty if nothing.
fn words(used: Used) -> String {
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
        End::Succeeded(report) => fate("ok", true, true, report, none),
        End::Failed(report) => fate("bad", true, true, report, none),
        End::Retry(failure, delay) => fate("retry", false, true, failed(failure), delay),
        End::Throttled(failure, delay) => fate("throttle", false, false, failed(failure), delay),
        End::Returned => fate("return", false, false, Report::default(), none),
        End::Cancelled => fate("cancel", true, false, Report::default(), none),
        End::Expired => fate("expire", true, false, Report::default(), none),
    }
}

/// Carries endings out, up to a group at a time.
pub(super) struct Finisher {
    store: Arc<Store>,
    line: Line,
    packer: Arc<Notify>,
}

impl Finisher {
    pub(super) fn new(store: Arc<Store>, packer: Arc<Notify>) -> Self {
        Self { line: Line::new(Arc::clone(&store.home)), store, packer }
    }
}

impl Commit for Finisher {
    type Call = Written;
    type Answer = Verdict;

    /// What a worker has paid for must not be lost because the store was away for a moment.
    const STUBBORN: bool = true;

    async fn commit(&mut self, calls: &[Written]) -> Result<Vec<Result<Verdict>>> {
        let (store, limits) = (&self.store, &self.store.limits);
        let mut call = store.scripts.finish.key(store.prefix());
        call.arg(store.now()).arg(store.ttl());
        call.arg(u8::from(limits.late_results)).arg(limits.dead_max);
        for it in calls {
            let (lane, entry) =
                it.token.as_ref().map_or(("", ""), |token| (&*token.lane, &*token.entry));
            call.arg(it.kind).arg(lane).arg(entry).arg(&it.id).arg(it.fate).arg(it.generation);
            call.arg(it.envelope.as_slice()).arg(it.tail.as_slice()).arg(it.delay);
            call.arg(it.micros).arg(it.bucket).arg(&it.program).arg(&it.cache).arg(&it.home);
            call.arg(&it.used).arg(it.before.as_slice());
        }
        let (rows, packs): (Vec<(String, String)>, u64) = self.line.call(&call).await?;
        if packs > 0 {
            self.packer.notify_one();
        }
        Ok(rows.iter().map(verdict).collect())
    }
}

fn verdict((word, state): &(String, String)) -> Result<Verdict> {
    match word.as_str() {
        "kept" => Ok(Verdict::Recorded(state.parse()?)),
        "late" => Ok(Verdict::RecordedLate(state.parse()?)),
        _ => Ok(Verdict::Refused),
    }
}

impl RedisQueue {
    pub(super) async fn finish_work(&self, ending: Ending) -> Result<Verdict> {
        if let End::Retry(..) | End::Throttled(..) = &ending.end {
            *self.store.quiet() = None; // something is due sooner, perhaps
        }
        self.finisher.call(Written::new(ending)?).await
    }

    /// Takes an entry out of its lane whose items have all ended otherwise.
    pub(super) async fn drop_empty_chunk(&self, chunk: (Token, ExecutionId)) -> Result<()> {
        let (token, item) = chunk;
        let written = Written {
            kind: "c",
            fate: "empty",
            token: Some(token),
            id: item.to_string(),
            ..Written::default()
        };
        self.finisher.call(written).await.map(|_| ())
    }
}

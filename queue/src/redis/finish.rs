//! Taking back what came of the work, many with one call.

use std::{collections::HashMap, sync::Arc, time::Duration};

use redis::ScriptInvocation;
use tokio::sync::Notify;

use super::{
    RedisQueue, Store,
    document::{Envelope, Tail, corrupt},
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
pub(super) struct Written {
    token: Token,
    id: ExecutionId,
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

/// What items of a chunk that ended alike have in common.
#[derive(PartialEq, Eq, Hash)]
struct Alike<'a> {
    lane: &'a str,
    entry: &'a str,
    fate: &'static str,
    generation: u32,
}

impl Written {
    fn empty(token: Token, id: ExecutionId, fate: &'static str) -> Self {
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
            used: String::new(),
            before: Vec::new(),
        }
    }

    fn new(ending: Ending) -> Result<Self> {
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
            written.used = words(Used::of(&fate.report));
        }
        written.tail = if fate.ends {
            Tail { attempts, report: fate.report, micros: Some(micros) }.write()?
        } else {
            serde_json::to_vec(&attempts)?
        };
        Ok(written)
    }

    /// What it has in common with others, if it is an item's first attempt that gave a result.
    fn alike(&self) -> Option<Alike<'_>> {
        let has_result = matches!(self.fate, "ok" | "bad");
        let is_like_others = self.token.chunk.is_some() && has_result && self.before == b"[]";
        let Token { lane, entry, .. } = &self.token;
        is_like_others.then_some(Alike {
            lane,
            entry,
            fate: self.fate,
            generation: self.generation,
        })
    }

    fn put(&self, call: &mut ScriptInvocation<'_>) {
        let kind = if self.token.chunk.is_some() { "c" } else { "s" };
        call.arg(kind).arg(&*self.token.lane).arg(&*self.token.entry).arg(self.id.to_string());
        call.arg(self.fate).arg(self.generation).arg(self.envelope.as_slice());
        call.arg(self.tail.as_slice()).arg(self.delay).arg(self.micros).arg(self.bucket);
        call.arg(&self.program).arg(&self.cache).arg(&self.home).arg(&self.used);
        call.arg(self.before.as_slice());
    }
}

/// Puts together what is alike: the places of each group's calls. What is like nothing is alone.
fn groups(calls: &[Written]) -> Vec<Vec<usize>> {
    let (mut groups, mut known) = (Vec::<Vec<usize>>::new(), HashMap::new());
    for (place, call) in calls.iter().enumerate() {
        let alike = call.alike();
        let group = alike.map_or(groups.len(), |it| *known.entry(it).or_insert(groups.len()));
        match groups.get_mut(group) {
            Some(group) => group.push(place),
            None => groups.push(vec![place]),
        }
    }
    groups
}

/// Puts items of a chunk that ended alike.
fn put_alike(call: &mut ScriptInvocation<'_>, first: &Written, items: &[&Written]) {
    let Some((batch, _)) = first.id.item_of() else { return };
    call.arg("g").arg(&*first.token.lane).arg(&*first.token.entry).arg(batch.to_string());
    call.arg(first.token.chunk).arg(first.fate).arg(first.generation).arg(&first.program);
    call.arg(items.len());
    for it in items {
        call.arg(it.id.item_of().map(|(_, index)| index)).arg(it.tail.as_slice());
        call.arg(it.micros).arg(it.bucket).arg(&it.cache).arg(&it.used);
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
        let groups = groups(calls);
        for group in &groups {
            let items: Vec<&Written> = group.iter().filter_map(|place| calls.get(*place)).collect();
            match items.as_slice() {
                [one] => one.put(&mut call),
                [first, ..] => put_alike(&mut call, first, &items),
                [] => {}
            }
        }
        let (rows, packs): (Vec<(String, String)>, u64) = self.line.call(&call).await?;
        if packs > 0 {
            self.packer.notify_one();
        }
        verdicts(&groups, &rows)
    }
}

/// What became of each call, in order.
fn verdicts(groups: &[Vec<usize>], rows: &[(String, String)]) -> Result<Vec<Result<Verdict>>> {
    let mut rows = rows.iter();
    let mut verdicts = Vec::new();
    for group in groups {
        let mut of_all = None;
        for place in group {
            let row = match of_all {
                Some(row) => row,
                None => rows.next().ok_or_else(|| corrupt("a short answer"))?,
            };
            of_all = Some(row).filter(|row| row.0 == "all");
            verdicts.push((*place, verdict(row)));
        }
    }
    verdicts.sort_by_key(|(place, _)| *place);
    Ok(verdicts.into_iter().map(|(_, verdict)| verdict).collect())
}

fn verdict((word, state): &(String, String)) -> Result<Verdict> {
    match word.as_str() {
        "kept" | "all" => Ok(Verdict::Recorded(state.parse()?)),
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
        let written = Written::empty(token, item, "empty");
        self.finisher.call(written).await.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::RedisQueue, *};
    use crate::{
        BatchId, BatchItem, Ended, Intake as _, Lease, NewBatch, Policy, Records as _, Spec, Want,
        Work as _, WorkerId, WorkerInfo,
    };

    async fn submit(queue: &RedisQueue, count: usize) -> BatchId {
        let new = NewBatch {
            id: BatchId::new(),
            spec: Spec::new("qa", "alice", Duration::from_secs(5)),
            cache_ttl: None,
            policy: Policy::default(),
            items: vec![BatchItem::default(); count],
            idempotency: None,
        };
        queue.submit_batch(new).await.unwrap().id
    }

    async fn claim(queue: &RedisQueue) -> Vec<Lease> {
        let worker = WorkerId::new("host", 1);
        let info = WorkerInfo {
            id: worker.clone(),
            host: "host".to_owned(),
            pid: 1,
            version: "1".to_owned(),
            slots: 8,
            running: 0,
            started_at: chrono::Utc::now(),
            programs: Vec::new(),
        };
        queue.beat(&info).await.unwrap();
        let want = Want { slots: 8, bulk: 8, suspect: true };
        queue.claim(&worker, want, Duration::ZERO).await.unwrap()
    }

    fn succeeded(lease: Lease) -> Written {
        let (started_at, run_time) = (chrono::Utc::now(), Duration::from_millis(1));
        let end = End::Succeeded(Report::default());
        Written::new(Ending { lease, end, started_at, run_time }).unwrap()
    }

    #[tokio::test]
    async fn ends_that_are_sent_again_count_once() {
        let queue = RedisQueue::of_a_test().await;
        let id = submit(&queue, 3).await;
        let ends: Vec<Written> = claim(&queue).await.into_iter().map(succeeded).collect();
        let mut finisher = Finisher::new(Arc::clone(&queue.store), Arc::default());

        let first = finisher.commit(&ends).await.unwrap();
        let again = finisher.commit(&ends).await.unwrap();

        let recorded = |it: &Result<Verdict>| matches!(it, Ok(Verdict::Recorded(_)));
        assert!(first.iter().all(recorded) && !again.iter().any(recorded));
        let ended = Ended { succeeded: 3, ..Ended::default() };
        assert_eq!(queue.batch(id).await.unwrap().ended, ended);
    }
}

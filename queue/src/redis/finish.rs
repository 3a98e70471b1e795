//! Taking back what came of the work, many with one call.

use std::{collections::HashMap, sync::Arc};

use tokio::sync::Notify;

use super::{RedisQueue, Store, document::corrupt, gather::Commit, home::Line, written::Written};
use crate::{End, Ending, ExecutionId, Result, Verdict, lease::Token};

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
                items => Written::put_alike(&mut call, items),
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
    use std::time::Duration;

    use crate::{
        BatchId, BatchItem, Ended, Intake as _, Lease, NewBatch, Policy, Records as _, Report,
        Spec, Want, Work as _, WorkerId, WorkerInfo,
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

//! Taking back what came of the work, many with one call.

use std::{collections::HashMap, sync::Arc};

use tokio::sync::Notify;

use super::{
    RedisQueue, Store, document::corrupt, gather::Commit, home::Line, whole::Whole,
    written::Written,
};
use crate::{End, Ending, ExecutionId, Result, Verdict, lease::Token};

/// What is taken back in one piece.
pub(super) enum Sent {
    One(Written),
    /// All items of a chunk; refused, if each of them has to be looked at.
    Whole(Whole),
}

impl Sent {
    fn one(&self) -> Option<&Written> {
        match self {
            Sent::One(written) => Some(written),
            Sent::Whole(_) => None,
        }
    }
}

/// Puts together what is alike: the places of each group's calls. What is like nothing is alone.
fn groups(calls: &[Sent]) -> Vec<Vec<usize>> {
    let (mut groups, mut known) = (Vec::<Vec<usize>>::new(), HashMap::new());
    for (place, call) in calls.iter().enumerate() {
        let alike = call.one().and_then(Written::alike);
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
    type Call = Sent;
    type Answer = Verdict;

    /// What a worker has paid for must not be lost because the store was away for a moment.
    const STUBBORN: bool = true;

    async fn commit(&mut self, calls: &[Sent]) -> Result<Vec<Result<Verdict>>> {
        let (store, limits) = (&self.store, &self.store.limits);
        let mut call = store.scripts.finish.key(store.prefix());
        call.arg(store.now()).arg(store.ttl());
        call.arg(u8::from(limits.late_results)).arg(limits.dead_max);
        let groups = groups(calls);
        for group in &groups {
            let calls: Vec<&Sent> = group.iter().filter_map(|place| calls.get(*place)).collect();
            match calls.as_slice() {
                [Sent::Whole(whole)] => whole.put(&mut call, store.objects.is_some()),
                [Sent::One(one)] => one.put(&mut call),
                alike => {
                    let items: Vec<&Written> = alike.iter().filter_map(|it| it.one()).collect();
                    Written::put_alike(&mut call, &items);
                }
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
        self.finisher.finish(Written::new(ending)?).await
    }

    /// Takes an entry out of its lane whose items have all ended otherwise.
    pub(super) async fn drop_empty_chunk(&self, chunk: (Token, ExecutionId)) -> Result<()> {
        let (token, item) = chunk;
        let written = Written::empty(token, item, "empty");
        self.finisher.finish(written).await.map(|_| ())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use futures::FutureExt as _;

    use super::{super::RedisQueue, *};
    use crate::{
        BatchId, BatchItem, CHUNK_ITEMS, Intake as _, Lease, NewBatch, Policy, Records as _,
        Report, Spec, Want, Work as _, WorkerId, WorkerInfo,
    };

    pub(in super::super) async fn submit(queue: &RedisQueue, count: usize) -> BatchId {
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

    pub(in super::super) async fn claim(queue: &RedisQueue) -> Vec<Lease> {
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

    fn succeeded(lease: Lease) -> Ending {
        let (started_at, run_time) = (chrono::Utc::now(), Duration::from_millis(1));
        Ending { lease, end: End::Succeeded(Report::default()), started_at, run_time }
    }

    pub(in super::super) fn written(lease: Lease) -> Written {
        Written::new(succeeded(lease)).unwrap()
    }

    fn is_recorded(verdict: &Result<Verdict>) -> bool {
        matches!(verdict, Ok(Verdict::Recorded(_)))
    }

    async fn ended(queue: &RedisQueue, id: BatchId) -> u64 {
        queue.batch(id).await.unwrap().ended.succeeded
    }

    /// Sends the same twice, and says whether it was recorded each time.
    async fn send_twice(queue: &RedisQueue, sent: &[Sent]) -> (bool, bool) {
        let mut finisher = Finisher::new(Arc::clone(&queue.store), Arc::default());
        let first = finisher.commit(sent).await.unwrap();
        let again = finisher.commit(sent).await.unwrap();
        (first.iter().all(is_recorded), again.iter().any(is_recorded))
    }

    #[tokio::test]
    async fn ends_that_are_sent_again_count_once() {
        let queue = RedisQueue::of_a_test().await;
        let id = submit(&queue, 3).await;
        let ends = claim(&queue).await.into_iter().map(written).map(Sent::One);

        assert_eq!(send_twice(&queue, &ends.collect::<Vec<_>>()).await, (true, false));

        assert_eq!(ended(&queue, id).await, 3);
    }

    #[tokio::test]
    async fn whole_chunk_that_is_sent_again_counts_once_and_needs_no_packing() {
        let queue = RedisQueue::of_a_test().await;
        let id = submit(&queue, CHUNK_ITEMS).await;
        let items: Vec<Written> = claim(&queue).await.into_iter().map(written).collect();
        let whole = Whole::new(&items, queue.store.clock_ms()).unwrap();

        assert_eq!(send_twice(&queue, &[Sent::Whole(whole)]).await, (true, false));

        assert_eq!(ended(&queue, id).await, CHUNK_ITEMS as u64);
        let (keys, mut pipe) = (&queue.store.keys, redis::pipe());
        pipe.exists(keys.packed(id, 0)).exists(keys.results(id, 0)).scard(keys.named("packs"));
        let found: (bool, bool, u32) = queue.store.home.query(&pipe).await.unwrap();
        assert_eq!(found, (true, false, 0));
    }

    #[tokio::test]
    async fn chunk_by_a_clock_that_is_wrong_ends_item_by_item() {
        let queue = RedisQueue::of_a_test().await;
        let id = submit(&queue, CHUNK_ITEMS).await;
        let items: Vec<Written> = claim(&queue).await.into_iter().map(written).collect();
        let whole = Whole::new(&items, queue.store.clock_ms() - 60_000).unwrap();

        assert_eq!(send_twice(&queue, &[Sent::Whole(whole)]).await, (false, false));
        assert_eq!(ended(&queue, id).await, 0);

        let ends: Vec<Sent> = items.into_iter().map(Sent::One).collect();
        assert_eq!(send_twice(&queue, &ends).await, (true, false));
        assert_eq!(ended(&queue, id).await, CHUNK_ITEMS as u64);
    }

    #[tokio::test]
    async fn chunk_without_one_of_its_items_is_not_whole() {
        let queue = RedisQueue::of_a_test().await;
        submit(&queue, CHUNK_ITEMS).await;
        let mut items: Vec<Written> = claim(&queue).await.into_iter().map(written).collect();
        assert!(Whole::new(&items, 0).is_ok());

        items.swap_remove(7);

        assert!(Whole::new(&items, 0).is_err());
    }

    #[tokio::test]
    async fn end_that_nobody_waits_for_any_more_is_taken_back() {
        let queue = RedisQueue::of_a_test().await;
        let id = submit(&queue, CHUNK_ITEMS).await;
        let mut leases = claim(&queue).await;

        let finishing = queue.finish_work(succeeded(leases.remove(0)));
        assert!(finishing.now_or_never().is_none());

        testkit::until("it has ended", Duration::from_secs(10), async || {
            (ended(&queue, id).await == 1).then_some(())
        })
        .await;
    }
}

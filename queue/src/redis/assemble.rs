//! Putting chunks together again: where the items of one end within a moment, as those of a quick
//! program do, they go to the store in one piece, as what is kept of them. One command then does
//! what else takes one for every item, and another to pack them. Where they do not, waiting for
//! each other would only keep slots from others, and is soon given up for a while.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout_at},
};

use super::{
    Store,
    finish::{Finisher, Sent},
    gather::{Gather, WAITING_MAX, gone},
    whole::Whole,
    written::Written,
};
use crate::{CHUNK_ITEMS, Result, Verdict};

/// How long an item waits for the rest of its chunk.
const PATIENCE: Duration = Duration::from_millis(2);
/// How many chunks may be waited for in vain, beyond as many that came together.
const TRIES: u32 = 8;
/// For how long no item waits after that.
const REST: Duration = Duration::from_secs(2);

/// What an ending comes back with.
enum Back {
    /// It went with its chunk.
    Ended(Verdict),
    /// It has to go alone.
    Alone(Box<Written>),
}

type Asked = (Written, oneshot::Sender<Back>);

/// The way of endings to the store. Cheap to clone; the task behind it ends with the last.
#[derive(Clone)]
pub(super) struct Assembler {
    door: mpsc::Sender<Asked>,
    finisher: Gather<Finisher>,
    luck: Arc<Mutex<Luck>>,
}

impl Assembler {
    pub(super) fn start(finisher: Gather<Finisher>, store: &Arc<Store>) -> Self {
        let (door, asked) = mpsc::channel(WAITING_MAX);
        let luck = Arc::new(Mutex::new(Luck { tries: TRIES, rests_until: Instant::now() }));
        let bench = Bench {
            finisher: finisher.clone(),
            store: Arc::clone(store),
            luck: Arc::clone(&luck),
            chunks: HashMap::new(),
        };
        tokio::spawn(bench.serve(asked));
        Self { door, finisher, luck }
    }

    /// Takes an ending to the store, with those of its chunk if they come soon.
    pub(super) async fn finish(&self, written: Written) -> Result<Verdict> {
        if !written.is_of_whole() || lock(&self.luck).rests_until > Instant::now() {
            return self.finisher.call(Sent::One(written)).await;
        }
        let (sender, back) = oneshot::channel();
        self.door.send((written, sender)).await.map_err(|_| gone())?;
        match back.await.map_err(|_| gone())? {
            Back::Ended(verdict) => Ok(verdict),
            Back::Alone(written) => self.finisher.call(Sent::One(*written)).await,
        }
    }
}

/// Whether it pays to wait for the rest of a chunk.
struct Luck {
    tries: u32,
    rests_until: Instant,
}

impl Luck {
    fn came_together(&mut self) {
        self.tries = TRIES.min(self.tries + 1);
    }

    fn waited_in_vain(&mut self, now: Instant) {
        self.tries -= 1;
        if self.tries == 0 {
            *self = Self { tries: TRIES, rests_until: now + REST };
        }
    }
}

fn lock(luck: &Mutex<Luck>) -> MutexGuard<'_, Luck> {
    luck.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where chunks lie that are not complete yet.
struct Bench {
    finisher: Gather<Finisher>,
    store: Arc<Store>,
    luck: Arc<Mutex<Luck>>,
    /// By lane and entry; no more items than this process has slots.
    chunks: HashMap<(Arc<str>, Arc<str>), Chunk>,
}

struct Chunk {
    until: Instant,
    items: Vec<Asked>,
}

impl Bench {
    async fn serve(mut self, mut asked: mpsc::Receiver<Asked>) {
        let mut some = Vec::with_capacity(CHUNK_ITEMS);
        loop {
            let more = asked.recv_many(&mut some, CHUNK_ITEMS);
            let came = match self.chunks.values().map(|it| it.until).min() {
                Some(until) => timeout_at(until, more).await.ok(),
                None => Some(more.await),
            };
            for item in some.drain(..) {
                self.take(item);
            }
            let is_over = came == Some(0);
            let now = Instant::now();
            let late = self.chunks.extract_if(|_, it| is_over || it.until <= now);
            for (_, chunk) in late {
                lock(&self.luck).waited_in_vain(now);
                for (written, sender) in chunk.items {
                    send_alone(&self.finisher, written, sender);
                }
            }
            if is_over {
                return;
            }
        }
    }

    fn take(&mut self, item: Asked) {
        let token = &item.0.token;
        let place = (Arc::clone(&token.lane), Arc::clone(&token.entry));
        let fresh =
            || Chunk { until: Instant::now() + PATIENCE, items: Vec::with_capacity(CHUNK_ITEMS) };
        let chunk = self.chunks.entry(place.clone()).or_insert_with(fresh);
        chunk.items.push(item);
        if chunk.items.len() < CHUNK_ITEMS {
            return;
        }
        if let Some(chunk) = self.chunks.remove(&place) {
            lock(&self.luck).came_together();
            tokio::spawn(finish_whole(self.finisher.clone(), self.store.clock_ms(), chunk.items));
        }
    }
}

async fn finish_whole(finisher: Gather<Finisher>, now_ms: i64, items: Vec<Asked>) {
    let (items, senders): (Vec<_>, Vec<_>) = items.into_iter().unzip();
    let packed = tokio::task::spawn_blocking(move || {
        let whole = Whole::new(&items, now_ms);
        (items, whole)
    });
    let Ok((items, whole)) = packed.await else { return };
    let sent = match whole {
        Ok(whole) => finisher.call(Sent::Whole(whole)).await,
        Err(error) => Err(error),
    };
    let is_kept = matches!(sent, Ok(Verdict::Recorded(_)));
    for (written, sender) in items.into_iter().zip(senders) {
        if is_kept {
            let _: Result<(), _> = sender.send(Back::Ended(Verdict::Recorded(written.state())));
        } else {
            // The store looks at each, and says for each what is wrong.
            send_alone(&finisher, written, sender);
        }
    }
}

/// Lets an ending go alone, also if nobody waits for it any more.
fn send_alone(finisher: &Gather<Finisher>, written: Written, sender: oneshot::Sender<Back>) {
    if let Err(Back::Alone(written)) = sender.send(Back::Alone(Box::new(written))) {
        let finisher = finisher.clone();
        tokio::spawn(async move { finisher.call(Sent::One(*written)).await });
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;

    use super::{
        super::{
            RedisQueue,
            finish::tests::{claim, submit, written},
        },
        *,
    };
    use crate::State;

    /// How many chunks of a batch are packed, where nobody packs what came as documents.
    async fn packed(ends_last_together: bool) -> (Vec<Verdict>, u32) {
        let queue = RedisQueue::of_a_test().await;
        let store = &queue.store;
        let finisher = Gather::start(Finisher::new(Arc::clone(store), Arc::default()));
        let assembler = Assembler::start(finisher, store);
        let id = submit(&queue, CHUNK_ITEMS).await;
        let mut items: Vec<Written> = claim(&queue).await.into_iter().map(written).collect();
        let last = items.split_off(if ends_last_together { items.len() } else { 63 });

        let mut verdicts = join_all(items.into_iter().map(|it| assembler.finish(it))).await;
        verdicts.extend(join_all(last.into_iter().map(|it| assembler.finish(it))).await);

        let mut pipe = redis::pipe();
        pipe.exists(store.keys.packed(id, 0));
        let (packed,) = store.home.query(&pipe).await.unwrap();
        (verdicts.into_iter().map(Result::unwrap).collect(), packed)
    }

    #[tokio::test]
    async fn items_that_end_together_come_as_a_pack_and_others_one_by_one() {
        for together in [true, false] {
            let (verdicts, packs) = packed(together).await;

            assert_eq!(verdicts, [Verdict::Recorded(State::Succeeded); CHUNK_ITEMS]);
            assert_eq!(packs, u32::from(together));
        }
    }

    #[test]
    fn waiting_in_vain_is_given_up_for_a_while_unless_it_mostly_pays() {
        let now = Instant::now();
        let fresh = || Luck { tries: TRIES, rests_until: now };

        let mut luck = fresh();
        for _ in 0..10 * TRIES {
            luck.waited_in_vain(now);
            luck.came_together();
        }
        assert_eq!(luck.rests_until, now);

        let mut luck = fresh();
        for _ in 0..TRIES {
            assert_eq!(luck.rests_until, now);
            luck.waited_in_vain(now);
        }
        assert_eq!((luck.rests_until, luck.tries), (now + REST, TRIES));
    }
}

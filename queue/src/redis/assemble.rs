//! Putting chunks together again: where the items of one end within a moment, as those of a quick
//! program do, they go to the store in one piece, as what is kept of them. One command then does
//! what else takes one for every item, and another to pack them.

use std::{collections::HashMap, sync::Arc, time::Duration};

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

/// Items that ran longer end too far apart to wait for each other.
const QUICK: Duration = Duration::from_millis(50);
/// How long an item waits for the rest of its chunk.
const PATIENCE: Duration = Duration::from_millis(2);

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
}

impl Assembler {
    pub(super) fn start(finisher: Gather<Finisher>, store: &Arc<Store>) -> Self {
        let (door, asked) = mpsc::channel(WAITING_MAX);
        let bench =
            Bench { finisher: finisher.clone(), store: Arc::clone(store), chunks: HashMap::new() };
        tokio::spawn(bench.serve(asked));
        Self { door, finisher }
    }

    /// Takes an ending to the store, with those of its chunk if they come soon.
    pub(super) async fn finish(&self, written: Written) -> Result<Verdict> {
        if !written.is_of_whole() || Duration::from_micros(written.micros) > QUICK {
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

/// Where chunks lie that are not complete yet.
struct Bench {
    finisher: Gather<Finisher>,
    store: Arc<Store>,
    /// By lane and entry; no more items than a worker has slots.
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
            for (written, sender) in late.flat_map(|(_, chunk)| chunk.items) {
                send_alone(&self.finisher, written, sender);
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

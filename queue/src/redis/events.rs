//! Waking those that wait for an execution to end, or to tell more: one subscription for all of a
//! process.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use futures::StreamExt;
use tokio::sync::Notify;

use super::Store;

/// How long to wait before subscribing again after the connection failed.
const AGAIN: Duration = Duration::from_millis(250);

/// Who waits for what. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Events {
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Default)]
struct Waiting {
    /// Waiters by what they wait for; as many as there are waiting requests.
    by_name: HashMap<String, Weak<Notify>>,
    /// Whether the listener runs. It ends when nobody waits.
    listening: bool,
}

/// A place among those that wait for the same.
pub(super) struct Place {
    name: String,
    /// Rung when it may have happened, or the subscription was renewed.
    pub(super) rung: Arc<Notify>,
    waiting: Arc<Mutex<Waiting>>,
}

impl Events {
    /// Takes a place among those that wait for an execution's end (its id), or for what it tells
    /// (`f:` before it); look again after each ring.
    pub(super) fn wait_for(&self, name: String, store: &Arc<Store>) -> Place {
        let mut waiting = lock(&self.waiting);
        let known = waiting.by_name.get(&name).and_then(Weak::upgrade);
        let rung = known.unwrap_or_default();
        waiting.by_name.insert(name.clone(), Arc::downgrade(&rung));
        if !waiting.listening {
            waiting.listening = true;
            tokio::spawn(listen(Arc::clone(store), Arc::clone(&self.waiting)));
        }
        Place { name, rung, waiting: Arc::clone(&self.waiting) }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut waiting = lock(&self.waiting);
        if Arc::strong_count(&self.rung) == 1 {
            waiting.by_name.remove(&self.name);
        }
    }
}

/// Listens for as long as the queue lives in this process.
async fn listen(store: Arc<Store>, waiting: Arc<Mutex<Waiting>>) {
    let channel = store.keys.named("ended");
    let store = Arc::downgrade(&store);
    while let Some(store) = store.upgrade() {
        let events = store.home.subscribe(&channel).await;
        drop(store);
        if let Ok(mut events) = events {
            ring_all(&waiting); // what ended before we listened was not heard
            let mut messages = events.on_message();
            while let Some(message) = messages.next().await {
                ring(&waiting, message.get_payload_bytes());
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
    lock(&waiting).listening = false;
}

fn ring(waiting: &Mutex<Waiting>, names: &[u8]) {
    let Ok(names) = std::str::from_utf8(names) else { return };
    let waiting = lock(waiting);
    if waiting.by_name.is_empty() {
        return;
    }
    for name in names.split(' ').flat_map(each) {
        if let Some(place) = waiting.by_name.get(&*name).and_then(Weak::upgrade) {
            place.notify_waiters();
        }
    }
}

/// The names that one word stands for: several items of a batch are `<batch>-<index>,<index>,…`.
fn each(word: &str) -> Vec<Cow<'_, str>> {
    match word.rsplit_once('-') {
        Some((batch, indexes)) if indexes.contains(',') => {
            indexes.split(',').map(|index| format!("{batch}-{index}").into()).collect()
        }
        Some(_) | None => vec![word.into()],
    }
}

fn ring_all(waiting: &Mutex<Waiting>) {
    for place in lock(waiting).by_name.values().filter_map(Weak::upgrade) {
        place.notify_waiters();
    }
}

fn lock(waiting: &Mutex<Waiting>) -> std::sync::MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

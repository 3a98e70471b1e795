//! Texts that trace after trace repeats, a program's instructions and its demos: the store keeps
//! each once, and traces name it. Only this worker's part is known here; that others have kept a
//! text too costs one more write an hour and nothing else.

use std::{
    collections::{HashMap, HashSet},
    hash::BuildHasher,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use foldhash::fast::RandomState;
use queue::{Queue, RawJson, TextId};
use serde::Serialize;
use tokio::time::Instant;

use crate::Metrics;

/// What is shorter takes no more room than its name and what is around it.
const BYTES_MIN: usize = 100;
/// What is longer is rather data than instructions.
const BYTES_MAX: usize = 64 * 1024;

/// How many texts are known at once, and how long these are together; and how many were seen once.
/// What is beyond is forgotten, and known again when it is seen twice.
const KNOWN_MAX: usize = 1000;
const KNOWN_BYTES_MAX: usize = 8 * 1024 * 1024;
const ONCE_MAX: usize = 4096;

/// How long a kept text may be named, and when it is kept anew: so long before that it is named for
/// the last time that whoever names it has recorded it by then.
const KEPT_FOR: Duration = Duration::from_secs(2 * 3600);
const RENEWED_AFTER: Duration = Duration::from_secs(3600);

/// The texts that were seen lately.
#[derive(Default)]
pub(crate) struct Texts {
    hasher: RandomState,
    known: Mutex<Known>,
    metrics: Arc<Metrics>,
}

/// What stands for a text.
#[derive(Serialize)]
struct Named {
    text: TextId,
}

/// By their hashes.
#[derive(Default)]
struct Known {
    /// Perhaps these never come again.
    once: HashSet<u64, RandomState>,
    again: HashMap<u64, Again, RandomState>,
    /// Of the latter.
    size_bytes: usize,
}

struct Again {
    text: Arc<str>,
    id: TextId,
    /// Its name as traces tell it, once the store has it.
    kept: Option<Arc<RawJson>>,
    renew_at: Instant,
}

/// How a text is told in a trace.
#[derive(PartialEq, Debug)]
enum Telling {
    Whole,
    Named(Arc<RawJson>),
    /// By its name, when the store has taken it.
    Keep(TextId),
}

impl Texts {
    /// None so far.
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, ..Self::default() }
    }

    /// What stands for a text that the store has; none if it is to be told whole.
    pub(super) async fn name(&self, queue: &dyn Queue, text: &str) -> Option<Arc<RawJson>> {
        if !(BYTES_MIN..=BYTES_MAX).contains(&text.len()) {
            return None;
        }
        let hash = self.hasher.hash_one(text);
        match self.telling(hash, text, Instant::now()) {
            Telling::Whole => None,
            Telling::Named(name) => Some(name),
            Telling::Keep(id) => {
                let is_kept = queue.keep_text(id, text, KEPT_FOR).await.is_ok();
                let name = RawJson::write(&Named { text: id }).ok().filter(|_| is_kept);
                let name = name.map(Arc::new);
                self.settle(hash, name.clone());
                name
            }
        }
    }

    fn telling(&self, hash: u64, text: &str, now: Instant) -> Telling {
        let mut guard = self.known();
        // Borrowed once, for its parts to be borrowed apart.
        let known = &mut *guard;
        match known.again.get_mut(&hash) {
            None if known.once.remove(&hash) => {
                let (id, renew_at) = (TextId::of(text), now + RENEWED_AFTER);
                known.add(hash, Again { text: text.into(), id, kept: None, renew_at });
                Telling::Keep(id)
            }
            None => {
                known.add_once(hash);
                Telling::Whole
            }
            // Two texts with one hash.
            Some(it) if &*it.text != text => Telling::Whole,
            Some(it) if it.renew_at <= now => {
                // The others name it meanwhile as they did before.
                it.renew_at = now + RENEWED_AFTER;
                Telling::Keep(it.id)
            }
            Some(it) => it.kept.clone().map_or(Telling::Whole, Telling::Named),
        }
    }

    /// One that the store did not take is as one that was seen once.
    fn settle(&self, hash: u64, name: Option<Arc<RawJson>>) {
        let mut known = self.known();
        if name.is_some() {
            self.metrics.trace_texts_kept.add(1);
            if let Some(it) = known.again.get_mut(&hash) {
                it.kept = name;
            }
        } else if let Some(it) = known.again.remove(&hash) {
            known.size_bytes -= it.text.len();
            known.add_once(hash);
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn add(&mut self, hash: u64, again: Again) {
        let size_bytes = again.text.len();
        if self.again.len() >= KNOWN_MAX || self.size_bytes + size_bytes > KNOWN_BYTES_MAX {
            self.again.clear();
            self.size_bytes = 0;
        }
        self.size_bytes += size_bytes;
        self.again.insert(hash, again);
    }

    fn add_once(&mut self, hash: u64) {
        if self.once.len() >= ONCE_MAX {
            self.once.clear();
        }
        self.once.insert(hash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_named_when_it_was_kept_the_second_time_it_was_seen() {
        let (texts, now) = (Texts::default(), Instant::now());
        let text = "Answer the question. ".repeat(20);
        let id = TextId::of(&text);
        let name = || Arc::new(RawJson::write(&Named { text: id }).unwrap());

        assert_eq!(texts.telling(1, &text, now), Telling::Whole);
        assert_eq!(texts.telling(1, &text, now), Telling::Keep(id));
        assert_eq!(texts.telling(1, &text, now), Telling::Whole, "it is not there yet");
        texts.settle(1, Some(name()));
        assert_eq!(texts.telling(1, &text, now), Telling::Named(name()));
        assert_eq!(texts.telling(1, "another", now), Telling::Whole, "of the same hash");

        let later = now + RENEWED_AFTER;
        assert_eq!(texts.telling(1, &text, later), Telling::Keep(id));
        assert_eq!(texts.telling(1, &text, later), Telling::Named(name()));
        texts.settle(1, None);
        assert_eq!(texts.telling(1, &text, later), Telling::Keep(id), "the store was away");
    }

    #[test]
    fn no_more_is_known_than_there_is_room_for() {
        let (texts, now) = (Texts::default(), Instant::now());
        let long = "x".repeat(BYTES_MAX);

        for hash in 0..10_000 {
            texts.telling(hash, &long, now);
            texts.telling(hash, &long, now);
        }

        let known = texts.known();
        assert!(known.again.len() <= KNOWN_MAX && known.size_bytes <= KNOWN_BYTES_MAX);
        assert!(known.once.len() <= ONCE_MAX);
    }
}

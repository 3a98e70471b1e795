//! Texts that trace after trace repeats, a program's instructions and its demos: the store keeps
//! each once, and traces name it. Only this worker's part is known here; that others have kept a
//! text too costs one more write an hour and nothing else.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use queue::{Queue, TextId};
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

/// By their hashes.
#[derive(Default)]
struct Known {
    /// Perhaps these never come again.
    once: HashSet<u64>,
    again: HashMap<u64, Again>,
    /// Of the latter.
    size_bytes: usize,
}

struct Again {
    text: Arc<str>,
    id: TextId,
    /// Whether the store has it.
    is_kept: bool,
    renew_at: Instant,
}

/// How a text is told in a trace.
#[derive(PartialEq, Debug)]
enum Telling {
    Whole,
    Named(TextId),
    /// By its name, when the store has taken it.
    Keep(TextId),
}

impl Texts {
    /// None so far.
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, ..Self::default() }
    }

    /// The name of a text that the store has; none if it is to be told whole.
    pub(super) async fn name(&self, queue: &dyn Queue, text: &str) -> Option<TextId> {
        if !(BYTES_MIN..=BYTES_MAX).contains(&text.len()) {
            return None;
        }
        let hash = self.hasher.hash_one(text);
        match self.telling(hash, text, Instant::now()) {
            Telling::Whole => None,
            Telling::Named(id) => Some(id),
            Telling::Keep(id) => {
                let is_kept = queue.keep_text(id, text, KEPT_FOR).await.is_ok();
                self.settle(hash, is_kept);
                is_kept.then_some(id)
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
                known.add(hash, Again { text: text.into(), id, is_kept: false, renew_at });
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
            Some(it) if it.is_kept => Telling::Named(it.id),
            Some(_) => Telling::Whole,
        }
    }

    /// One that the store did not take is as one that was seen once.
    fn settle(&self, hash: u64, is_kept: bool) {
        let mut known = self.known();
        if is_kept {
            self.metrics.trace_texts_kept.add(1);
            if let Some(it) = known.again.get_mut(&hash) {
                it.is_kept = true;
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

        assert_eq!(texts.telling(1, &text, now), Telling::Whole);
        assert_eq!(texts.telling(1, &text, now), Telling::Keep(id));
        assert_eq!(texts.telling(1, &text, now), Telling::Whole, "it is not there yet");
        texts.settle(1, true);
        assert_eq!(texts.telling(1, &text, now), Telling::Named(id));
        assert_eq!(texts.telling(1, "another", now), Telling::Whole, "of the same hash");

        let later = now + RENEWED_AFTER;
        assert_eq!(texts.telling(1, &text, later), Telling::Keep(id));
        assert_eq!(texts.telling(1, &text, later), Telling::Named(id));
        texts.settle(1, false);
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

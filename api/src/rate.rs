//! How often each owner may ask.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// So many locks that owners seldom meet at one.
const SHARDS: usize = 16;

/// How many owners a shard remembers.
const OWNERS_MAX: usize = 4096;

/// A token bucket for each owner, of a second's worth, kept as the time when it would be full.
pub(crate) struct Rate {
    interval: Duration,
    shards: [Mutex<HashMap<String, Instant>>; SHARDS],
    hasher: RandomState,
}

/// What may be spent at once.
const BURST: Duration = Duration::from_secs(1);

impl Rate {
    pub(crate) fn new(per_second: NonZeroU32) -> Self {
        let interval = Duration::from_secs(1) / per_second.get();
        Self { interval, shards: Default::default(), hasher: RandomState::new() }
    }

    /// Takes one token of the owner's, or says how long until there is one.
    pub(crate) fn take(&self, owner: &str, now: Instant) -> Result<(), Duration> {
        let hash = self.hasher.hash_one(owner) % SHARDS as u64;
        let shard = usize::try_from(hash).ok().and_then(|at| self.shards.get(at));
        let Some(shard) = shard else { return Ok(()) };
        let mut full_at = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = full_at.get_mut(owner) {
            let next = (*at).max(now) + self.interval;
            let late = next.saturating_duration_since(now + BURST);
            return if late.is_zero() {
                *at = next;
                Ok(())
            } else {
                Err(late)
            };
        }
        if full_at.len() >= OWNERS_MAX {
            full_at.retain(|_, at| *at > now);
        }
        if full_at.len() >= OWNERS_MAX {
            // More owners are active than fit: forgetting them errs on their side.
            full_at.clear();
        }
        full_at.insert(owner.to_owned(), now + self.interval);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(per_second: u32) -> Rate {
        Rate::new(NonZeroU32::new(per_second).unwrap())
    }

    #[test]
    fn a_second_worth_may_come_at_once_and_then_no_more() {
        let (rate, now) = (rate(10), Instant::now());
        for _ in 0..10 {
            assert_eq!(rate.take("alice", now), Ok(()));
        }
        assert_eq!(rate.take("alice", now), Err(Duration::from_millis(100)));
        assert_eq!(rate.take("bob", now), Ok(()));
    }

    #[test]
    fn waiting_as_told_is_enough() {
        let (rate, now) = (rate(2), Instant::now());
        while rate.take("alice", now).is_ok() {}
        let wait = rate.take("alice", now).unwrap_err();
        assert_eq!(rate.take("alice", now + wait), Ok(()));
    }

    #[test]
    fn many_owners_take_bounded_room() {
        let (rate, now) = (rate(1), Instant::now());
        for owner in 0..SHARDS * OWNERS_MAX + 10_000 {
            let _ = rate.take(&owner.to_string(), now);
        }
        let kept: usize = rate.shards.iter().map(|it| it.lock().unwrap().len()).sum();
        assert!(kept <= SHARDS * OWNERS_MAX, "{kept}");
    }
}

//! Which endpoints asked to slow down, and until when: all calls of this worker heed it.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// The most endpoints remembered.
const ENDPOINTS_MAX: usize = 1000;

/// The endpoints that asked to slow down.
#[derive(Debug, Default)]
pub(super) struct Throttle(Mutex<HashMap<String, Instant>>);

impl Throttle {
    /// Notes that nobody should ask before `until`.
    pub(super) fn block(&self, endpoint: &str, now: Instant, until: Instant) {
        let mut blocked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if blocked.len() >= ENDPOINTS_MAX {
            blocked.retain(|_, until| *until > now);
        }
        if let Some(known) = blocked.get_mut(endpoint) {
            *known = until.max(*known);
        } else if blocked.len() < ENDPOINTS_MAX {
            blocked.insert(endpoint.to_owned(), until);
        }
    }

    /// How long nobody should ask; none if anybody may.
    pub(super) fn wait(&self, endpoint: &str, now: Instant) -> Option<Duration> {
        let mut blocked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = blocked.get(endpoint)?.saturating_duration_since(now);
        if wait.is_zero() {
            blocked.remove(endpoint);
            return None;
        }
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_blocked_until_the_latest_time_it_asked_for() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        let after = |seconds| now + Duration::from_secs(seconds);

        throttle.block("a", now, after(9));
        throttle.block("a", now, after(5));

        assert_eq!(throttle.wait("a", after(2)), Some(Duration::from_secs(7)));
        assert_eq!(throttle.wait("b", now), None);
        assert_eq!(throttle.wait("a", after(9)), None);
    }

    #[test]
    fn the_memory_is_bounded() {
        let (throttle, now) = (Throttle::default(), Instant::now());

        for n in 0..2 * ENDPOINTS_MAX {
            throttle.block(&n.to_string(), now, now + Duration::from_secs(1));
        }

        assert_eq!(throttle.0.lock().unwrap().len(), ENDPOINTS_MAX);
    }
}

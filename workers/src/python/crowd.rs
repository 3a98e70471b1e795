//! Whether the processes of a program have had too much to do for so long that another is to help.

use tokio::time::{Duration, Instant};

/// How long they must have had too much to do.
const PATIENCE: Duration = Duration::from_millis(250);

/// How long they may have had less meanwhile: a loop that has too much begins some, and gets more.
const CALM: Duration = Duration::from_millis(20);

/// A time in which all processes had too much to do.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Crowd(Option<Seen>);

/// When that was seen.
#[derive(Clone, Copy, Debug)]
struct Seen {
    first: Instant,
    last: Instant,
}

impl Crowd {
    /// Notes how it is now. Whether it has been so for long.
    pub(super) fn note(&mut self, is_crowded: bool, now: Instant) -> bool {
        if !is_crowded {
            self.0 = self.0.filter(|it| now < it.last + CALM);
            return false;
        }
        let first = self.0.map_or(now, |it| it.first);
        self.0 = Some(Seen { first, last: now });
        first + PATIENCE <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether another is to help, where it is crowded in each of these ms, and not in between.
    fn helps(crowded_at: &[u64]) -> bool {
        let (mut crowd, start) = (Crowd::default(), Instant::now());
        let last = crowded_at.iter().max().copied().unwrap_or_default();
        let note = |ms| crowd.note(crowded_at.contains(&ms), start + Duration::from_millis(ms));
        (0..=last).any(note)
    }

    #[test]
    fn a_burst_is_waited_out_and_what_lasts_is_helped() {
        assert!(!helps(&(0..250).collect::<Vec<_>>()));
        assert!(helps(&(0..=250).collect::<Vec<_>>()));
    }

    #[test]
    fn a_moment_of_calm_ends_no_crowd_and_a_longer_one_does() {
        let every = |ms| (0..=500).step_by(ms).collect::<Vec<_>>();

        assert!(helps(&every(19)));
        assert!(!helps(&every(21)));
    }
}

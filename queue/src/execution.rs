//! The life of an execution: its states, and what may follow what.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::Error;

/// Where an execution stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Waits for a time: its start was put off, or a retry is due later.
    Scheduled,
    /// Waits for a worker.
    Queued,
    /// A worker has it.
    Running,
    /// It gave outputs.
    Succeeded,
    /// It gave none, and will not be tried again by itself.
    Failed,
    /// Someone called it off.
    Cancelled,
    /// Its deadline passed before it ended.
    Expired,
}

/// What can happen to an execution.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// Its time came.
    Due,
    /// A worker took it.
    Claimed,
    /// An attempt gave outputs.
    Succeeded,
    /// An attempt failed for good, or its workers were lost too often.
    Failed,
    /// An attempt failed or was throttled, and another is due later.
    Retried,
    /// Its worker gave it back, or was lost.
    Returned,
    /// Someone called it off.
    Cancelled,
    /// Its deadline passed.
    Expired,
    /// Someone asked for a new generation of it.
    Requeued,
}

impl State {
    /// Every state.
    pub const ALL: [State; 7] = [
        State::Scheduled,
        State::Queued,
        State::Running,
        State::Succeeded,
        State::Failed,
        State::Cancelled,
        State::Expired,
    ];

    /// The state that follows; none if the event cannot happen here.
    pub fn after(self, event: Event) -> Option<State> {
        let waiting = matches!(self, State::Scheduled | State::Queued);
        let open = !self.is_terminal();
        match event {
            Event::Due => (self == State::Scheduled).then_some(State::Queued),
            Event::Claimed => (self == State::Queued).then_some(State::Running),
            // From waiting too: the result of a worker that lost its lease may be accepted late.
            Event::Succeeded => (waiting || self == State::Running).then_some(State::Succeeded),
            Event::Failed => (self == State::Running).then_some(State::Failed),
            Event::Retried => (self == State::Running).then_some(State::Scheduled),
            Event::Returned => (self == State::Running).then_some(State::Queued),
            Event::Cancelled => open.then_some(State::Cancelled),
            Event::Expired => open.then_some(State::Expired),
            Event::Requeued => (!open && self != State::Succeeded).then_some(State::Queued),
        }
    }

    /// Whether nothing more happens to this generation of it.
    pub fn is_terminal(self) -> bool {
        match self {
            State::Scheduled | State::Queued | State::Running => false,
            State::Succeeded | State::Failed | State::Cancelled | State::Expired => true,
        }
    }

    /// The word for it on the wire and in the stores.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Scheduled => "scheduled",
            State::Queued => "queued",
            State::Running => "running",
            State::Succeeded => "succeeded",
            State::Failed => "failed",
            State::Cancelled => "cancelled",
            State::Expired => "expired",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for State {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self, Error> {
        let found = State::ALL.into_iter().find(|state| state.as_str() == word);
        found.ok_or_else(|| Error::Corrupt(format!("unknown state `{word}`")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_states_change_only_by_a_new_generation() {
        let events = [
            Event::Due,
            Event::Claimed,
            Event::Succeeded,
            Event::Failed,
            Event::Retried,
            Event::Returned,
            Event::Cancelled,
            Event::Expired,
        ];
        for state in State::ALL.into_iter().filter(|state| state.is_terminal()) {
            assert!(events.iter().all(|event| state.after(*event).is_none()), "{state}");
        }
        assert_eq!(State::Failed.after(Event::Requeued), Some(State::Queued));
        assert_eq!(State::Succeeded.after(Event::Requeued), None);
    }

    #[test]
    fn words_read_back_as_written() {
        for state in State::ALL {
            assert_eq!(state.as_str().parse::<State>().unwrap(), state);
        }
    }
}

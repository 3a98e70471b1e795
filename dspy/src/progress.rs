//! What a prediction tells while it is made: the texts of its fields as the model writes them.
//!
//! Every call of a model by a predictor has a number. What is told of a call holds unless a
//! [`Told::Restart`] of it follows; then its texts begin anew, or another call takes its place.
//! Once a reply is read, the deltas of a field since the last restart are the field's text, and
//! [`Told::Outputs`] has the values of all fields.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use crate::Fields;

/// Takes what is told. It is called in the midst of things, and must not wait.
type Tell = dyn Fn(Told) + Send + Sync;

/// Where a prediction tells what it does.
pub struct Progress {
    tell: Box<Tell>,
    calls: AtomicU64,
}

/// One thing that a prediction tells.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Told {
    /// A field's text has grown.
    Field {
        /// The predictor, by its path in the program, as traces name it.
        predictor: String,
        /// The number of its call, counted from 1.
        call: u64,
        /// The field.
        field: String,
        /// How many characters (Unicode code points) of it were told before.
        offset: usize,
        /// What comes next.
        delta: String,
    },
    /// The reply to a call was read.
    Outputs {
        /// The predictor.
        predictor: String,
        /// The number of its call.
        call: u64,
        /// All fields, with values of their types.
        outputs: Fields,
    },
    /// What was told of a call is void.
    Restart {
        /// The predictor.
        predictor: String,
        /// The number of its call.
        call: u64,
    },
}

impl Progress {
    /// A place to tell things, which `tell` takes.
    pub fn new(tell: impl Fn(Told) + Send + Sync + 'static) -> Self {
        Self { tell: Box::new(tell), calls: AtomicU64::new(0) }
    }

    pub(crate) fn tell(&self, told: Told) {
        (self.tell)(told);
    }

    /// The number of the next call.
    pub(crate) fn next_call(&self) -> u64 {
        self.calls.fetch_add(1, Ordering::Relaxed) + 1
    }
}

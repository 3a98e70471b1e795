//! What a module made, and what it took to make it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{Fields, Usage};

/// What a module made.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Prediction {
    /// The outputs; with `reasoning` first where the module asked for it.
    ///
    /// What JSON cannot write stands as text: `"NaN"`, `"Infinity"`, `"-Infinity"`.
    pub outputs: Fields,
    /// All completions, where more than one was asked for; the first is `outputs`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub completions: Vec<Fields>,
    /// Tokens used, by model.
    pub usage: BTreeMap<String, Usage>,
    /// What DSPy would log: missing, extra and mistyped inputs, cut replies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// The outputs of a module, and all of its completions where it made several.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Made {
    pub(crate) outputs: Fields,
    pub(crate) completions: Vec<Fields>,
}

/// What was used and warned of so far, also by what failed.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) usage: BTreeMap<String, Usage>,
    pub(crate) warnings: Vec<String>,
}

impl Made {
    /// The first of some completions, and all if they are several: in the order of the first, as
    /// the package keeps a list of values for each output.
    pub(super) fn first_of(mut completions: Vec<Fields>) -> Self {
        let outputs = completions.first().cloned().unwrap_or_default();
        for other in completions.iter_mut().skip(1) {
            let in_order = outputs.keys().filter_map(|name| other.shift_remove_entry(name));
            let mut ordered: Fields = in_order.collect();
            ordered.append(other);
            *other = ordered;
        }
        let completions = if completions.len() > 1 { completions } else { Vec::new() };
        Self { outputs, completions }
    }
}

impl From<Fields> for Made {
    fn from(outputs: Fields) -> Self {
        Self { outputs, completions: Vec::new() }
    }
}

impl Notes {
    /// Adds what something that ran beside has used and warned of.
    pub(super) fn absorb(&mut self, other: Self) {
        for (model, usage) in other.usage {
            *self.usage.entry(model).or_default() += usage;
        }
        self.warnings.extend(other.warnings);
    }

    /// The prediction of what was made.
    pub(super) fn close(self, made: Made) -> Prediction {
        let Self { usage, warnings } = self;
        Prediction { outputs: made.outputs, completions: made.completions, usage, warnings }
    }
}

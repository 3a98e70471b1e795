//! The items of a batch as a table that `mlflow.load_table` reads: the JSON of a pandas table that
//! is split into columns and rows.

use queue::{Execution, State};
use serde_json::{Value, json};

use super::run::cut;

/// The name of the file.
pub(super) const NAME: &str = "items.json";

/// How many items it shows, and how many characters of inputs and outputs each.
const ROWS_MAX: usize = 10_000;
const CHARS_MAX: usize = 500;

const COLUMNS: [&str; 9] = [
    "index",
    "custom_id",
    "execution_id",
    "status",
    "success",
    "execution_time",
    "error",
    "inputs",
    "outputs",
];

/// A table that grows by rows.
#[derive(Default)]
pub(super) struct Table(Vec<Value>);

impl Table {
    /// Whether it shows no more.
    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= ROWS_MAX
    }

    /// Adds an item, if there is room.
    pub(super) fn add(&mut self, item: &Execution) {
        if self.is_full() {
            return;
        }
        let report = item.report.as_ref();
        let shown = |fields: &queue::Fields| {
            cut(&serde_json::to_string(fields).unwrap_or_default(), CHARS_MAX)
        };
        self.0.push(json!([
            item.id.item_of().map(|(_, index)| index),
            item.custom_id,
            item.id.to_string(),
            item.state.as_str(),
            item.state == State::Succeeded,
            item.run_time.map(|it| it.as_secs_f64()),
            report.and_then(|it| it.failure.as_ref()).map(|it| cut(&it.message, CHARS_MAX)),
            shown(&item.inputs),
            report.and_then(|it| it.outputs.as_ref()).map(shown),
        ]));
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        json!({ "columns": COLUMNS, "data": self.0 }).to_string().into_bytes()
    }
}

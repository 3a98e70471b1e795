//! One item of a batch, from one line of an upload.

use queue::{BatchItem, CustomIds, Fields};
use serde_json::Value;

use crate::{
    accept::{Plan, not_run},
    ndjson::Line,
};

/// The longest name that a client may give to an item.
const CUSTOM_ID_BYTES_MAX: usize = 512;

/// Makes items of lines, as a batch's plan says.
pub(crate) struct Items {
    plan: Plan,
    line_bytes_max: usize,
    /// Whether `{"custom_id": …, "inputs": {…}}` is about an item, and not the item's inputs.
    wraps: bool,
    /// Whether `custom_id` among the inputs is the item's name, and not an input.
    names: bool,
    /// What a line number is followed by.
    place: String,
}

impl Items {
    /// Items of a batch. The place is what a line number is followed by in messages.
    pub(crate) fn new(plan: Plan, line_bytes_max: usize, place: String) -> Self {
        let names = !plan.has_input("custom_id");
        let wraps = names || !plan.has_input("inputs");
        Self { plan, line_bytes_max, wraps, names, place }
    }

    /// What a line asks for. One that cannot be run fails, and says in which line it stands.
    pub(crate) fn item(&self, line: &Line<'_>) -> BatchItem {
        let mut item = match self.read(line) {
            Ok((custom_id, inputs)) => {
                BatchItem { custom_id, ..self.plan.item(Value::Object(inputs)) }
            }
            Err((custom_id, message)) => BatchItem { custom_id, ..not_run(Fields::new(), message) },
        };
        if let Some(failure) = &mut item.invalid {
            failure.message = self.at(line.number, &failure.message);
        }
        item
    }

    /// Lets items fail whose name was used before, and forgets in which lines they stood. The
    /// first has the index `first`.
    pub(crate) fn name_once(
        &self,
        names: &mut CustomIds,
        first: u32,
        piece: Vec<(u64, BatchItem)>,
    ) -> Vec<BatchItem> {
        let named = (first..).zip(piece).map(|(index, (number, mut item))| {
            let used = item.custom_id.as_deref().and_then(|name| names.insert(name, index));
            if let Some(used) = used {
                self.refuse_name(&mut item, number, used);
            }
            item
        });
        named.collect()
    }

    fn refuse_name(&self, item: &mut BatchItem, number: u64, first: u32) {
        let name = item.custom_id.take().unwrap_or_default();
        let message = format!("`custom_id` {name:?} is that of item {first} already");
        let refused = not_run(std::mem::take(&mut item.inputs), self.at(number, &message));
        *item = BatchItem { custom_id: Some(name), ..refused };
    }

    fn at(&self, number: u64, message: &str) -> String {
        format!("{message} (line {number}{})", self.place)
    }

    /// The name and the inputs that a line gives; else the name and what is wrong.
    fn read(&self, line: &Line<'_>) -> Result<(Option<String>, Fields), (Option<String>, String)> {
        let refuse = |message: String| (None, message);
        let text = line.text.ok_or_else(|| {
            refuse(format!("the line has more than {} bytes", self.line_bytes_max))
        })?;
        let text = std::str::from_utf8(text)
            .map_err(|error| refuse(format!("the line is not UTF-8: {error}")))?;
        let value = serde_json::from_str(text)
            .map_err(|error| refuse(format!("the line is not valid JSON: {}", reason(&error))))?;
        let Value::Object(mut fields) = value else {
            return Err(refuse("the line is not a JSON object".to_owned()));
        };
        if self.wraps
            && fields.len() == 2
            && fields.contains_key("custom_id")
            && let Some(inputs) = fields.shift_remove("inputs")
        {
            let custom_id = fields.shift_remove("custom_id").map(name).transpose();
            let custom_id = custom_id.map_err(refuse)?;
            let Value::Object(inputs) = inputs else {
                return Err((custom_id, "`inputs` is not a JSON object".to_owned()));
            };
            return Ok((custom_id, inputs));
        }
        let custom_id = if self.names { fields.shift_remove("custom_id") } else { None };
        Ok((custom_id.map(name).transpose().map_err(refuse)?, fields))
    }
}

/// A name as a client gives it.
fn name(value: Value) -> Result<String, String> {
    if let Value::String(name) = value
        && (1..=CUSTOM_ID_BYTES_MAX).contains(&name.len())
    {
        return Ok(name);
    }
    Err(format!("`custom_id` is a string of 1 to {CUSTOM_ID_BYTES_MAX} bytes"))
}

/// What is wrong with JSON that is one line: the column is place enough.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.split_once(" at line ").map_or(text.as_str(), |(text, _)| text);
    format!("{text} at column {}", error.column())
}

//! How a signature is written and read: `adapter: chat`, or `{type: chat, json_fallback: false}`.

use dspy::{Adapter, FunctionCalling};

use super::{
    model,
    nearest::unknown,
    spot::{Spot, Table},
};
use crate::LoadError;

const KEYS: [&str; 5] =
    ["type", "json_fallback", "native_function_calling", "parallel_tool_calls", "extraction_model"];

const KINDS: [&str; 5] = ["chat", "json", "xml", "baml", "two_step"];

/// How a second model is named.
const WRITE_SECOND: &str =
    "write `adapter: {type: two_step, extraction_model: openai/gpt-4o-mini}`";

/// The adapter of a signature, or of a file.
pub(super) fn read(table: &Table<'_>) -> Result<Option<Adapter>, LoadError> {
    let Some(spot) = table.get("adapter") else { return Ok(None) };
    if !spot.is_table() {
        return kind(&spot, spot.text()?).map(Some);
    }
    let word = spot.tag("type", "write which adapter it is, as `type: chat`")?;
    let table = spot.table(&KEYS)?;
    let mut adapter = match word.text()? {
        "two_step" => {
            let second = table.need("extraction_model", WRITE_SECOND)?;
            Adapter::two_step(model::of_second(&second)?)
        }
        other => kind(&word, other)?,
    };
    if let (Some(spot), false) =
        (table.get("extraction_model"), matches!(adapter, Adapter::TwoStep { .. }))
    {
        return Err(spot.fail("is an option of `two_step`", "remove it"));
    }
    fallback(&table, &mut adapter)?;
    calling(&table, &mut adapter)?;
    Ok(Some(adapter))
}

fn kind(spot: &Spot<'_>, word: &str) -> Result<Adapter, LoadError> {
    match word {
        "chat" => Ok(Adapter::chat(true)),
        "json" => Ok(Adapter::json()),
        "xml" => Ok(Adapter::xml(true)),
        "baml" => Ok(Adapter::baml()),
        "two_step" => Err(spot.fail("two steps need a second model", WRITE_SECOND)),
        word => Err(unknown(spot, "adapter", word, &KINDS)),
    }
}

fn fallback(table: &Table<'_>, adapter: &mut Adapter) -> Result<(), LoadError> {
    let Some(spot) = table.get("json_fallback") else { return Ok(()) };
    match adapter {
        Adapter::Chat { json_fallback, .. } | Adapter::Xml { json_fallback, .. } => {
            *json_fallback = spot.bool()?;
        }
        Adapter::Json { .. } | Adapter::Baml { .. } | Adapter::TwoStep { .. } => {
            return Err(spot.fail("is an option of `chat` and `xml`", "remove it"));
        }
    }
    Ok(())
}

fn calling(table: &Table<'_>, adapter: &mut Adapter) -> Result<(), LoadError> {
    let native = table.get("native_function_calling").map(|it| it.bool()).transpose()?;
    let parallel = table.get("parallel_tool_calls").map(|it| it.bool()).transpose()?;
    let calling = match adapter {
        Adapter::Chat { calling, .. }
        | Adapter::Json { calling }
        | Adapter::Xml { calling, .. }
        | Adapter::Baml { calling }
        | Adapter::TwoStep { calling, .. } => calling,
    };
    *calling = FunctionCalling {
        native: native.unwrap_or(calling.native),
        parallel: parallel.or(calling.parallel),
    };
    Ok(())
}

//! How a signature is written and read: `adapter: chat`, or `{type: chat, json_fallback: false}`.

use dspy::{Adapter, FunctionCalling};

use super::{
    nearest::unknown,
    signature::WRITE_PYTHON,
    spot::{Spot, Table},
};
use crate::LoadError;

const KEYS: [&str; 4] = ["type", "json_fallback", "native_function_calling", "parallel_tool_calls"];

const KINDS: [&str; 2] = ["chat", "json"];

/// Adapters of DSPy's that the native engine has not.
const PYTHON_KINDS: [&str; 3] = ["xml", "baml", "two_step"];

/// The adapter of a signature, or of a file.
pub(super) fn read(table: &Table<'_>) -> Result<Option<Adapter>, LoadError> {
    let Some(spot) = table.get("adapter") else { return Ok(None) };
    if !spot.is_table() {
        return kind(&spot, spot.text()?).map(Some);
    }
    let word = spot.tag("type", "write which adapter it is, as `type: chat`")?;
    let mut adapter = kind(&word, word.text()?)?;
    let table = spot.table(&KEYS)?;
    fallback(&table, &mut adapter)?;
    calling(&table, &mut adapter)?;
    Ok(Some(adapter))
}

fn kind(spot: &Spot<'_>, word: &str) -> Result<Adapter, LoadError> {
    match word {
        "chat" => Ok(Adapter::chat(true)),
        "json" => Ok(Adapter::json()),
        word if PYTHON_KINDS.contains(&word) => {
            let problem = format!("the native engine does not have the adapter `{word}`");
            Err(spot.fail(problem, WRITE_PYTHON))
        }
        word => Err(unknown(spot, "adapter", word, &KINDS)),
    }
}

fn fallback(table: &Table<'_>, adapter: &mut Adapter) -> Result<(), LoadError> {
    let Some(spot) = table.get("json_fallback") else { return Ok(()) };
    match adapter {
        Adapter::Chat { json_fallback, .. } => *json_fallback = spot.bool()?,
        Adapter::Json { .. } => return Err(spot.fail("is an option of `chat`", "remove it")),
    }
    Ok(())
}

fn calling(table: &Table<'_>, adapter: &mut Adapter) -> Result<(), LoadError> {
    let native = table.get("native_function_calling").map(|it| it.bool()).transpose()?;
    let parallel = table.get("parallel_tool_calls").map(|it| it.bool()).transpose()?;
    let calling = match adapter {
        Adapter::Chat { calling, .. } | Adapter::Json { calling } => calling,
    };
    *calling = FunctionCalling {
        native: native.unwrap_or(calling.native),
        parallel: parallel.or(calling.parallel),
    };
    Ok(())
}

//! The model of embeddings of a module: its name, or where it is too.

use dspy::LmEndpoint;

use super::{model, spot::Spot};
use crate::{EmbedderConfig, LoadError};

const KEYS: [&str; 3] = ["model", "api_base", "api_key_env"];

/// The model of embeddings that is written here.
pub(super) fn read(spot: &Spot<'_>) -> Result<EmbedderConfig, LoadError> {
    if !spot.is_table() && !spot.is_list() {
        let model = spot.text()?.to_owned();
        return Ok(EmbedderConfig { model, endpoint: LmEndpoint::default() });
    }
    let table = spot.table(&KEYS)?;
    let named = table.need("model", "name it: `model: openai/text-embedding-3-small`")?;
    Ok(EmbedderConfig { model: named.text()?.to_owned(), endpoint: model::endpoint(&table)? })
}

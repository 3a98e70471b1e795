//! The model of embeddings of a module: its name, or where it is too.

use super::{model, spot::Spot};
use crate::{EmbedderConfig, LoadError};

const KEYS: [&str; 3] = ["model", "api_base", "api_key_env"];

/// The model of embeddings that is written here.
pub(super) fn read(spot: &Spot<'_>) -> Result<EmbedderConfig, LoadError> {
    if !spot.is_table() && !spot.is_list() {
        let model = spot.text()?.to_owned();
        return Ok(EmbedderConfig { model, api_base: None, api_key_env: None });
    }
    let table = spot.table(&KEYS)?;
    let named = table.need("model", "name it: `model: openai/text-embedding-3-small`")?;
    Ok(EmbedderConfig {
        model: named.text()?.to_owned(),
        api_base: table.get("api_base").map(|it| model::api_base(&it)).transpose()?,
        api_key_env: table.get("api_key_env").map(|it| model::api_key_env(&it)).transpose()?,
    })
}

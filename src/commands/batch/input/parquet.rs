//! Inputs from a Parquet file: a row is an item, with the types of its columns.

use std::fs::File;

use anyhow::{Context, Result};
use parquet::file::serialized_reader::SerializedFileReader;
use serde_json::Value;

use super::{CUSTOM_ID, Lines, item};
use crate::config::Usage;

/// The items of a file.
pub(super) fn items(file: File) -> Result<Lines> {
    let reader = SerializedFileReader::new(file);
    let reader = reader.context(Usage("this is no Parquet file".to_owned()))?;
    let rows = reader.into_iter().map(|row| {
        let row = row.context("the Parquet file cannot be read")?;
        let Value::Object(mut inputs) = row.to_json_value() else {
            return item(serde_json::Map::new(), false);
        };
        // A column has a value in every row; a null is one that is not there.
        inputs.retain(|_, value| !value.is_null());
        let named = inputs.contains_key(CUSTOM_ID);
        item(inputs, named)
    });
    Ok(Box::new(rows))
}

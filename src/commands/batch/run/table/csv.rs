//! A table of comma-separated values (RFC 4180). What is not a text is written as JSON.

use std::{fs::File, io::BufWriter};

use anyhow::Result;
use csv::Writer;
use serde_json::Value;

use super::{Column, text};

/// Writes the rows below a row of names.
pub(super) fn write(
    columns: &[Column],
    outcomes: impl Iterator<Item = Result<Value>>,
    file: File,
) -> Result<()> {
    let mut writer = Writer::from_writer(BufWriter::new(file));
    writer.write_record(columns.iter().map(|it| it.name.as_str()))?;
    for outcome in outcomes {
        let outcome = outcome?;
        let cells = columns.iter().map(|it| text(it.value(&outcome)).unwrap_or_default());
        writer.write_record(cells)?;
    }
    Ok(writer.flush()?)
}

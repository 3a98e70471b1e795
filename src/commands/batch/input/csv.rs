//! Inputs from a table of comma-separated values, with a row of names above (RFC 4180).

use std::io::Read;

use anyhow::{Context, Result};
use csv::{ReaderBuilder, StringRecord};
use serde_json::Map;

use super::{Columns, Lines, item};
use crate::config::Usage;

/// The items of a table.
pub(super) fn items(reader: Box<dyn Read + Send>, columns: Columns) -> Result<Lines> {
    let mut reader = ReaderBuilder::new().from_reader(reader);
    let names = reader.headers().context(Usage("the CSV has no row of names".to_owned()))?;
    let names: Vec<String> = names.iter().map(|it| it.trim().to_owned()).collect();
    let rows = reader.into_records().map(move |row| {
        let row: StringRecord = row.context("the CSV cannot be read")?;
        let mut inputs = Map::new();
        for (name, cell) in names.iter().zip(&row) {
            columns.add(name, cell, &mut inputs);
        }
        item(inputs, columns.names_items())
    });
    Ok(Box::new(rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_items() {
        let text = "custom_id,text\n a1,\"two\nlines, \"\"quoted\"\"\"\n,x\n";
        let rows = items(Box::new(text.as_bytes()), Columns::default()).unwrap();
        let rows: Vec<String> = rows.map(|it| String::from_utf8(it.unwrap()).unwrap()).collect();
        assert_eq!(
            rows,
            [
                r#"{"custom_id":" a1","inputs":{"text":"two\nlines, \"quoted\""}}"#,
                r#"{"inputs":{"text":"x"}}"#
            ]
        );
    }

    #[test]
    fn row_that_is_too_short_is_told_with_its_line() {
        let rows = items(Box::new(&b"a,b\n1,2\n3\n"[..]), Columns::default()).unwrap();
        let error = rows.last().unwrap().unwrap_err();
        assert!(format!("{error:#}").contains("line: 3"), "{error:#}");
    }
}

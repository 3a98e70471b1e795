//! Outcomes as a table, once all are there: a row for each item, a column for each output.

mod csv;
mod parquet;

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use anyhow::{Context, Result};
use serde_json::{Map, Value};

use crate::output;

/// The columns of every table, before and behind those of the outputs.
const BEFORE: [&str; 3] = ["index", "custom_id", "status"];
const BEHIND: [&str; 2] = ["error", "error_kind"];
/// What is put before the name of an output that is called as one of them.
const PREFIX: &str = "output_";

/// A kind of table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Table {
    Csv,
    Parquet,
}

/// What all values of a column are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Type {
    Bool,
    Int,
    Float,
    /// Texts as they are, and all else as JSON.
    Text,
}

/// A column of a table.
#[derive(Clone, PartialEq, Debug)]
struct Column {
    name: String,
    /// The output that it shows; none for what is told of every item.
    output: Option<String>,
    /// None while no value was seen.
    kind: Option<Type>,
}

impl Column {
    fn value<'a>(&self, outcome: &'a Value) -> &'a Value {
        let found = match &self.output {
            Some(output) => outcome.get("outputs").and_then(|it| it.get(output)),
            None => outcome.get(&self.name),
        };
        found.unwrap_or(&Value::Null)
    }
}

/// Makes a table of lines of outcomes.
pub(super) fn write(table: Table, lines: &Path, to: &Path) -> Result<()> {
    let columns = columns(outcomes(lines)?)?;
    let file = File::create(to).with_context(|| format!("cannot write {}", to.display()))?;
    match table {
        Table::Csv => csv::write(&columns, outcomes(lines)?, file),
        Table::Parquet => parquet::write(&columns, outcomes(lines)?, file),
    }
}

fn outcomes(lines: &Path) -> Result<impl Iterator<Item = Result<Value>>> {
    let file = File::open(lines).with_context(|| format!("cannot read {}", lines.display()))?;
    let lines = BufReader::new(file).lines();
    Ok(lines.map(|line| serde_json::from_str(&line?).context("an outcome is not JSON")))
}

/// The columns that all outcomes together have, outputs in the order in which they appear.
fn columns(outcomes: impl Iterator<Item = Result<Value>>) -> Result<Vec<Column>> {
    let mut outputs: Map<String, Value> = Map::new();
    let mut kinds: Vec<Option<Type>> = Vec::new();
    for outcome in outcomes {
        let outcome = outcome?;
        let Some(fields) = outcome.get("outputs").and_then(Value::as_object) else { continue };
        for (name, value) in fields {
            let at = outputs.keys().position(|it| it == name).unwrap_or(outputs.len());
            if at == outputs.len() {
                outputs.insert(name.clone(), Value::Null);
                kinds.push(None);
            }
            kinds[at] = joined(kinds[at], value);
        }
    }
    let plain = |name: &str| {
        let kind = if name == "index" { Type::Int } else { Type::Text };
        Column { name: name.to_owned(), output: None, kind: Some(kind) }
    };
    let outputs = outputs.keys().zip(kinds).map(|(output, kind)| {
        let taken = BEFORE.iter().chain(&BEHIND).any(|it| it == output);
        let name = format!("{}{output}", if taken { PREFIX } else { "" });
        Column { name, output: Some(output.clone()), kind }
    });
    Ok(BEFORE.map(plain).into_iter().chain(outputs).chain(BEHIND.map(plain)).collect())
}

/// The type of a column that has held values of one type, and now holds another value.
fn joined(kind: Option<Type>, value: &Value) -> Option<Type> {
    let of_value = match value {
        Value::Null => return kind,
        Value::Bool(_) => Type::Bool,
        Value::Number(number) if number.is_i64() => Type::Int,
        Value::Number(_) => Type::Float,
        Value::String(_) | Value::Array(_) | Value::Object(_) => Type::Text,
    };
    match (kind, of_value) {
        (None, new) => Some(new),
        (Some(old), new) if old == new => Some(old),
        (Some(Type::Int | Type::Float), Type::Int | Type::Float) => Some(Type::Float),
        _ => Some(Type::Text),
    }
}

/// A value as a text; nothing for null.
fn text(value: &Value) -> Option<String> {
    (!value.is_null()).then(|| output::plain(value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::input::Columns, *};

    #[test]
    fn columns_are_those_of_all_items_with_what_all_their_values_are() {
        let outcomes = [
            json!({"index": 0, "outputs": {"n": 1, "ok": true, "status": "x"}}),
            json!({"index": 1, "outputs": null}),
            json!({"index": 2, "outputs": {"n": 1.5, "ok": "no", "more": null}}),
        ];

        let columns = columns(outcomes.into_iter().map(Ok)).unwrap();

        let found: Vec<(&str, Option<Type>)> =
            columns.iter().map(|it| (it.name.as_str(), it.kind)).collect();
        let outputs = [
            ("n", Some(Type::Float)),
            ("ok", Some(Type::Text)),
            ("output_status", Some(Type::Text)),
            ("more", None),
        ];
        assert_eq!(found[3..7], outputs);
        assert_eq!((found[0].0, found[8].0), ("index", "error_kind"));
    }

    #[test]
    fn table_can_be_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let [lines, csv, parquet] = ["l", "t.csv", "t.parquet"].map(|it| folder.path().join(it));
        let outcomes = [
            json!({"index": 0, "custom_id": "a", "status": "succeeded",
                "outputs": {"text": "x, \"y\"\nz", "n": 7, "ok": true, "list": [1, "b"]}}),
            json!({"index": 1, "status": "failed", "error": "no", "error_kind": "timeout"}),
        ];
        std::fs::write(&lines, outcomes.map(|it| it.to_string() + "\n").concat()).unwrap();

        write(Table::Csv, &lines, &csv).unwrap();
        write(Table::Parquet, &lines, &parquet).unwrap();

        assert_eq!(
            std::fs::read_to_string(csv).unwrap(),
            "index,custom_id,status,text,n,ok,list,error,error_kind\n\
             0,a,succeeded,\"x, \"\"y\"\"\nz\",7,true,\"[1,\"\"b\"\"]\",,\n\
             1,,failed,,,,,no,timeout\n"
        );
        let rows = crate::commands::batch::input::open(&parquet, Columns::default()).unwrap();
        let rows: Vec<Value> =
            rows.map(|it| serde_json::from_slice(&it.unwrap()).unwrap()).collect();
        let first = json!({"index": 0, "status": "succeeded", "text": "x, \"y\"\nz", "n": 7,
            "ok": true, "list": "[1,\"b\"]"});
        assert_eq!(rows[0], json!({"custom_id": "a", "inputs": first}));
        let second =
            json!({"index": 1, "status": "failed", "error": "no", "error_kind": "timeout"});
        assert_eq!(rows[1], json!({"inputs": second}));
    }
}

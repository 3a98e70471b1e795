//! How the cells of a table become inputs: by the JSON Schema of what the program takes.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::CUSTOM_ID;

/// The columns that a program knows.
#[derive(Clone, Debug, Default)]
pub(in crate::commands::batch) struct Columns {
    known: BTreeMap<String, Column>,
}

#[derive(Clone, Copy, Debug)]
struct Column {
    /// Whether a cell is a text as it stands, and not JSON.
    is_text: bool,
    is_required: bool,
}

impl Columns {
    /// The columns of a program, as the API shows it.
    pub(in crate::commands::batch) fn of(program: &Value) -> Self {
        let schema = program.get("input_schema");
        let properties = schema.and_then(|it| it.get("properties")).and_then(Value::as_object);
        let required = schema.and_then(|it| it.get("required")).and_then(Value::as_array);
        let is_required =
            |name: &str| required.is_some_and(|all| all.iter().any(|it| it.as_str() == Some(name)));
        let column = |(name, schema): (&String, &Value)| {
            let column = Column { is_text: is_text(schema), is_required: is_required(name) };
            (name.clone(), column)
        };
        Self { known: properties.into_iter().flatten().map(column).collect() }
    }

    /// Whether the column of names is one, and not an input.
    pub(super) fn names_items(&self) -> bool {
        !self.known.contains_key(CUSTOM_ID)
    }

    /// Adds a cell to the inputs. An empty one is left out, if the program can do without it.
    pub(super) fn add(&self, name: &str, cell: &str, inputs: &mut Map<String, Value>) {
        let column = self.known.get(name);
        let Column { is_text, is_required } =
            column.copied().unwrap_or(Column { is_text: true, is_required: false });
        if cell.is_empty() && !(is_text && is_required) {
            return;
        }
        // What is no JSON goes as it stands: the server says what it should have been.
        let read = if is_text { None } else { serde_json::from_str(cell).ok() };
        inputs.insert(name.to_owned(), read.unwrap_or_else(|| Value::from(cell)));
    }
}

/// Whether texts are what a schema describes, perhaps among other things.
fn is_text(schema: &Value) -> bool {
    let any = ["anyOf", "oneOf"].iter().find_map(|it| schema.get(*it)?.as_array());
    if let Some(all) = any {
        return all.iter().any(is_text);
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        return words.iter().all(Value::is_string);
    }
    match schema.get("type") {
        Some(Value::String(kind)) => kind == "string",
        Some(Value::Array(kinds)) => kinds.iter().any(|it| it == "string"),
        _ => schema.get("const").is_some_and(Value::is_string),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cells_are_read_as_the_program_takes_them() {
        let columns = Columns::of(&json!({"input_schema": {"required": ["text", "tags"],
            "properties": {"text": {"type": "string"}, "tags": {"type": "array"},
                "tone": {"enum": ["a", "b"]}, "limit": {"anyOf": [{"type": "integer"},
                {"type": "null"}]}}}}));
        let mut inputs = Map::new();
        for (name, cell) in
            [("text", "12"), ("tags", "[1]"), ("tone", ""), ("limit", "7"), ("else", "3")]
        {
            columns.add(name, cell, &mut inputs);
        }
        columns.add("limit", "many", &mut inputs);

        let read = json!({"text": "12", "tags": [1], "limit": "many", "else": "3"});
        assert_eq!(Value::Object(inputs), read);
    }

    #[test]
    fn empty_text_is_given_where_one_is_required() {
        let columns = Columns::of(&json!({"input_schema": {"required": ["a"],
            "properties": {"a": {"type": "string"}, "b": {"type": "string"}}}}));
        let mut inputs = Map::new();
        columns.add("a", "", &mut inputs);
        columns.add("b", "", &mut inputs);
        assert_eq!(Value::Object(inputs), json!({"a": ""}));
    }
}

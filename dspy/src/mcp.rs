//! Tools of MCP servers, as `dspy.utils.mcp` makes them: their arguments, and what they gave.
//!
//! Knows no transport: a server's answers come here as JSON.

use serde_json::{Map, Value};

use crate::{Tool, ToolError, python};

/// How deep and how large the schema of an argument may become once its references are resolved.
const DEPTH_MAX: usize = 64;
const NODES_MAX: usize = 20_000;

impl Tool {
    /// A tool of an MCP server. Its wrapper in the package takes any arguments, so this does too.
    pub fn from_mcp(
        name: &str,
        desc: Option<&str>,
        input_schema: &Map<String, Value>,
    ) -> Result<Self, ToolError> {
        let none = Map::new();
        let properties = input_schema.get("properties").and_then(Value::as_object);
        let definitions = input_schema.get("$defs").and_then(Value::as_object).unwrap_or(&none);
        let mut nodes = 0;
        let mut args = Map::new();
        for (arg, schema) in properties.unwrap_or(&none) {
            let schema = if definitions.is_empty() {
                schema.clone()
            } else {
                let why = |it: String| ToolError(format!("the tool `{name}` of a server: {it}"));
                resolved(schema, definitions, 0, &mut nodes).map_err(why)?
            };
            args.insert(arg.clone(), schema);
        }
        let (name, desc) = (name.to_owned(), desc.unwrap_or_default().to_owned());
        Ok(Self { name, desc, args, has_kwargs: true })
    }
}

/// A schema with what it refers to in the place of its references. What stands beside a reference
/// is dropped, as in the package.
fn resolved(
    schema: &Value,
    definitions: &Map<String, Value>,
    depth: usize,
    nodes: &mut usize,
) -> Result<Value, String> {
    *nodes += 1;
    if depth > DEPTH_MAX || *nodes > NODES_MAX {
        return Err("the schema of its arguments refers to itself, or is too large".to_owned());
    }
    match schema {
        Value::Object(fields) => match fields.get("$ref").and_then(Value::as_str) {
            Some(path) => {
                let name = path.rsplit('/').next().unwrap_or(path);
                let target = definitions.get(name);
                let target = target.ok_or_else(|| format!("its schema has no `{path}`"))?;
                resolved(target, definitions, depth + 1, nodes)
            }
            None => fields
                .iter()
                .map(|(key, it)| Ok((key.clone(), resolved(it, definitions, depth + 1, nodes)?)))
                .collect::<Result<Map<_, _>, _>>()
                .map(Value::Object),
        },
        Value::Array(items) => {
            items.iter().map(|it| resolved(it, definitions, depth + 1, nodes)).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(schema.clone()),
    }
}

/// What a tool of an MCP server gave, of the content of its answer: the text, or the list of
/// several texts, or what else there is where there is no text.
pub fn mcp_result(content: &[Value], is_error: bool) -> Result<Value, ToolError> {
    let is_text = |it: &&Value| it["type"] == "text";
    let texts = content.iter().filter(is_text).map(|it| it["text"].as_str().unwrap_or_default());
    let texts: Vec<String> = texts.map(str::to_owned).collect();
    if is_error {
        let said = match &*texts {
            [one] => one.clone(),
            several => python::repr::str_list(several),
        };
        return Err(ToolError(format!("Failed to call a MCP tool: {said}")));
    }
    match &*texts {
        [one] if !one.is_empty() => Ok(one.as_str().into()),
        [] | [_] => Ok(content.iter().filter(|it| !is_text(it)).cloned().collect()),
        several => Ok(several.into()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn args(schema: &Value) -> Result<Value, ToolError> {
        let tool = Tool::from_mcp("search", Some("Finds"), schema.as_object().unwrap())?;
        assert_eq!((&*tool.name, &*tool.desc, tool.has_kwargs), ("search", "Finds", true));
        Ok(json!(tool.args))
    }

    #[test]
    fn arguments_are_the_properties_of_the_schema_as_they_are() {
        let plain = json!({"type": "object", "required": ["q"], "properties": {
            "q": {"type": "string", "description": "What"},
            "n": {"type": "integer", "default": 5}}});
        assert_eq!(args(&plain).unwrap(), plain["properties"]);
        assert_eq!(args(&json!({"type": "object"})).unwrap(), json!({}));
        let elsewhere = json!({"definitions": {"P": {"type": "string"}},
            "properties": {"p": {"$ref": "#/definitions/P"}}});
        assert_eq!(args(&elsewhere).unwrap(), elsewhere["properties"]);
    }

    #[test]
    fn references_are_resolved_and_what_stands_beside_them_is_dropped() {
        let schema = json!({
            "$defs": {"P": {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}},
                "A": {"type": "string"}},
            "properties": {
                "p": {"$ref": "#/$defs/P", "description": "lost"},
                "list": {"type": "array", "items": {"$ref": "#/$defs/A"}, "anyOf": [{"$ref": "A"}]},
            },
        });
        let p = json!({"type": "object", "properties": {"a": {"type": "string"}}});
        let list = json!({"type": "array", "items": {"type": "string"},
            "anyOf": [{"type": "string"}]});
        assert_eq!(args(&schema).unwrap(), json!({"p": p, "list": list}));
    }

    #[test]
    fn a_schema_that_has_no_end_is_refused() {
        let looped = json!({"$defs": {"P": {"items": {"$ref": "#/$defs/P"}}},
            "properties": {"p": {"$ref": "#/$defs/P"}}});
        let missing = json!({"$defs": {"P": {}}, "properties": {"p": {"$ref": "#/$defs/Q"}}});
        assert!(args(&looped).unwrap_err().0.contains("refers to itself"));
        assert!(args(&missing).unwrap_err().0.contains("has no `#/$defs/Q`"));
    }

    #[test]
    fn a_result_is_its_text_or_its_texts_or_what_else_there_is() {
        let text = |it: &str| json!({"type": "text", "text": it});
        let image = json!({"type": "image", "data": "aGk=", "mimeType": "image/png"});
        let given = |content: &[Value]| mcp_result(content, false).unwrap();

        assert_eq!(given(&[text("one")]), json!("one"));
        assert_eq!(given(&[text("one"), image.clone()]), json!("one"));
        assert_eq!(given(&[text("one"), text("two")]), json!(["one", "two"]));
        assert_eq!(given(std::slice::from_ref(&image)), json!([image]));
        assert_eq!(given(&[]), json!([]));
        assert_eq!(given(&[text("")]), json!([]));
        assert_eq!(given(&[text(""), text("")]), json!(["", ""]));
    }

    #[test]
    fn an_error_says_what_the_package_says() {
        let text = |it: &str| json!({"type": "text", "text": it});
        let said = |content: &[Value]| mcp_result(content, true).unwrap_err().0;

        assert_eq!(said(&[text("boom")]), "Failed to call a MCP tool: boom");
        assert_eq!(said(&[text("it's"), text("b")]), "Failed to call a MCP tool: [\"it's\", 'b']");
        assert_eq!(said(&[]), "Failed to call a MCP tool: []");
    }
}

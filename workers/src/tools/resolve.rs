//! Schemas of an OpenAPI description with what they refer to in the place of their references.

use dspy::ToolError;
use serde_json::{Map, Value, json};

/// How deep and how large a schema may become.
const DEPTH_MAX: usize = 48;
const NODES_MAX: usize = 20_000;

/// Resolves the references of one description.
pub(super) struct Resolver<'a> {
    document: &'a Value,
    nodes: usize,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(document: &'a Value) -> Self {
        Self { document, nodes: 0 }
    }

    /// What stands at a place of the description, be it there or somewhere else in it.
    pub(super) fn target(&self, mut value: &'a Value) -> Result<&'a Value, ToolError> {
        for _ in 0..DEPTH_MAX {
            let Some(path) = value.get("$ref").and_then(Value::as_str) else { return Ok(value) };
            value = self.at(path)?;
        }
        Err(ToolError("the description refers to itself".to_owned()))
    }

    /// A schema on its own. One that refers to itself ends where it would begin again.
    pub(super) fn schema(&mut self, value: &'a Value) -> Result<Value, ToolError> {
        self.expand(value, &mut Vec::new())
    }

    fn expand(&mut self, value: &'a Value, path: &mut Vec<&'a str>) -> Result<Value, ToolError> {
        self.nodes += 1;
        if self.nodes > NODES_MAX || path.len() > DEPTH_MAX {
            return Err(ToolError("the schemas of the description are too large".to_owned()));
        }
        match value {
            Value::Object(fields) => {
                let Some(reference) = fields.get("$ref").and_then(Value::as_str) else {
                    let each = fields.iter();
                    let each = each.map(|(key, it)| Ok((key.clone(), self.expand(it, path)?)));
                    return each.collect::<Result<Map<_, _>, _>>().map(Value::Object);
                };
                let target = self.at(reference)?;
                if path.contains(&reference) {
                    let kind = target.get("type").cloned().unwrap_or_else(|| "object".into());
                    return Ok(json!({"type": kind}));
                }
                path.push(reference);
                let expanded = self.expand(target, path);
                path.pop();
                expanded
            }
            Value::Array(items) => items.iter().map(|it| self.expand(it, path)).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(value.clone()),
        }
    }

    fn at(&self, reference: &str) -> Result<&'a Value, ToolError> {
        let found = reference.strip_prefix('#').and_then(|it| self.document.pointer(it));
        found.ok_or_else(|| ToolError(format!("the description has no `{reference}`")))
    }
}

//! Tools that an agent may call, whoever runs them.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{Fields, python::repr};

/// A tool, as the model is told of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it does; may be empty.
    pub desc: String,
    /// The JSON Schema of each argument, in order.
    pub args: Map<String, Value>,
    /// Whether it takes arguments of other names too, as they come.
    #[serde(default)]
    pub has_kwargs: bool,
}

impl Tool {
    /// What a model that calls functions natively is told of it.
    pub(crate) fn function(&self) -> Value {
        let is_required = |(_, schema): &(&String, &Value)| schema.get("default").is_none();
        let required: Vec<_> = self.args.iter().filter(is_required).map(|it| it.0).collect();
        let parameters = json!({"type": "object", "properties": self.args, "required": required});
        let description = Some(&self.desc).filter(|it| !it.is_empty());
        json!({
            "type": "function",
            "function": {"name": self.name, "description": description, "parameters": parameters},
        })
    }
}

/// What a model is told of it in a prompt.
impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, desc, args, has_kwargs: _ } = self;
        let args = repr::repr(&(&Value::Object(args.clone())).into());
        match desc.replace('\n', "  ") {
            desc if desc.is_empty() => write!(f, "{name}. It takes arguments {args}."),
            desc => write!(
                f,
                "{name}, whose description is <desc>{desc}</desc>. It takes arguments {args}."
            ),
        }
    }
}

/// The tools of a program. They come from sources, each of which may give several: a source is
/// one tool, or a server of many.
#[async_trait]
pub trait Tools: Send + Sync {
    /// The tools of these sources, in that order.
    async fn list(&self, sources: &[String]) -> Result<Vec<Tool>, ToolError>;

    /// What a tool of these sources gives. An error is told to the model, which may try
    /// something else.
    async fn call(&self, sources: &[String], name: &str, args: &Fields)
    -> Result<Value, ToolError>;
}

/// Why a tool gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ToolError(pub String);

/// No tools at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTools;

#[async_trait]
impl Tools for NoTools {
    async fn list(&self, sources: &[String]) -> Result<Vec<Tool>, ToolError> {
        match sources {
            [] => Ok(Vec::new()),
            [source, ..] => Err(ToolError(format!("the program has no tools `{source}`"))),
        }
    }

    async fn call(
        &self,
        _sources: &[String],
        name: &str,
        _args: &Fields,
    ) -> Result<Value, ToolError> {
        Err(ToolError(format!("there is no tool `{name}`")))
    }
}

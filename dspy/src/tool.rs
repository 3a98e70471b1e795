//! Tools that an agent may call, whoever runs them.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Fields;

/// A tool, as the model is told of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it does.
    pub desc: String,
    /// The JSON Schema of each argument, in order.
    pub args: Map<String, Value>,
}

/// The tools of a program.
#[async_trait]
pub trait Tools: Send + Sync {
    /// All of them, in the order in which the model is told.
    async fn list(&self) -> Result<Vec<Tool>, ToolError>;

    /// What a tool gives. An error is told to the model, which may try something else.
    async fn call(&self, name: &str, args: &Fields) -> Result<Value, ToolError>;
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
    async fn list(&self) -> Result<Vec<Tool>, ToolError> {
        Ok(Vec::new())
    }

    async fn call(&self, name: &str, _args: &Fields) -> Result<Value, ToolError> {
        Err(ToolError(format!("there is no tool `{name}`")))
    }
}

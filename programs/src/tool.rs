//! The tools that a program's agents may call, and where they are.

use std::{collections::BTreeMap, time::Duration};

use dspy::Fields;
use serde_json::Value;

/// A source of tools: one tool, or a server of many. Agents name it.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolConfig {
    /// Its name in the file.
    pub name: String,
    /// What the model is told of it, where the source itself says nothing or is to be overruled.
    pub desc: Option<String>,
    /// How long one call may take.
    pub timeout: Option<Duration>,
    /// Where it is.
    pub kind: ToolKind,
}

/// Where tools are.
#[derive(Clone, Debug, PartialEq)]
pub enum ToolKind {
    /// An HTTP service that describes itself.
    OpenApi(OpenApi),
    /// One request.
    Http(HttpTool),
    /// An MCP server that is started as a process, and spoken with over its standard input.
    McpCommand(McpCommand),
    /// An MCP server behind a URL.
    McpUrl(McpUrl),
}

/// An HTTP service that describes itself by OpenAPI 3.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenApi {
    /// The description.
    pub document: Document,
    /// The operations that may be called, by id; all if empty.
    pub operations: Vec<String>,
    /// The service's address, where it is not the one that the description names.
    pub base_url: Option<String>,
    /// The variables that hold the values of headers, by header.
    pub headers_env: BTreeMap<String, String>,
}

/// An OpenAPI description.
#[derive(Clone, Debug, PartialEq)]
pub enum Document {
    /// To be fetched, as JSON.
    Url(String),
    /// A file beside the program's, or written in it.
    Value(Value),
}

/// One request, made of a model's arguments.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpTool {
    /// Its method.
    pub method: Method,
    /// Its address, with `{argument}`s in its path or query.
    pub url: String,
    /// The JSON Schema of each argument. Those not in the address are the body, or the query of a
    /// request that has none.
    pub args: Fields,
    /// The variables that hold the values of headers, by header.
    pub headers_env: BTreeMap<String, String>,
    /// The part of a JSON answer that counts, as a JSON pointer: `/items/0`.
    pub result: Option<String>,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// To be told.
    Get,
    /// To do something.
    Post,
    /// To put something in a place.
    Put,
    /// To change something.
    Patch,
    /// To remove something.
    Delete,
}

/// An MCP server that is started as a process.
#[derive(Clone, Debug, PartialEq)]
pub struct McpCommand {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// The variables that are handed on to it. It gets hardly any other.
    pub env: Vec<String>,
    /// The tools that may be called; all if empty.
    pub tools: Vec<String>,
}

/// An MCP server behind a URL, spoken with by streamable HTTP.
#[derive(Clone, Debug, PartialEq)]
pub struct McpUrl {
    /// Its address.
    pub url: String,
    /// The variables that hold the values of headers, by header.
    pub headers_env: BTreeMap<String, String>,
    /// The tools that may be called; all if empty.
    pub tools: Vec<String>,
}

impl Method {
    /// Every method.
    pub const ALL: [Method; 5] =
        [Method::Get, Method::Post, Method::Put, Method::Patch, Method::Delete];

    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }

    /// Whether its arguments go into a body.
    pub fn has_body(self) -> bool {
        match self {
            Method::Post | Method::Put | Method::Patch => true,
            Method::Get | Method::Delete => false,
        }
    }
}

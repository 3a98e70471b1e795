//! The tools of a file: services described by OpenAPI, single requests, MCP servers.

use std::{collections::BTreeMap, time::Duration};

use dspy::Fields;
use serde_json::{Value, json};

use super::{
    duration, model,
    spot::{Named, Spot, Table},
};
use crate::{
    Document, HttpTool, LoadError, McpCommand, McpUrl, Method, OpenApi, ToolConfig, ToolKind,
};

/// The most sources of tools of a file.
const TOOLS_MAX: usize = 64;
/// The most operations, tools, variables or words of a command that are named.
const NAMES_MAX: usize = 200;
/// The most headers that hold keys, and the most arguments of a request.
const FIELDS_MAX: usize = 64;

/// The longest that one call may take.
const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 3600);

const KEYS: [&str; 13] = [
    "openapi",
    "mcp",
    "http",
    "operations",
    "base_url",
    "headers_env",
    "desc",
    "description",
    "args",
    "timeout",
    "tools",
    "result",
    "parameters",
];
const MCP_KEYS: [&str; 4] = ["command", "env", "url", "headers_env"];
const HTTP_KEYS: [&str; 3] = ["method", "url", "headers_env"];

/// Which of the keys beside `openapi`, `mcp` and `http` go with each.
const ALSO: [(&str, &[&str]); 3] = [
    ("openapi", &["operations", "base_url", "headers_env"]),
    ("mcp", &["tools"]),
    ("http", &["args", "parameters", "result"]),
];

/// Variables of this service, which no other process is given.
const OURS: [&str; 4] = ["SECRET_KEY", "REDIS_URL", "DSPYX_TOKEN", "LM_API_KEY"];

const WHAT: &str = "write one of `{openapi: URL-or-file}`, `{mcp: {command: […]}}`, \
                    `{mcp: {url: …}}`, `{http: {method: GET, url: …}}`";

/// The sources of tools of a file, in its order. `read` gives the text of a file beside it.
pub(super) fn read_all(
    file: &Table<'_>,
    read: &dyn Fn(&Spot<'_>) -> Result<String, LoadError>,
) -> Result<Vec<ToolConfig>, LoadError> {
    let Some(spot) = file.get("tools") else { return Ok(Vec::new()) };
    let names = spot.names()?;
    if names.len() > TOOLS_MAX {
        let problem = format!("has {} entries, but may have {TOOLS_MAX}", names.len());
        return Err(spot.fail(problem, "remove some"));
    }
    names.iter().map(|it| one(it, read)).collect()
}

fn one(
    named: &Named<'_>,
    read: &dyn Fn(&Spot<'_>) -> Result<String, LoadError>,
) -> Result<ToolConfig, LoadError> {
    let table = named.spot.table(&KEYS)?;
    let kinds = ["openapi", "mcp", "http"];
    let mut found = kinds.into_iter().filter_map(|it| Some((it, table.get(it)?)));
    let Some((kind, spot)) = found.next() else {
        return Err(named.spot.fail("does not say where the tool is", WHAT));
    };
    if let Some((other, spot)) = found.next() {
        return Err(spot.fail(format!("`{kind}` is there too"), format!("keep it or `{other}`")));
    }
    refuse_others(&table, kind)?;
    let kind = match kind {
        "openapi" => ToolKind::OpenApi(openapi(&table, &spot, read)?),
        "mcp" => mcp(&table, &spot)?,
        _ => ToolKind::Http(http(&table, &spot)?),
    };
    let desc = table.one_of(&["desc", "description"])?;
    Ok(ToolConfig {
        name: named.name.to_owned(),
        desc: desc.map(|it| it.text().map(|it| it.trim().to_owned())).transpose()?,
        timeout: table.get("timeout").map(|it| duration::read(&it, TIMEOUT_MAX)).transpose()?,
        kind,
    })
}

/// Refuses keys that mean something for another kind of tool only.
fn refuse_others(table: &Table<'_>, kind: &str) -> Result<(), LoadError> {
    for (other, keys) in ALSO.iter().filter(|(other, _)| *other != kind) {
        if let Some(spot) = keys.iter().find_map(|it| table.get(it)) {
            let problem = format!("belongs to `{other}` tools, and this is one of `{kind}`");
            return Err(spot.fail(problem, "remove it, or write it inside"));
        }
    }
    Ok(())
}

fn openapi(
    table: &Table<'_>,
    spot: &Spot<'_>,
    read: &dyn Fn(&Spot<'_>) -> Result<String, LoadError>,
) -> Result<OpenApi, LoadError> {
    let document = match spot.is_table() {
        true => Document::Value(spot.json()),
        false if is_url(spot.text()?) => Document::Url(model::api_base(spot)?),
        false => Document::Value(document(spot, &read(spot)?)?),
    };
    Ok(OpenApi {
        document,
        operations: names(table, "operations")?,
        base_url: table.get("base_url").map(|it| model::api_base(&it)).transpose()?,
        headers_env: headers(table)?,
    })
}

/// The description of a file, which is JSON or YAML.
fn document(spot: &Spot<'_>, text: &str) -> Result<Value, LoadError> {
    if text.trim_start().starts_with('{') {
        let wrong = |e: serde_json::Error| spot.fail(format!("is no JSON: {e}"), "mend the file");
        return serde_json::from_str(text).map_err(wrong);
    }
    Ok(super::yaml::read(text, spot.origin())?.json())
}

fn mcp(table: &Table<'_>, spot: &Spot<'_>) -> Result<ToolKind, LoadError> {
    let server = spot.table(&MCP_KEYS)?;
    let tools = names(table, "tools")?;
    match (server.get("command"), server.get("url")) {
        (Some(command), None) => {
            if let Some(headers) = server.get("headers_env") {
                let fix = "remove it, or name variables in `env`";
                return Err(headers.fail("a command gets no headers", fix));
            }
            let command = words(&command)?;
            Ok(ToolKind::McpCommand(McpCommand { command, env: variables(&server)?, tools }))
        }
        (None, Some(url)) => {
            if let Some(env) = server.get("env") {
                return Err(env.fail("a URL gets no variables", "write `headers_env`"));
            }
            let url = model::api_base(&url)?;
            Ok(ToolKind::McpUrl(McpUrl { url, headers_env: headers(&server)?, tools }))
        }
        (None, None) | (Some(_), Some(_)) => {
            let fix = "write `command: [program, argument]` or `url: https://…`, and not both";
            Err(spot.fail("does not say where the server is", fix))
        }
    }
}

fn words(spot: &Spot<'_>) -> Result<Vec<String>, LoadError> {
    if !spot.is_list() {
        let fix = "write it as a list: `command: [npx, -y, some-server]`; there is no shell";
        return Err(spot.fail("must be a list of the program and its arguments", fix));
    }
    let words = spot.list(NAMES_MAX)?;
    if words.is_empty() {
        return Err(spot.fail("is empty", "name the program that is the server"));
    }
    words.iter().map(|it| it.word().map(str::to_owned)).collect()
}

fn variables(server: &Table<'_>) -> Result<Vec<String>, LoadError> {
    let Some(spot) = server.get("env") else { return Ok(Vec::new()) };
    let names = spot.list(NAMES_MAX)?;
    let name = |it: &Spot<'_>| {
        let name = it.text()?;
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if !name.chars().all(fits) {
            // It is not repeated: it may hold the value.
            let fix = "write the name of the variable only; its value is the worker's own";
            return Err(it.fail("this is no name of an environment variable", fix));
        }
        if OURS.contains(&name) {
            let fix = "give the server a variable of its own";
            return Err(it.fail(format!("{name} is never handed on"), fix));
        }
        Ok(name.to_owned())
    };
    names.iter().map(name).collect()
}

fn http(table: &Table<'_>, spot: &Spot<'_>) -> Result<HttpTool, LoadError> {
    let request = spot.table(&HTTP_KEYS)?;
    let at = request.need("url", "write `url: https://host/path/{argument}`")?;
    let url = url_template(&at)?;
    let mut args = args(table)?;
    for placeholder in placeholders(&url) {
        if placeholder.is_empty() || placeholder.contains(['{', '/', '?', ' ']) {
            let fix = "write a `}` for each `{`, and the name of an argument between them";
            return Err(at.fail(format!("`{{{placeholder}}}` is no argument"), fix));
        }
        args.entry(placeholder).or_insert_with(|| json!({"type": "string"}));
    }
    let result = table.get("result").map(|it| pointer(&it)).transpose()?;
    let method = request.get("method").map(|it| method(&it)).transpose()?.unwrap_or(Method::Get);
    Ok(HttpTool { method, url, args, headers_env: headers(&request)?, result })
}

/// An address whose host is fixed: a model must not choose where keys are sent.
fn url_template(spot: &Spot<'_>) -> Result<String, LoadError> {
    model::api_base(spot)?;
    let url = spot.text()?;
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    if host.contains('{') {
        let fix = "write the host itself, and arguments after it: `https://host/{argument}`";
        return Err(spot.fail("the host cannot be an argument", fix));
    }
    Ok(url.to_owned())
}

/// The names between braces.
fn placeholders(url: &str) -> impl Iterator<Item = String> {
    // Without its `}` it is the whole rest, which is then no name.
    let name = |it: &str| it.split_once('}').map_or_else(|| format!("{it} "), |it| it.0.to_owned());
    url.split('{').skip(1).map(name)
}

fn method(spot: &Spot<'_>) -> Result<Method, LoadError> {
    let word = spot.text()?.to_ascii_uppercase();
    let found = Method::ALL.into_iter().find(|it| it.name() == word);
    let fix = || format!("known here: {}", Method::ALL.map(Method::name).join(", "));
    found.ok_or_else(|| spot.fail(format!("`{word}` is no method"), fix()))
}

/// The JSON Schema of each argument; a bare word is its type.
fn args(table: &Table<'_>) -> Result<Fields, LoadError> {
    let Some(spot) = table.one_of(&["args", "parameters"])? else { return Ok(Fields::new()) };
    let names = spot.names()?;
    if names.len() > FIELDS_MAX {
        let problem = format!("has {} arguments, but may have {FIELDS_MAX}", names.len());
        return Err(spot.fail(problem, "remove some"));
    }
    let schema = |it: &Named<'_>| match it.spot.json() {
        Value::Object(schema) => Ok((it.name.to_owned(), Value::Object(schema))),
        Value::String(word) => Ok((it.name.to_owned(), json!({"type": word}))),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
            Err(it.spot.fail("is no JSON Schema", "write it as `{type: string}`"))
        }
    };
    names.iter().map(schema).collect()
}

fn pointer(spot: &Spot<'_>) -> Result<String, LoadError> {
    let text = spot.text()?;
    if text.starts_with('/') {
        return Ok(text.to_owned());
    }
    Err(spot.fail(format!("`{text}` is no JSON pointer"), "write it as `/items/0/name`"))
}

/// The variables that hold the values of headers: names only, never the values.
fn headers(table: &Table<'_>) -> Result<BTreeMap<String, String>, LoadError> {
    let Some(spot) = table.get("headers_env") else { return Ok(BTreeMap::new()) };
    let names = spot.names()?;
    if names.len() > FIELDS_MAX {
        return Err(spot.fail("has too many headers", "remove some"));
    }
    let header = |it: &Named<'_>| {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if it.name.is_empty() || !it.name.chars().all(fits) {
            return Err(it.fail("is no name of a header", "write it as `Authorization`"));
        }
        Ok((it.name.to_owned(), model::api_key_env(&it.spot)?))
    };
    names.iter().map(header).collect()
}

fn names(table: &Table<'_>, key: &str) -> Result<Vec<String>, LoadError> {
    let spot = table.get(key);
    Ok(spot.map(|it| it.texts(NAMES_MAX)).transpose()?.unwrap_or_default())
}

fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

//! Tools as a program names them, called at real servers.

use std::path::Path;

use programs::Registry;
use serde_json::json;
use testkit::{McpServer, Reply, StubLm};

use super::*;
use crate::{GatewayConfig, Keys};

const SOON: Duration = Duration::from_secs(20);

/// A worker's tools, a program's file, and what they are to find.
struct Site {
    folder: tempfile::TempDir,
    web: StubLm,
    server: McpServer,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = McpServer::in_folder(folder.path());
        Self { folder, web: StubLm::new(Reply::Empty), server }
    }

    fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.web.port())
    }

    fn text(tools: &str) -> String {
        format!(
            "name: agent\nsignatures: {{main: {{inputs: [q], outputs: [a]}}}}\ntools:\n{tools}\n"
        )
    }

    /// The program with these tools, as the operator's file.
    fn program(&self, tools: &str) -> Arc<Program> {
        let programs = self.folder.path().join("programs");
        std::fs::create_dir_all(&programs).unwrap();
        std::fs::write(programs.join("agent.yaml"), Self::text(tools)).unwrap();
        let registry = Registry::load(Path::new(&programs));
        assert_eq!(registry.problems(), []);
        registry.get("agent").unwrap()
    }

    fn mcp(&self, more: &str) -> Arc<Program> {
        self.program(&format!("  mcp: {{mcp: {{command: {}{more}}}", self.server.command()))
    }

    fn answers(&self, status: u16, body: &Value) {
        self.web.then(Reply::Status(status, Vec::new(), body.to_string()));
    }
}

/// A worker's tools, which trust some addresses.
fn tools_of_worker(trusted: &[String]) -> Toolbox {
    let keys = Keys::new(|name| match name {
        "TEST_API_KEY" => Some("the-secret".to_owned()),
        "PATH" => Some("/usr/bin:/bin".to_owned()),
        "HIDDEN" => Some("hidden".to_owned()),
        _ => None,
    });
    let config =
        GatewayConfig { keys, trusted_bases: trusted.to_vec(), ..GatewayConfig::default() };
    Toolbox::new(Arc::new(Gateway::new(config).unwrap()), false)
}

fn args(value: Value) -> Fields {
    serde_json::from_value(value).unwrap()
}

async fn call(tools: &ProgramTools<'_>, name: &str, given: Value) -> Result<Value, ToolError> {
    tools.call(&[], name, &args(given)).await
}

async fn fails(tools: &ProgramTools<'_>, name: &str, given: Value) -> String {
    call(tools, name, given).await.unwrap_err().0
}

#[tokio::test]
async fn a_server_tells_its_tools_and_answers() {
    let site = Site::new();
    let (toolbox, program) =
        (tools_of_worker(&[]), site.mcp("}, tools: [add, several, fail, refuse]"));
    let tools = toolbox.of(&program);

    let told = tools.list(&["mcp".to_owned()]).await.unwrap();

    let names: Vec<&str> = told.iter().map(|it| &*it.name).collect();
    assert_eq!(names, ["add", "several", "fail", "refuse"]);
    assert_eq!((&*told[0].desc, told[0].has_kwargs), ("Adds two numbers.", true));
    assert_eq!(json!(told[0].args), json!({"a": {"type": "integer"}, "b": {"type": "integer"}}));
    assert_eq!(call(&tools, "add", json!({"a": 2, "b": 3})).await.unwrap(), json!("5"));
    assert_eq!(call(&tools, "several", json!({})).await.unwrap(), json!(["one", "two"]));
    let broken = "Failed to call a MCP tool: it is broken";
    assert_eq!(fails(&tools, "fail", json!({})).await, broken);
    assert_eq!(fails(&tools, "refuse", json!({})).await, "not like this");
    assert_eq!(fails(&tools, "hang", json!({})).await, "there is no tool `hang`");
    assert_eq!(site.server.count("start"), 1, "one session serves all");
    let metrics = toolbox.metrics();
    assert_eq!((metrics.tool_calls.get(), metrics.tool_errors.get()), (5, 3));
    toolbox.close().await;
    assert_eq!(site.server.record().last().map(String::as_str), Some("end"));
}

#[tokio::test]
async fn a_server_gets_the_variables_that_are_named_and_hardly_others() {
    let site = Site::new();
    let (toolbox, program) = (tools_of_worker(&[]), site.mcp(", env: [TEST_API_KEY]}"));
    let tools = toolbox.of(&program);
    let env = async |name: &str| call(&tools, "env", json!({"name": name})).await.unwrap();

    assert_eq!(env("TEST_API_KEY").await, "the-secret");
    assert_eq!(env("PATH").await, "/usr/bin:/bin");
    for name in ["HIDDEN", "CARGO_MANIFEST_DIR", "USER"] {
        assert_eq!(env(name).await, "(not set)", "{name}");
    }
    toolbox.close().await;
}

#[tokio::test]
async fn a_call_that_hangs_ends_in_time_and_the_server_hears_of_it() {
    let site = Site::new();
    let (toolbox, program) = (tools_of_worker(&[]), site.mcp("}, timeout: 300ms"));
    let tools = toolbox.of(&program);

    let said = fails(&tools, "hang", json!({})).await;

    assert_eq!(said, "`hang` gave nothing within 0.3 seconds");
    let heard = async || site.server.count("cancelled") == 1;
    testkit::until_true("the server hears that nobody waits", SOON, heard).await;
    assert_eq!(call(&tools, "add", json!({"a": 1, "b": 1})).await.unwrap(), json!("2"));
    toolbox.close().await;
}

#[tokio::test]
async fn a_server_that_dies_is_started_again() {
    let site = Site::new();
    let (toolbox, program) = (tools_of_worker(&[]), site.mcp("}"));
    let tools = toolbox.of(&program);

    let said = fails(&tools, "die", json!({})).await;

    assert_eq!(said, "the MCP server `mcp` ended before it answered");
    assert_eq!(call(&tools, "add", json!({"a": 1, "b": 1})).await.unwrap(), json!("2"));
    assert_eq!(site.server.count("start"), 2);
    toolbox.close().await;
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why() {
    let site = Site::new();
    let program = site.program(
        "  gone: {mcp: {command: [/no/such/program]}}\n  \
         sad: {mcp: {command: [sh, -c, 'echo no config >&2']}}",
    );
    let toolbox = tools_of_worker(&[]);
    let tools = toolbox.of(&program);
    let said = async |name: &str| tools.list(&[name.to_owned()]).await.unwrap_err().0;

    assert!(said("gone").await.contains("`/no/such/program` cannot be started"));
    let sad = said("sad").await;
    assert!(sad.starts_with("the MCP server `sad` did not start"), "{sad}");
}

#[tokio::test]
async fn what_was_registered_starts_no_process_and_calls_trusted_places_only() {
    let site = Site::new();
    let base = site.base();
    let text = Site::text(&format!(
        "  mcp: {{mcp: {{command: {}}}}}\n  near: {{http: {{url: '{base}/x'}}}}\n  \
         far: {{mcp: {{url: '{base}/mcp'}}}}",
        site.server.command()
    ));
    let program = Registry::parse(&text, "agent").unwrap();
    let toolbox = tools_of_worker(&[]);
    let tools = toolbox.of(&program);

    let said = tools.list(&["mcp".to_owned()]).await.unwrap_err().0;
    assert!(said.contains("set ALLOW_MCP_COMMANDS"), "{said}");
    assert!(fails(&tools, "near", json!({})).await.contains("TRUSTED_BASES"));
    let said = tools.list(&["far".to_owned()]).await.unwrap_err().0;
    assert!(said.contains("TRUSTED_BASES"), "{said}");
    assert_eq!((site.server.count("start"), site.web.calls()), (0, 0));

    site.answers(200, &json!({"ok": true}));
    let trusting = tools_of_worker(&[base]);
    let near = trusting.of(&program);
    let given = near.call(&["near".to_owned()], "near", &Fields::new()).await.unwrap();
    assert_eq!((given, site.web.calls()), (json!({"ok": true}), 1));
}

#[tokio::test]
async fn a_request_is_made_of_its_arguments() {
    let site = Site::new();
    let base = site.base();
    let program = site.program(&format!(
        "  weather: {{desc: The weather, result: /now, args: {{days: integer}}, http: {{url: \
         '{base}/at/{{city}}', headers_env: {{Authorization: TEST_API_KEY}}}}}}\n  \
         note: {{args: {{text: string}}, http: {{method: POST, url: '{base}/notes'}}}}"
    ));
    let toolbox = tools_of_worker(&[]);
    let tools = toolbox.of(&program);
    site.answers(200, &json!({"now": {"sky": "blue"}}));

    let sky = call(&tools, "weather", json!({"city": "Bad Ems", "days": 2})).await.unwrap();
    call(&tools, "note", json!({"text": "hi"})).await.unwrap();

    assert_eq!(sky, json!({"sky": "blue"}));
    let calls = site.web.requests();
    assert_eq!(
        (&*calls[0].path, &*calls[0].authorization),
        ("/at/Bad%20Ems?days=2", "Bearer the-secret")
    );
    assert_eq!((&*calls[1].path, &calls[1].body), ("/notes", &json!({"text": "hi"})));
    assert_eq!(calls[1].authorization, "", "a key goes where it is named");
}

#[tokio::test]
async fn errors_of_a_service_are_told_without_its_key() {
    let site = Site::new();
    let base = site.base();
    let program = site.program(&format!(
        "  it: {{http: {{url: '{base}/x', headers_env: {{x-key: TEST_API_KEY}}}}}}"
    ));
    let toolbox = tools_of_worker(&[]);
    let tools = toolbox.of(&program);

    site.answers(403, &json!("the-secret is no good"));
    let said = fails(&tools, "it", json!({})).await;
    assert_eq!(said, format!("GET {base}/x answered 403: \"[key] is no good\""));

    let elsewhere = vec![("location".to_owned(), "http://127.0.0.1:1/".to_owned())];
    site.web.then(Reply::Status(302, elsewhere, String::new()));
    let said = fails(&tools, "it", json!({})).await;
    assert!(said.contains("sends on to another place"), "{said}");

    let here = vec![("location".to_owned(), "/y".to_owned())];
    site.web.then(Reply::Status(307, here, String::new()));
    site.answers(200, &json!(1));
    assert_eq!(call(&tools, "it", json!({})).await.unwrap(), json!(1));

    site.web.then(Reply::Cut);
    let said = fails(&tools, "it", json!({})).await;
    assert!(said.starts_with(&format!("GET {base}/x failed")), "{said}");
    site.answers(200, &"x".repeat(2 << 20).into());
    assert!(fails(&tools, "it", json!({})).await.contains("more than"));
}

/// A shop, as it describes itself.
fn shop() -> Value {
    let item = json!({"type": "object", "required": ["name"], "properties": {
        "name": {"type": "string"}, "parts": {"type": "array", "items": {"$ref": "#/c/Item"}}}});
    let id = json!({"name": "id", "in": "path", "required": true, "schema": {"type": "integer"}});
    json!({
        "openapi": "3.1.0", "servers": [{"url": "/api"}],
        "c": {"Item": item, "Id": id},
        "paths": {
            "/items": {
                "get": {"operationId": "list", "summary": "Lists", "parameters": [
                    {"name": "tag", "in": "query", "description": "Which",
                        "schema": {"type": "array", "items": {"type": "string"}}},
                    {"name": "X-Trace", "in": "header", "schema": {"type": "string"}},
                    {"name": "session", "in": "cookie", "schema": {"type": "string"}},
                ]},
                "post": {"operationId": "add", "requestBody": {"content": {
                    "application/json": {"schema": {"$ref": "#/c/Item"}}}}},
            },
            "/items/{id}": {"parameters": [{"$ref": "#/c/Id"}], "delete": {}},
        },
    })
}

#[tokio::test]
async fn a_service_describes_its_operations() {
    let site = Site::new();
    let program = site.program(&format!("  shop: {{openapi: '{}/openapi.json'}}", site.base()));
    let toolbox = tools_of_worker(&[]);
    let tools = toolbox.of(&program);
    site.answers(200, &shop());

    let told = tools.list(&[]).await.unwrap();
    for name in ["list", "delete_items_id", "add"] {
        site.answers(200, &json!(name));
    }
    call(&tools, "list", json!({"tag": ["a", "b c"], "X-Trace": "t"})).await.unwrap();
    call(&tools, "delete_items_id", json!({"id": 7})).await.unwrap();
    call(&tools, "add", json!({"name": "x", "parts": []})).await.unwrap();

    let by_name: Vec<(&str, Value)> = told.iter().map(|it| (&*it.name, json!(it.args))).collect();
    let tag = json!({"type": "array", "items": {"type": "string"}, "description": "Which",
        "default": null});
    let parts = json!({"type": "array", "items": {"type": "object"}, "default": null});
    assert_eq!(
        by_name,
        [
            ("list", json!({"tag": tag, "X-Trace": {"type": "string", "default": null}})),
            ("add", json!({"name": {"type": "string"}, "parts": parts})),
            ("delete_items_id", json!({"id": {"type": "integer"}})),
        ]
    );
    let paths: Vec<String> = site.web.requests().into_iter().map(|it| it.path).collect();
    let expected = ["/openapi.json", "/api/items?tag=a&tag=b+c", "/api/items/7", "/api/items"];
    assert_eq!(paths, expected, "the description is read once");
    assert_eq!(site.web.requests()[3].body, json!({"name": "x", "parts": []}));
}

#[tokio::test]
async fn a_description_cannot_send_keys_to_another_host() {
    let site = Site::new();
    let program = site.program(&format!(
        "  shop: {{openapi: '{}/openapi.json', headers_env: {{x-key: TEST_API_KEY}}}}",
        site.base()
    ));
    let mut elsewhere = shop();
    elsewhere["servers"][0]["url"] = "http://evil.example/api".into();
    site.answers(200, &elsewhere);

    let toolbox = tools_of_worker(&[]);
    let said = toolbox.of(&program).list(&[]).await.unwrap_err().0;

    assert!(said.contains("`http://evil.example/api`: set `base_url`"), "{said}");
}

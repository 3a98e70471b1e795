//! Agents and their tools: servers that are processes, services over HTTP, and what goes wrong.

use std::path::Path;

use serde_json::{Value, json};
use testkit::{McpServer, Process, Reply, StubLm, free_port, until_true};

use crate::site::{SOON, Site, Store};

/// An agent with some tools.
pub(crate) fn agent(tools: &str) -> String {
    format!(
        "name: agent\nversion: 1.0.0\nlm: {{model: openai/stub}}\ntimeout: 60\ncache: false\n\
         retries: 0\nsignatures:\n  answer:\n    inputs: [question]\n    outputs: [answer]\n    \
         module: {{type: react, tools: [it], max_iters: 6}}\ntools:\n  it: {tools}\n"
    )
}

/// A site with an agent whose tools are those of a server.
pub(crate) async fn site_with_server(store: Store, more: &str) -> (Site, McpServer) {
    let site = store.site().await;
    let server = McpServer::in_folder(Path::new(&site.path(".")));
    let command = server.command();
    site.write_program("agent", &agent(&format!("{{mcp: {{command: {command}}}{more}}}")));
    (site, server)
}

/// The model wants a tool to be called.
pub(crate) fn wants(site: &Site, tool: &str, args: &Value) {
    site.lm.then(Reply::Text(format!(
        "[[ ## next_thought ## ]]\nI try.\n\n[[ ## next_tool_name ## ]]\n{tool}\n\n\
         [[ ## next_tool_args ## ]]\n{args}\n\n[[ ## completed ## ]]"
    )));
}

pub(crate) fn ask() -> Value {
    json!({ "program_id": "agent", "inputs": { "question": "?" }, "mode": "debug" })
}

/// What the model was told last.
fn prompt(site: &Site) -> String {
    site.lm.requests().last().unwrap().body["messages"].to_string()
}

pub(crate) async fn agent_uses_the_tools_of_a_server(store: Store) {
    let (site, server) = site_with_server(store, "").await;
    let up = site.up().await;
    wants(&site, "add", &json!({"a": 20, "b": 22}));
    wants(&site, "several", &json!({}));
    wants(&site, "finish", &json!({}));

    let record = site.succeeded(&site.submit(&ask()).await).await;

    assert_eq!(record["outputs"]["answer"], "a answer", "{record:#}");
    let told = prompt(&site);
    assert!(told.contains("42") && told.contains("Completed."), "{told}");
    let first = site.lm.requests()[0].body["messages"].to_string();
    assert!(first.contains("Adds two numbers."), "{first}");
    let steps = record["metadata"]["debug_trace"]["steps"].as_array().unwrap();
    let called: Vec<&Value> =
        steps.iter().filter(|it| it["kind"] == "tool").map(|it| &it["name"]).collect();
    assert_eq!(called[..2], ["add", "several"], "{steps:#?}");
    assert_eq!(server.count("call"), 2);
    site.check(up).await;
    assert_eq!(server.record().last().unwrap(), "end", "no server outlives its worker");
}

pub(crate) async fn agent_uses_servers_of_the_official_package(store: Store) {
    let site = store.site().await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/official_mcp_server.py");
    let (python, script) = (testkit::python().display().to_string(), script.display().to_string());
    let port = free_port();
    let at_port = [script.as_str(), &port.to_string()];
    let folder = site.path(".");
    let _server = Process::start(&python, &at_port, &[], Path::new(&folder));
    let listens = async || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
    until_true("the server listens", SOON, listens).await;
    let over_http = format!("{{mcp: {{url: 'http://127.0.0.1:{port}/mcp'}}}}");
    let over_pipes = format!("{{mcp: {{command: ['{python}', '{script}']}}}}");
    for (name, server) in [("over_http", over_http), ("over_pipes", over_pipes)] {
        site.write_program(name, &agent(&server).replace("name: agent", &format!("name: {name}")));
    }
    let up = site.up().await;

    for name in ["over_http", "over_pipes"] {
        wants(&site, "add", &json!({"a": 20, "b": 22}));
        wants(&site, "fail", &json!({}));
        wants(&site, "finish", &json!({}));

        let body = json!({"program_id": name, "inputs": {"question": "?"}});
        site.succeeded(&site.submit(&body).await).await;

        let asked = site.lm.requests();
        let first = asked[asked.len() - 4].body["messages"].to_string();
        assert!(first.contains("Adds two numbers."), "{name}: {first}");
        let told = prompt(&site);
        for said in ["42", "it is broken", "Completed."] {
            assert!(told.contains(said), "{name}, {said}: {told}");
        }
    }
    site.check(up).await;
}

pub(crate) async fn agent_goes_on_when_tools_do_not(store: Store) {
    let (site, server) = site_with_server(store, ", timeout: 500ms").await;
    let up = site.up().await;
    for tool in ["hang", "die", "fail", "add"] {
        wants(&site, tool, &json!({"a": 1, "b": 1}));
    }
    wants(&site, "finish", &json!({}));

    site.succeeded(&site.submit(&ask()).await).await;

    let told = prompt(&site);
    for said in [
        "`hang` gave nothing within 0.5 seconds",
        "the MCP server `it` ended before it answered",
        "Failed to call a MCP tool: it is broken",
        "Completed.",
    ] {
        assert!(told.contains(said), "{said}: {told}");
    }
    assert_eq!(server.count("start"), 2, "the server that died was started again");
    site.check(up).await;
}

pub(crate) async fn agent_is_called_off_in_a_call(store: Store) {
    let (site, server) = site_with_server(store, "").await;
    let up = site.up().await;
    wants(&site, "hang", &json!({}));
    let path = site.submit(&ask()).await;
    until_true("the tool is called", SOON, async || server.count("call hang") == 1).await;

    let answer = site.http.post(&format!("{path}/cancel"), &json!({})).await.unwrap();

    assert!(answer.status < 300, "{}", answer.body);
    assert_eq!(site.ended(&path).await["status"], "cancelled");
    until_true("the server hears of it", SOON, async || server.count("cancelled") == 1).await;
    site.check(up).await;
}

pub(crate) async fn call_of_a_killed_runner_is_made_again(store: Store) {
    let (site, server) = site_with_server(store, "").await;
    let mut up = site.up().await;
    wants(&site, "once", &json!({}));
    wants(&site, "finish", &json!({}));
    let path = site.submit(&ask()).await;
    until_true("the tool is called", SOON, async || server.count("call once") == 1).await;

    up.crash_runner(&site).await;

    site.succeeded(&path).await;
    assert_eq!(server.count("call once"), 2);
    assert!(prompt(&site).contains("here again"), "{}", prompt(&site));
    assert_eq!(site.lm.calls(), 3, "a reply that was paid is not asked for again");
    site.check(up).await;
}

pub(crate) async fn agent_asks_services(store: Store) {
    let site = store.site().await;
    let shop = StubLm::new(Reply::Empty);
    let description = json!({
        "openapi": "3.0.0", "servers": [{"url": "/"}],
        "paths": {"/items/{id}": {"get": {"operationId": "look", "summary": "Looks it up.",
            "parameters": [{"name": "id", "in": "path", "schema": {"type": "integer"}}]}}},
    });
    let ok = |body: &Value| Reply::Status(200, Vec::new(), body.to_string());
    shop.then(ok(&description)).then(ok(&json!({"name": "a hat"})));
    let url = format!("http://127.0.0.1:{}/openapi.json", shop.port());
    let headers = "{Authorization: LM_API_KEY}";
    site.write_program("agent", &agent(&format!("{{openapi: '{url}', headers_env: {headers}}}")));
    let up = site.up().await;
    wants(&site, "look", &json!({"id": 7}));
    wants(&site, "look", &json!({"id": "seven"}));
    wants(&site, "finish", &json!({}));

    site.succeeded(&site.submit(&ask()).await).await;

    let told = prompt(&site);
    assert!(told.contains("a hat"), "{told}");
    let calls = shop.requests();
    assert_eq!((calls.len(), &*calls[1].path), (2, "/items/7"), "bad arguments are not sent");
    assert_eq!(calls[1].authorization, "Bearer of-the-stub");
    site.check(up).await;
}

pub(crate) async fn registered_agent_starts_nothing(store: Store) {
    let site = store.site().await;
    let server = McpServer::in_folder(Path::new(&site.path(".")));
    let up = site.up().await;
    let put = async |tools: &str| {
        let headers = [("content-type", "application/yaml")];
        let text = agent(tools);
        site.http.send("PUT", "/programs/agent", &headers, text.as_bytes()).await.unwrap()
    };

    let refused = put(&format!("{{mcp: {{command: {}}}}}", server.command())).await;
    assert_eq!(refused.status, 422, "{}", refused.body);
    assert!(refused.body.contains("ALLOW_MCP_COMMANDS"), "{}", refused.body);

    let inside = format!("{{http: {{url: 'http://127.0.0.1:{}/x'}}}}", site.lm.port());
    assert!(put(&inside).await.status < 300);
    wants(&site, "it", &json!({}));
    wants(&site, "finish", &json!({}));
    site.succeeded(&site.submit(&ask()).await).await;
    assert!(prompt(&site).contains("TRUSTED_BASES"), "{}", prompt(&site));
    assert!(site.lm.requests().iter().all(|it| it.path != "/x"));
    assert_eq!(server.count("start"), 0);
    site.check(up).await;
}

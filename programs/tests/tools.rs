//! The tools of a file: what may be written, and what is refused with which words.

#![expect(clippy::unwrap_used, reason = "a test may fail so")]

use std::time::Duration;

use programs::{Document, Method, Origin, Program, Registry, ToolKind};
use serde_json::json;

fn parse(tools: &str) -> Result<Program, programs::LoadError> {
    let text = format!(
        "name: agent\nsignatures:\n  main: {{inputs: [question], outputs: [answer]}}\n\
         tools:\n{tools}\n"
    );
    Registry::parse(&text, "agent.yaml")
}

fn tools(text: &str) -> Vec<programs::ToolConfig> {
    parse(text).unwrap().tools
}

#[test]
fn a_request_takes_the_arguments_of_its_address_and_those_written() {
    let found = tools(
        "  weather:\n    http: {method: post, url: 'https://w.example/{city}?unit={unit}', \
         headers_env: {Authorization: WEATHER_API_KEY}}\n    desc: The weather\n    \
         args: {unit: {type: string, enum: [C, F]}, day: integer}\n    result: /now\n    \
         timeout: 5s",
    );

    assert_eq!(found[0].desc.as_deref(), Some("The weather"));
    assert_eq!(found[0].timeout, Some(Duration::from_secs(5)));
    let ToolKind::Http(http) = &found[0].kind else { panic!("{found:?}") };
    assert_eq!((http.method, http.result.as_deref()), (Method::Post, Some("/now")));
    assert_eq!(http.headers_env["Authorization"], "WEATHER_API_KEY");
    let args = json!({"unit": {"type": "string", "enum": ["C", "F"]}, "day": {"type": "integer"},
        "city": {"type": "string"}});
    assert_eq!(json!(http.args), args);
}

#[test]
fn servers_are_commands_or_addresses() {
    let found = tools(
        "  files: {tools: [read], \
         mcp: {command: [npx, -y, files@1.0], env: [HOME, FILES_TOKEN]}}\n  \
         far: {mcp: {url: 'https://mcp.example/mcp', headers_env: {x-key: FAR_API_KEY}}}\n  \
         shop: {openapi: 'https://shop.example/openapi.json', operations: [list]}\n  \
         own: {openapi: {openapi: 3.1.0, paths: {}}, base_url: 'http://127.0.0.1:9/'}",
    );

    let ToolKind::McpCommand(files) = &found[0].kind else { panic!("{found:?}") };
    assert_eq!(files.command, ["npx", "-y", "files@1.0"]);
    assert_eq!((files.env.len(), &*files.tools), (2, &["read".to_owned()][..]));
    let ToolKind::McpUrl(far) = &found[1].kind else { panic!("{found:?}") };
    assert_eq!((&*far.url, &*far.headers_env["x-key"]), ("https://mcp.example/mcp", "FAR_API_KEY"));
    let ToolKind::OpenApi(shop) = &found[2].kind else { panic!("{found:?}") };
    assert_eq!(shop.document, Document::Url("https://shop.example/openapi.json".to_owned()));
    let ToolKind::OpenApi(own) = &found[3].kind else { panic!("{found:?}") };
    assert_eq!(own.base_url.as_deref(), Some("http://127.0.0.1:9"));
}

#[test]
fn what_was_registered_is_not_the_operators() {
    let folder = tempfile::tempdir().unwrap();
    let text = "name: a\nsignatures: {main: {inputs: [q], outputs: [a]}}";
    std::fs::write(folder.path().join("a.yaml"), text).unwrap();
    let registry = Registry::load(folder.path());
    let sent = [("b".to_owned(), text.replace("name: a", "name: b"))];
    registry.keep(registry.known(), &sent, &[], 1).unwrap();

    assert_eq!(registry.get("a").unwrap().origin, Origin::File);
    assert_eq!(registry.get("b").unwrap().origin, Origin::Registered);
}

#[test]
fn what_is_wrong_with_a_tool_is_said_with_the_fix() {
    for (text, said) in [
        ("  a: {}", "tools.a: does not say where the tool is; write one of"),
        ("  a: {http: {url: 'https://h'}, mcp: {url: 'https://h'}}", "keep it or `http`"),
        ("  a: {http: {url: 'https://h'}, operations: [x]}", "belongs to `openapi` tools"),
        ("  a: {http: {url: 'https://{host}/x'}}", "the host cannot be an argument"),
        ("  a: {http: {url: 'https://h/{x'}}", "a `}` for each `{`"),
        ("  a: {http: {url: 'https://h/{}'}}", "`{}` is no argument"),
        ("  a: {http: {url: 'https://u:p@h/'}}", "never read from a file"),
        (
            "  a: {http: {url: 'https://h', method: gte}}",
            "`GTE` is no method; known here: GET, POST",
        ),
        ("  a: {http: {url: 'https://h', headers_env: {Key: sk-123}}}", "no name of an environ"),
        ("  a: {http: {url: 'https://h'}, result: x}", "`x` is no JSON pointer"),
        ("  a: {http: {url: 'https://h'}, args: {x: 1}}", "is no JSON Schema"),
        ("  a: {mcp: {command: 'npx server'}}", "there is no shell"),
        ("  a: {mcp: {command: []}}", "is empty; name the program"),
        ("  a: {mcp: {command: [x], env: [A=b]}}", "no name of an environment variable"),
        ("  a: {mcp: {command: [x], env: [SECRET_KEY]}}", "SECRET_KEY is never handed on"),
        ("  a: {mcp: {command: [x], url: 'http://h'}}", "and not both"),
        ("  a: {mcp: {url: 'http://h', env: [X]}}", "write `headers_env`"),
        ("  a: {htpp: {url: 'https://h'}}", "did you mean `http`?"),
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains(said), "{text}\n{error}");
        assert!(
            error.starts_with("agent.yaml:4:") || error.starts_with("agent.yaml:5:"),
            "{error}"
        );
        assert!(!error.contains("sk-123"), "{error}");
    }
}

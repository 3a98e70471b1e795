//! The commands that people type, against a server.

use serde_json::Value;

use crate::site::{Site, Store};

/// Runs a command that must be content, and gives its JSON.
async fn json(site: &Site, args: &[&str]) -> Value {
    let args = [args, &["--json"]].concat();
    let (content, said) = site.run(&args).await;
    assert!(content, "{args:?}: {said}");
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{args:?}: {error}: {said}"))
}

pub(crate) async fn commands_do_what_they_say(store: Store) {
    let site = store.site().await;
    let up = site.up().await;

    let one = json(&site, &["execute", "qa", "question=how?", "times:=3"]).await;
    assert_eq!(one["outputs"]["score"], 42, "{one:#}");
    let id = one["execution_id"].as_str().unwrap();
    assert_eq!(json(&site, &["status", id]).await["status"], "succeeded");
    let (content, said) = site.run(&["execute", "qa", "times:=3"]).await;
    assert!(!content && said.contains("Missing required input fields: ['question']"), "{said}");
    let (content, said) = site.run(&["execute", "none", "a=b"]).await;
    assert!(!content && said.contains("Model none not found in registry"), "{said}");
    let programs = json(&site, &["programs", "list"]).await.to_string();
    assert!(programs.contains("qa") && programs.contains("echo"), "{programs}");
    assert_eq!(json(&site, &["stats"]).await["statistics"]["successful_executions"], 1);
    site.check(up).await;
}

pub(crate) async fn batch_of_a_file_is_followed(store: Store) {
    let site = store.site().await;
    let up = site.up().await;
    let lines: String = (0..70)
        .map(|n| serde_json::json!({ "question": n.to_string() }))
        .fold(String::new(), |all, line| all + &line.to_string() + "\n");
    let (input, output) = (site.path("in.ndjson"), site.path("out.ndjson"));
    std::fs::write(&input, lines).unwrap();

    let batch = json(&site, &["batch", "submit", "qa", &input, "--watch"]).await;

    assert_eq!(batch["counts"]["succeeded"], 70, "{batch:#}");
    let id = batch["batch_id"].as_str().unwrap();
    assert_eq!(json(&site, &["batch", "status", id]).await["status"], "completed");
    let (content, said) = site.run(&["batch", "results", id, "--output", &output]).await;
    assert!(content, "{said}");
    let results = std::fs::read_to_string(&output).unwrap();
    let last: Value = serde_json::from_str(results.lines().last().unwrap()).unwrap();
    assert_eq!((results.lines().count(), &last["inputs"]["question"]), (70, &"69".into()));
    site.check(up).await;
}

#[tokio::test]
async fn demo_shows_everything_and_ends() {
    let site = Store::Sqlite.site().await;

    let (content, said) = site.run(&["demo"]).await;

    assert!(content && said.contains("curl"), "{said}");
    assert_eq!(site.lm.calls(), 0, "it needs no network");
}

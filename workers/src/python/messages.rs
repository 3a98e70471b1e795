//! Every message, as it is on the wire: `messages.ndjson` is what both sides are held to.

use std::collections::BTreeSet;

use dspy::{Fields, LmReply, Usage};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    completion::Body,
    protocol::{Code, FromChild, FromParent, Init, Limits, LmFailure, PROTOCOL, ToChild, ToParent},
};

const RECORDED: &str = include_str!("messages.ndjson");
/// The other side finds the body without reading it.
const ANSWER_BEGINS: &str = r#"{"type":"lm_response","call":"#;
const OTHER_SIDE: &str = include_str!("../../../python/dspyx/runner/wire.py");

/// The messages in one direction.
fn recorded(direction: &str, whom: &str) -> Vec<Value> {
    let lines = RECORDED.lines().map(|it| serde_json::from_str::<Value>(it).unwrap());
    let of = lines.filter(|it| it[direction] == whom);
    of.map(|mut it| it["message"].take()).collect()
}

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(object) = value else { panic!("{value}") };
    object
}

fn json_of(messages: &[impl Serialize]) -> Vec<Value> {
    messages.iter().map(|it| serde_json::to_value(it).unwrap()).collect()
}

#[test]
fn what_a_parent_is_told_is_written_so() {
    let path = |it: &str| Some(format!("/programs/{it}"));
    let init = Init {
        program: Code {
            kind: "class",
            path: path("qa.py"),
            module: None,
            name: Some("QA".to_owned()),
            state: path("qa.json"),
            dependencies: vec!["httpx>=0.27".to_owned()],
        },
        spawn: false,
        lm: object(json!({"model": "openai/gpt-4o-mini", "temperature": 0.5})),
        default_model: None,
        prefixes: vec!["openai".to_owned(), "dummy".to_owned()],
        hosts: [("api.openai.com".to_owned(), "openai")].into(),
        keys: vec!["OPENAI_API_KEY"],
        limits: Limits { memory_bytes: 1 << 30, cpu_seconds: Some(3600) },
        concurrency: Some(4),
    };
    let said = [
        ToParent::Init(&init),
        ToParent::Fork { child: 1 },
        ToParent::Kill { child: 1 },
        ToParent::Dump { child: 1 },
        ToParent::Shutdown,
    ];
    assert_eq!(json_of(&said), recorded("to", "parent"));
}

#[test]
fn what_a_child_is_told_is_written_so() {
    let inputs: Fields = object(json!({"question": "why?"}));
    let lm = object(json!({"temperature": 1.0}));
    let usage =
        Usage { prompt_tokens: 7, completion_tokens: 5, total_tokens: 12, ..Default::default() };
    let reply = LmReply {
        text: Some("because".to_owned()),
        finish_reason: Some("stop".to_owned()),
        usage,
        model: "openai/gpt-4o-mini".to_owned(),
        ..LmReply::default()
    };
    let failure = LmFailure {
        call: 3,
        code: "rate_limit",
        message: "slow down".to_owned(),
        status: Some(429),
        retry_after_seconds: Some(2.5),
    };
    let said = [
        ToChild::Execute { run: 7, inputs: &inputs, lm: &lm, debug: true, stream: true },
        ToChild::Cancel { run: 7 },
        ToChild::LmResponse { call: 3, body: Body::of(&reply) },
        ToChild::LmError(failure),
        ToChild::Ping,
        ToChild::Shutdown,
    ];
    assert_eq!(json_of(&said), recorded("to", "child"));
    let answer = serde_json::to_string(&said[2]).unwrap();
    assert!(answer.starts_with(ANSWER_BEGINS) && OTHER_SIDE.contains(ANSWER_BEGINS), "{answer}");
    assert!(answer[ANSWER_BEGINS.len()..].starts_with(r#"3,"body":{"#), "{answer}");
}

#[test]
fn what_parents_and_children_say_is_read_so() {
    let parents: Vec<FromParent> = recorded("from", "parent")
        .into_iter()
        .map(|it| serde_json::from_value(it).unwrap())
        .collect();
    let children: Vec<FromChild> = recorded("from", "child")
        .into_iter()
        .map(|it| serde_json::from_value(it).unwrap())
        .collect();

    assert!(matches!(parents[0], FromParent::Hello { protocol: PROTOCOL, pid: 4711, .. }));
    assert!(matches!(parents[4], FromParent::Exited { child: 1, code: None, signal: Some(9) }));
    let runs: Vec<_> = children.iter().map(FromChild::run).collect();
    let of_run: Vec<_> = runs.iter().map(Option::is_some).collect();
    let expected = [0, 0, 0, 1, 1, 1, 1, 1, 0, 1, 1, 1, 0].map(|it| it == 1);
    assert_eq!(of_run, expected);
    let last: Vec<_> = children.iter().filter(|it| it.is_last()).map(FromChild::run).collect();
    assert_eq!(last, [Some(7); 3]);
}

#[test]
fn both_sides_know_the_same_messages() {
    assert!(OTHER_SIDE.contains(&format!("\nPROTOCOL = {PROTOCOL}\n")));
    for (list, direction, whom) in [
        ("PARENT_HEARS", "to", "parent"),
        ("PARENT_SAYS", "from", "parent"),
        ("CHILD_HEARS", "to", "child"),
        ("CHILD_SAYS", "from", "child"),
    ] {
        let known: BTreeSet<String> = recorded(direction, whom)
            .into_iter()
            .map(|it| it["type"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(theirs(list), known, "{list}");
    }
}

/// The names in a tuple of the other side's.
fn theirs(list: &str) -> BTreeSet<String> {
    let (_, after) = OTHER_SIDE.split_once(&format!("{list} = (")).unwrap();
    let (names, _) = after.split_once(')').unwrap();
    let quoted = names.split('"').skip(1).step_by(2);
    quoted.map(str::to_owned).collect()
}

//! The same program in both runtimes asks a model the same, byte for byte, and makes the same of
//! what it replies.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Call, Http, Process, Reply, StubLm, free_port, until};

use crate::bench::{Bench, ours};

const SOON: Duration = Duration::from_secs(60);
const KEY: &str = "a key of at least thirty-two bytes, for tests only";

/// Of `tests/python/programs.py`.
const PROGRAMS: [&str; 15] = [
    "bounded",
    "predict",
    "thoughtful",
    "triage",
    "warm",
    "own_rationale",
    "with_demos",
    "compiled",
    "reworded",
    "as_json",
    "as_xml",
    "as_baml",
    "in_two_steps",
    "best",
    "short",
];

/// Of `tests/python/programs.py`, too.
const ELSEWHERE: &str = "http://127.0.0.1:9/elsewhere";

/// A definition, and the program whose saved state is laid over it.
const STATES: [(&str, &str); 3] =
    [("cot", "compiled"), ("triage", "with_demos"), ("plain_triage", "reworded")];

#[tokio::test]
async fn exported_programs_ask_and_answer_as_in_python() {
    let bench = Bench::new();
    export(&bench, &PROGRAMS);
    let mut rounds = prepare(&bench, &PROGRAMS);
    // A reply that nobody can read is asked for again as JSON, and fails at last.
    let unreadable = json!({"name": "predict", "inputs": {"question": "q"}, "replies": ["?", "?"]});
    rounds.push(unreadable);

    let paths = assert_equal(&bench, &rounds).await;
    assert!(paths.iter().any(|it| it.starts_with("/elsewhere/")), "{paths:?}");
}

#[tokio::test]
async fn saved_states_are_laid_over_a_definition_as_in_python() {
    let bench = Bench::new();
    let (definitions, trained) = (STATES.map(|it| it.0), STATES.map(|it| it.1));
    export(&bench, &definitions);
    let state = |name: &str| bench.path(&format!("programs/state/{name}.json"));
    std::fs::create_dir(bench.path("programs/state")).unwrap();
    let saves = trained.map(|it| json!([it, state(it)]));
    bench.python(&[&run(), &programs(), "save"], &json!(saves));
    for (definition, trained) in STATES {
        let file = bench.path(&format!("programs/{definition}.yaml"));
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, format!("{text}state: state/{trained}.json\n")).unwrap();
    }

    let mut rounds = prepare(&bench, &definitions);
    for round in &mut rounds {
        let (_, trained) = STATES.iter().find(|it| round["name"] == it.0).unwrap();
        round["state"] = json!(state(trained));
    }

    assert_equal(&bench, &rounds).await;
}

/// Exports these programs into the folder `programs`.
fn export(bench: &Bench, names: &[&str]) {
    std::fs::create_dir(bench.path("programs")).unwrap();
    let file = |name: &str| bench.path(&format!("programs/{name}.yaml"));
    let calls: Vec<_> = names.iter().map(|it| json!([it, "-o", file(it), "--name", it])).collect();
    for said in bench.exports(&programs(), &json!(calls)) {
        said.worked();
    }
}

/// What is to be run of these programs: inputs, and replies that fit.
fn prepare(bench: &Bench, names: &[&str]) -> Vec<Value> {
    let rounds = bench.python(&[&run(), &programs(), "prepare"], &json!(names));
    rounds.as_array().unwrap().clone()
}

/// Runs all in Python and natively, against one model, and compares every request and every end.
/// Gives the paths that were asked.
async fn assert_equal(bench: &Bench, rounds: &[Value]) -> Vec<String> {
    let lm = StubLm::new(Reply::error(400));
    point_elsewhere(bench, &lm);
    queue(&lm, rounds);
    let in_python = bench.python(&[&run(), &programs(), "run", &lm.url()], &json!(rounds));
    let asked = lm.requests();
    queue(&lm, rounds);
    let natively = Served::start(bench, &lm).await.run(rounds).await;

    let replies: usize = rounds.iter().map(|it| it["replies"].as_array().unwrap().len()).sum();
    assert_eq!((asked.len(), lm.calls()), (replies, 2 * replies));
    for (call, twin) in asked.iter().zip(&lm.requests()[replies..]) {
        assert_same(call, twin);
    }
    for ((round, here), there) in rounds.iter().zip(in_python.as_array().unwrap()).zip(&natively) {
        assert_eq!(here, there, "{}", round["name"]);
    }
    asked.into_iter().map(|it| it.path).collect()
}

/// Has the files name a path of the stub where the programs name another endpoint.
fn point_elsewhere(bench: &Bench, lm: &StubLm) {
    let url = lm.url().replace("/v1", "/elsewhere");
    for file in std::fs::read_dir(bench.path("programs")).unwrap() {
        let file = file.unwrap().path();
        if file.is_file() {
            let text = std::fs::read_to_string(&file).unwrap();
            std::fs::write(&file, text.replace(ELSEWHERE, &url)).unwrap();
        }
    }
}

/// Lets the model reply what these rounds want, in their order.
fn queue(lm: &StubLm, rounds: &[Value]) {
    for reply in rounds.iter().flat_map(|it| it["replies"].as_array().unwrap()) {
        lm.then(Reply::Text(reply.as_str().unwrap().to_owned()));
    }
}

/// The same request: its path, its messages to the byte, and everything else of its body.
#[track_caller]
fn assert_same(call: &Call, twin: &Call) {
    assert_eq!(call.path, twin.path);
    let messages = |it: &Call| serde_json::to_string_pretty(&it.body["messages"]).unwrap();
    assert_eq!(messages(call), messages(twin));
    assert_eq!(call.body, twin.body);
}

/// A server of the exported programs.
struct Served {
    http: Http,
    _process: Process,
}

impl Served {
    async fn start(bench: &Bench, lm: &StubLm) -> Self {
        let port = free_port();
        let env = [
            ("API_PORT", port.to_string()),
            ("SECRET_KEY", KEY.to_owned()),
            ("PROGRAMS_DIR", bench.path("programs")),
            ("DATABASE_PATH", bench.path("queue.db")),
            ("LM_MODEL", "openai/stub".to_owned()),
            ("LM_API_BASE", lm.url()),
            ("LM_API_KEY", "x".to_owned()),
            ("LM_RETRIES", "0".to_owned()),
            ("CACHE_ENABLED", "false".to_owned()),
        ];
        let env = env.map(|(name, value)| (name.to_owned(), value));
        let token = bench.token(KEY);
        let folder = std::path::PathBuf::from(bench.path("."));
        let mut process = Process::start(env!("CARGO_BIN_EXE_dspyx"), &["serve"], &env, &folder);
        let http = Http::new(port, "/api/v1/dspy").with_token(&token);
        let ready = async || http.get("/health/ready").await.ok().filter(|it| it.status == 200);
        process.until("it is ready", SOON, ready).await;
        Self { http, _process: process }
    }

    /// Runs each, one after another: the outputs of each, or the kind of its error.
    async fn run(&self, rounds: &[Value]) -> Vec<Value> {
        let mut ended = Vec::new();
        for round in rounds {
            let record = self.execute(round).await;
            ended.push(match record["status"].as_str().unwrap() {
                "succeeded" => json!({"outputs": record["outputs"]}),
                _ => json!({"error": record["error_kind"]}),
            });
        }
        ended
    }

    async fn execute(&self, round: &Value) -> Value {
        let body = json!({
            "program_id": round["name"], "inputs": round["inputs"], "max_retries": 0,
        });
        let answer = self.http.post("/execute", &body).await.unwrap();
        assert_eq!(answer.status, 202, "{}: {}", round["name"], answer.body);
        let path =
            format!("/execution/{}?wait=60", answer.json()["execution_id"].as_str().unwrap());
        until("the execution ends", SOON, async || {
            let record = self.http.get(&path).await.ok()?.json();
            let is_open = ["queued", "running", "scheduled"];
            let open = is_open.iter().any(|it| record["status"] == **it);
            (!open).then_some(record)
        })
        .await
    }
}

fn run() -> String {
    ours("tests/python/run.py")
}

fn programs() -> String {
    ours("tests/python/programs.py")
}

//! The golden cases through the Python runtime: what goes to the model, and what comes of it, is
//! what was recorded of the package alone.

#[path = "../../../dspy/tests/support/plain.rs"]
mod plain;

use std::{fs, path::Path};

use queue::{Execution, FailureKind, Fields, State};
use serde_json::{Value, json};
use testkit::{Reply, StubLm};

use self::plain::plain;
use super::site::{SOON, Site};

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../dspy/tests/golden/cases");

/// Cases that are no matter of this runtime, and why.
const OTHERS: [(&str, &str); 6] = [
    ("e09_code", "a generic type, which the neutral form does not name"),
    ("g10_http_200_not_json", "an answer of the HTTP server, which the gateway reads"),
    ("g12_extra_headers_litellm", "it goes around the gateway, and says so"),
    ("g13_engine_litellm", "its keys are in LiteLLM's order, and the gateway's in lm15's"),
    ("g14_unknown_kw", "its keys are in LiteLLM's order, and the gateway's in lm15's"),
    ("a47_empty_instructions", "instructions that the class cannot be given back"),
];

/// The cases of one predictor whose model answers.
fn cases() -> Vec<Value> {
    let mut paths: Vec<_> =
        fs::read_dir(Path::new(CASES)).unwrap().map(|it| it.unwrap().path()).collect();
    paths.sort();
    let read = |path: &std::path::PathBuf| -> Value {
        serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
    };
    paths.iter().map(read).filter(is_of_this_runtime).collect()
}

fn is_of_this_runtime(case: &Value) -> bool {
    let one_of = |name: &str, known: &[&str]| known.iter().any(|it| case[name] == *it);
    let is_other = OTHERS.iter().any(|(id, _)| case["id"] == *id);
    // Those of types are about how values are read, whoever runs them.
    let is_of_types = case["id"].as_str().is_some_and(|it| it.starts_with('x'));
    // The stub stands where OpenAI's models are.
    let is_of_openai = case["model"].as_str().is_some_and(|it| it.starts_with("openai/"));
    !is_of_types
        && is_of_openai
        && case["program"]["class"] == "Predict"
        && one_of("adapter", &["ChatAdapter", "JSONAdapter"])
        && case["replies"].as_array().unwrap().iter().all(|it| it["status"] == 200)
        && !case["inputs"].to_string().contains("\"$")
        && !is_other
}

#[tokio::test]
async fn golden_cases_are_sent_and_read_as_the_package_does() {
    let mut site = Site::new(StubLm::new(Reply::Nothing));
    site.python.environment.push(("GOLDEN".to_owned(), CASES.to_owned()));
    site.write_python("golden", include_str!("../golden_program.py"), "");
    let worker = site.start();

    let (cases, mut wrong) = (cases(), Vec::new());
    assert!(cases.len() > 70, "{}", cases.len());
    for case in &cases {
        wrong.extend(play(&site, case).await.err());
    }

    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    worker.end().await;
}

async fn play(site: &Site, case: &Value) -> Result<(), String> {
    let id = case["id"].as_str().unwrap();
    let before = site.lm.calls();
    for reply in case["replies"].as_array().unwrap() {
        site.lm.then(Reply::Status(200, Vec::new(), reply["body"].to_string()));
    }
    let inputs = Fields::from_iter([("case".to_owned(), json!(id))]);
    let execution =
        site.submit(|it| (it.spec.program, it.inputs) = ("golden".to_owned(), inputs)).await;
    let ended = testkit::until(&format!("{id} ends"), SOON, async || {
        let it = site.queue.execution(execution).await.unwrap();
        matches!(it.state, State::Succeeded | State::Failed).then_some(it)
    })
    .await;
    let sent: Vec<String> =
        site.lm.requests()[before..].iter().map(|it| it.body.to_string()).collect();
    let recorded = case["requests"].as_array().unwrap().iter();
    let recorded: Vec<String> = recorded.map(|it| it["body"].to_string()).collect();
    if sent != recorded {
        return Err(format!("{id}: sent\n  {sent:?}, recorded\n  {recorded:?}"));
    }
    compare(id, case, &ended)
}

fn compare(id: &str, case: &Value, ended: &Execution) -> Result<(), String> {
    let report = ended.report.as_ref().unwrap();
    if let Some(failure) = &report.failure {
        let recorded = case["error"]["type"].as_str().unwrap_or("no error");
        let is_same = match failure.kind {
            FailureKind::ParseError => recorded == "AdapterParseError",
            FailureKind::LmError => recorded.starts_with("LM"),
            FailureKind::Validation
            | FailureKind::ProgramNotFound
            | FailureKind::ProgramError
            | FailureKind::Timeout
            | FailureKind::WorkerLost
            | FailureKind::Cancelled
            | FailureKind::BudgetExceeded => false,
        };
        return if is_same {
            Ok(())
        } else {
            Err(format!("{id}: {recorded} was recorded, and it is {failure:?}"))
        };
    }
    // As texts: the order of the fields counts.
    let got = json!(report.outputs).to_string();
    let expected = plain(&case["output"]).to_string();
    if got == expected { Ok(()) } else { Err(format!("{id}: got {got}, recorded {expected}")) }
}

//! Where programs are exported from, and how their files look.

use serde_json::json;
use testkit::MlflowServer;

use crate::bench::{Bench, ours};

fn target(name: &str) -> String {
    format!("{}:{name}", ours("tests/python/programs.py"))
}

#[test]
fn exported_program_is_a_file_that_people_can_read() {
    let bench = Bench::new();

    let file = bench.dspyx(&["export", &target("compiled"), "--description", "Adds"]).worked();

    let (head, rest) = file.split_once('\n').unwrap();
    assert!(head.starts_with("# Exported from "), "{head}");
    let expected = r#"name: compiled
version: 1.0.0
description: Adds
signatures:
  main:
    instructions: "Given the fields `question`, produce the fields `answer`."
    inputs:
      question: null
    outputs:
      answer: str
    module: chain_of_thought
    demos:
      - question: "What is 0 + 0?"
        reasoning: "Twice 0."
        answer: "0"
      - question: "What is 1 + 1?"
        reasoning: "Twice 1."
        answer: "2"
      - question: "What is 3 + 3?"
        answer: "6"
      - question: "What is 2 + 2?"
        answer: "4"
"#;
    assert_eq!(rest, expected);
}

#[test]
fn folder_of_a_saved_program_needs_leave_and_its_key_stays_there() {
    let bench = Bench::new();
    let folder = bench.path("saved");
    let save = "import dspy, json, sys
program = dspy.ChainOfThought('question -> answer')
program.set_lm(dspy.LM('openai/gpt-4o-mini', api_key='sk-secret', temperature=0.3))
program.save(sys.argv[1], save_program=True)
print(json.dumps(None))";
    bench.python(&["-c", save, &folder], &json!(null));

    let without = bench.dspyx(&["export", &folder]);
    let with = bench.dspyx(&["export", &folder, "--allow-pickle"]);

    without.refused(2, &["is a pickle", "--allow-pickle"]);
    assert!(with.err.contains("warning: ") && with.err.contains("holds an API key in clear"));
    assert!(!(with.out.clone() + &with.err).contains("sk-secret"));
    let file = with.worked();
    assert!(file.contains("lm:\n  model: openai/gpt-4o-mini\n  temperature: 0.3\n"), "{file}");
}

#[test]
fn check_writes_nothing() {
    let bench = Bench::new();

    let said = bench.dspyx(&["export", &target("predict"), "--check"]);

    assert!(said.err.contains("the same 2 requests and outputs in Python and natively"));
    assert_eq!(said.worked(), "");
}

#[test]
fn a_module_is_found_from_the_folder_one_is_in() {
    let bench = Bench::new();
    let text = "import dspy\nclass Mine:\n    qa = dspy.Predict('question -> answer')\n";
    std::fs::write(bench.path("notebook.py"), text).unwrap();

    let file = bench.dspyx(&["export", "notebook:Mine.qa", "-o", "qa.yaml"]);

    file.worked();
    let written = std::fs::read_to_string(bench.path("qa.yaml")).unwrap();
    assert!(written.contains("name: qa\n"), "{written}");
    bench.dspyx(&["programs", "check", "qa.yaml"]).worked();
}

#[test]
fn what_a_model_will_see_is_shown_without_asking_any() {
    let bench = Bench::new();
    let text = "name: qa\nsignatures: {main: {inputs: [question], outputs: [answer]}}";
    std::fs::write(bench.path("qa.yaml"), text).unwrap();

    let first = bench.dspyx(&["programs", "render", "qa.yaml", "question=Why?"]).worked();
    let replies = "[\"[[ ## answer ## ]]\\nBecause.\"]";
    let ended = ["programs", "render", "qa.yaml", "question=Why?", "--replies", replies];
    let ended = bench.dspyx(&ended).worked();

    assert!(first.contains("system") && first.contains("[[ ## question ## ]]\nWhy?"), "{first}");
    assert!(!first.contains("outputs\n{"), "{first}");
    assert!(ended.contains("\"answer\": \"Because.\""), "{ended}");
    let missing = bench.dspyx(&["programs", "render", "qa.yaml"]);
    missing.refused(1, &["Missing required input fields", "question"]);
}

#[test]
fn agent_is_exported_when_it_is_said_where_its_servers_are() {
    let bench = Bench::new();
    let tools = "tools: {library: {mcp: {url: \"http://127.0.0.1:1/mcp\"}}}";
    std::fs::write(bench.path("tools.yaml"), tools).unwrap();

    let unsaid = bench.dspyx(&["export", &target("agent")]);
    let said = bench.dspyx(&["export", &target("agent"), "--tools", "tools.yaml"]);

    unsaid.refused(1, &["the tool `search`", "its MCP server cannot be seen", "--tools"]);
    let file = said.worked();
    let module = "    module:\n      type: react\n      tools: [\"library\"]\n      max_iters: 5\n";
    assert!(file.contains(module), "{file}");
    assert!(file.contains("tools:\n  library:\n    mcp:\n"), "{file}");
}

/// Logs a program that runs natively, and one that has a `forward` of its own.
const LOGGED: &str = r#"
import json, dspy, mlflow

class Own(dspy.Module):
    def __init__(self):
        super().__init__()
        self.ask = dspy.Predict("question -> answer")

    def forward(self, question):
        return self.ask(question=question)

program = dspy.ChainOfThought(dspy.Signature("question, k: int -> answer", "Answer k times."))
program.predict.demos = [dspy.Example(question="q", k=1, reasoning="r", answer="a")]
dspy.configure(lm=dspy.LM("openai/gpt-4o-mini", api_key="sk-secret", temperature=0.5))
with mlflow.start_run() as run:
    for saved in [False, True]:
        mlflow.dspy.log_model(
            program, name=f"saved-{saved}", registered_model_name="my_qa",
            pip_requirements=["dspy"], use_dspy_model_save=saved,
        )
    mlflow.dspy.log_model(
        Own(), name="own", registered_model_name="own", pip_requirements=["dspy"]
    )
mlflow.MlflowClient().set_registered_model_alias("my_qa", "champion", 1)
print(json.dumps(run.info.run_id))
"#;

#[tokio::test]
async fn model_of_mlflow_is_exported_with_leave_and_without_its_key() {
    let bench = Bench::new();
    let mut mlflow = MlflowServer::started().await;
    let run = mlflow.run(LOGGED);
    let run = run.as_str().unwrap();
    let export = |mlflow: &MlflowServer, target: &str, leave: &[&str]| {
        let args = [&["export", target], leave].concat();
        bench.dspyx_with(&args, &[("MLFLOW_TRACKING_URI", &mlflow.url())])
    };
    let leave: &[&str] = &["--allow-pickle"];

    let without = export(&mlflow, "mlflow:models:/my_qa/2", &[]);
    without.refused(2, &["is a pickle", "--allow-pickle"]);
    for target in ["models:/my_qa/1", "models:/my_qa/2", "models:/my_qa@champion"] {
        let said = export(&mlflow, &format!("mlflow:{target}"), leave);
        assert!(said.err.contains("holds an API key in clear"), "{target}: {}", said.err);
        assert!(!(said.out.clone() + &said.err).contains("sk-secret"));
        let file = said.worked();
        assert!(file.contains("name: my-qa\n"), "{target}: {file}");
        for part in ["k: int", "Answer k times.", "model: openai/gpt-4o-mini", "temperature: 0.5"] {
            assert!(file.contains(part), "{target}: {file}");
        }
    }
    let of_run = export(&mlflow, &format!("mlflow:runs:/{run}/saved-False"), leave).worked();
    assert!(of_run.contains("name: saved-false\n"), "{of_run}");

    let own = export(&mlflow, "mlflow:models:/own/1", leave);
    own.refused(1, &["cannot run natively", "{type: mlflow, uri: 'models:/own/1'}"]);
    let missing = export(&mlflow, "mlflow:models:/my_qa/9", leave);
    missing.refused(2, &["models:/my_qa/9 cannot be had from http://127.0.0.1", "not found"]);
    mlflow.stop();
    let away = export(&mlflow, "mlflow:models:/my_qa/1", leave);
    away.refused(2, &["cannot be had from http://127.0.0.1", "MLFLOW_TRACKING_URI"]);
}

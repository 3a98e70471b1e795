//! Where programs are exported from, and how their files look.

use serde_json::json;

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

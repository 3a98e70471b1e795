//! What cannot be proven is refused, with the part that it is and what to do.

use serde_json::json;

use crate::bench::{Bench, ours};

/// The program of `tests/python/refused.py`, and what is said of it.
const CASES: [(&str, &[&str]); 15] = [
    ("Custom", &["its `forward` is code", "`answer`", "refused.py, class_name: Custom}"]),
    ("agent", &["the tool `search`: it is a Python function", "--tools"]),
    ("rewarded", &["the reward: it is Python", "dspyx.Regex"]),
    ("refined", &["`Refine`", "BestOfN with a declared reward"]),
    ("coder", &["`ProgramOfThought`", "it runs Python"]),
    ("overridden", &["its `forward` was replaced"]),
    ("subclassed", &["the module `Loud`"]),
    ("watched", &["it has callbacks"]),
    ("own_model", &["its language model is a `Offline`", "plain dspy.LM"]),
    ("own_adapter", &["the adapter: `Shouting` is not one of DSPy's own", "ChatAdapter"]),
    ("validated", &["Checked: it runs code of its own (field validators)"]),
    ("own_type", &["the field `money`", "does not know the type"]),
    ("own_rule", &["the field `money`", "does not know the rule", "pattern"]),
    ("made_default", &["Stamped.at: its default is made by a function"]),
    ("headers", &["its language model has `extra_headers`", "a proxy"]),
];

#[test]
fn what_cannot_be_proven_is_refused_by_its_part() {
    let calls: Vec<_> = CASES.iter().map(|(name, _)| json!([name])).collect();
    let all = Bench::new().exports(&ours("tests/python/refused.py"), &json!(calls));

    for (said, (_, words)) in all.iter().zip(CASES) {
        said.refused(1, &[words, &["cannot run natively", "fix: "]].concat());
    }
}

#[test]
fn wrong_targets_are_usage_errors() {
    let file = ours("tests/python/refused.py");
    let cases = [
        ("no_such_module:x", "there is no module `no_such_module`"),
        ("none.py:x", "there is no file none.py"),
        ("nobody", "has no `nobody`; it has"),
        ("Needs", "cannot be made without arguments"),
        ("os", "is a module, and no dspy.Module"),
        (":", "names no program: write module:Class"),
        ("mlflow:models:/qa/1", "--allow-pickle"),
    ];

    let calls: Vec<_> = cases.iter().map(|(target, _)| json!([target])).collect();
    let all = Bench::new().exports(&file, &json!(calls));

    for (said, (_, words)) in all.iter().zip(cases) {
        said.refused(2, &[words]);
    }
}

#[test]
fn refusal_is_the_exit_code_of_the_command() {
    let bench = Bench::new();

    let refused = bench.dspyx(&["export", &format!("{}:Custom", ours("tests/python/refused.py"))]);
    let mistaken = bench.dspyx(&["export", "nothing"]);

    refused.refused(1, &["its `forward` is code", "nothing was exported"]);
    mistaken.refused(2, &["`nothing` names no program"]);
}

#[test]
fn code_that_fails_is_shown_where_it_fails() {
    let bench = Bench::new();
    std::fs::write(bench.path("broken.py"), "import dspy\n1 / 0\n").unwrap();

    let said = bench.dspyx(&["export", "broken.py:x"]);

    said.refused(1, &["broken.py", "line 2", "ZeroDivisionError", "could not be loaded"]);
}

#[test]
fn interpreter_without_dspy_is_named() {
    let bench = Bench::new();
    let made = std::process::Command::new("python3")
        .args(["-m", "venv", "--without-pip", &bench.path("bare")])
        .status();
    assert!(made.unwrap().success());

    let bare = bench.path("bare/bin/python");
    let said = bench.dspyx(&["export", "qa:program", "--python", &bare]);
    let gone = bench.dspyx(&["export", "qa:program", "--python", "./gone/python"]);

    said.refused(2, &["has no `dspy`", "pip install dspy==3.4.1", &bare]);
    gone.refused(2, &["./gone/python", "is not there"]);
}

//! Where the code of Python programs comes from, by the real DSPy.

use std::process::Command;

use queue::{FailureKind, State};
use serde_json::json;
use testkit::{Reply, StubLm};

use super::{
    module::{HEAD, failure, outputs, submit},
    site::Site,
};

/// Runs Python in the folder of programs, as the one who makes a program would.
fn python(site: &Site, text: &str) {
    let made = Command::new(testkit::python())
        .args(["-c", text])
        .env("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        .current_dir(site.folder.path().join("programs"))
        .status()
        .unwrap();
    assert!(made.success());
}

#[tokio::test]
async fn a_saved_program_runs_only_with_the_operators_word() {
    let mut site = Site::new(StubLm::new(Reply::Fitting));
    python(
        &site,
        "import dspy\np = dspy.ChainOfThought('question -> answer')\n\
         p.predict.signature = p.predict.signature.with_instructions('Be saved.')\n\
         p.save('model', save_program=True)\n",
    );
    site.write_file("p.yaml", "name: p\ncache: false\nsource: {type: saved, path: model}\n");

    let worker = site.start();
    let id = submit(&site, json!({"question": "?"})).await;
    let refused = site.until(id, State::Failed).await;
    let (kind, said) = failure(&refused);
    assert_eq!(kind, FailureKind::ProgramError);
    assert!(said.contains("is a pickle") && said.contains("PYTHON_ALLOW"), "{said}");
    worker.end().await;

    site.allow = "local,saved".parse().unwrap();
    let worker = site.start();
    let outputs = outputs(&site, json!({"question": "?"})).await;
    assert_eq!(json!(outputs), json!({"reasoning": "a reasoning", "answer": "a answer"}));
    let asked = site.lm.requests()[0].body["messages"].to_string();
    assert!(asked.contains("Be saved."), "{asked}");
    worker.end().await;
}

#[tokio::test]
async fn a_saved_state_is_laid_over_a_class() {
    let site = Site::new(StubLm::new(Reply::Fitting));
    let class = "
class P(dspy.Module):
    def __init__(self):
        super().__init__()
        self.ask = dspy.Predict('question -> answer')

    def forward(self, question):
        return self.ask(question=question)
";
    site.write_python("p", &format!("{HEAD}{class}"), "state: saved/state.json\n");
    python(
        &site,
        "import os, p\nit = p.P()\n\
         it.ask.signature = it.ask.signature.with_instructions('Be compiled.')\n\
         it.ask.demos = [{'question': 'q1', 'answer': 'a1'}]\n\
         os.makedirs('saved')\nit.save('saved/state.json')\n",
    );
    let worker = site.start();

    outputs(&site, json!({"question": "?"})).await;

    let asked = site.lm.requests()[0].body["messages"].to_string();
    assert!(asked.contains("Be compiled.") && asked.contains("a1"), "{asked}");
    worker.end().await;
}

#[tokio::test]
async fn a_module_is_found_by_its_name_and_may_be_loaded_by_each_process() {
    let site = Site::new(StubLm::new(Reply::Fitting));
    site.write_file("pack/__init__.py", "");
    site.write_file("pack/part.py", "WORD = 'found'\n");
    site.write_file(
        "pack/main.py",
        "import dspy\nfrom pack.part import WORD\n\n\nclass Own(dspy.Module):\n    \
         def forward(self):\n        return {'word': WORD}\n",
    );
    let source = "source: {type: local, module_path: pack.main, class_name: Own}";
    site.write_file("p.yaml", &format!("name: p\ncache: false\nspawn: true\n{source}\n"));
    let worker = site.start();

    assert_eq!(json!(outputs(&site, json!({})).await), json!({"word": "found"}));
    worker.end().await;
}

//! Sites with one Python program, `p`, and what its executions come to.

use std::time::Duration;

use queue::{Execution, ExecutionId, FailureKind, Fields, State};
use serde_json::{Value, json};
use testkit::{Reply, StubLm};

use super::site::Site;

/// The beginning of every program here.
pub(crate) const HEAD: &str =
    "import ctypes, os, subprocess, sys, threading, time\nimport dspy\n\n\n";

/// A site with a Python program `p` of this `forward`.
pub(crate) fn site(forward: &str) -> Site {
    let lines = forward.lines().map(|it| format!("        {it}\n"));
    let body: String = lines.collect();
    let class = format!(
        "class P(dspy.Module):\n    def __init__(self):\n        super().__init__()\n        \
         self.ask = dspy.Predict('question -> answer')\n\n    def forward(self, question: str = \
         'why?'):\n{body}"
    );
    program(&class, "")
}

/// A site with a Python program `p` of this text, and these further lines in its file.
pub(crate) fn program(text: &str, lines: &str) -> Site {
    let site = Site::new(StubLm::new(Reply::Fitting));
    site.write_python("p", &format!("{HEAD}{text}"), lines);
    site
}

pub(crate) async fn submit(site: &Site, inputs: Value) -> ExecutionId {
    let Value::Object(inputs) = inputs else { panic!("an object") };
    site.submit(|it| (it.spec.program, it.inputs) = ("p".to_owned(), inputs)).await
}

/// Runs `p` once, which must succeed.
pub(crate) async fn outputs(site: &Site, inputs: Value) -> Fields {
    let id = submit(site, inputs).await;
    site.until(id, State::Succeeded).await.report.unwrap().outputs.unwrap()
}

pub(crate) fn failure(execution: &Execution) -> (FailureKind, &str) {
    let failure = execution.report.as_ref().unwrap().failure.as_ref().unwrap();
    (failure.kind, &failure.message)
}

/// Runs `p` once, which must fail for its own reason, and gives what it says.
pub(crate) async fn error(site: &Site) -> String {
    let id = submit(site, json!({})).await;
    let execution = site.until(id, State::Failed).await;
    let (kind, message) = failure(&execution);
    assert_eq!(kind, FailureKind::ProgramError, "{message}");
    message.to_owned()
}

/// Submits an execution that may take half a second.
pub(crate) async fn timed(site: &Site, question: &str) -> ExecutionId {
    let inputs = Fields::from_iter([("question".to_owned(), json!(question))]);
    site.submit(|it| {
        (it.spec.program, it.inputs) = ("p".to_owned(), inputs);
        it.spec.timeout = Duration::from_millis(500);
    })
    .await
}

//! Code that a model writes, run in DSPy's own sandbox: Python within WebAssembly within Deno.

use std::{fs, path::Path, time::Duration};

use queue::{FailureKind, State};
use serde_json::{Value, json};
use testkit::Reply;

use super::{
    module::failure,
    python_modules::{outputs, site},
    site::{SOON, Site},
};

/// A site with one of the example's modules, which finds the sandbox's files here.
fn sandboxed(name: &str, replies: &[Value]) -> Site {
    let mut site = site(name, replies);
    let folder = testkit::deno_dir().display().to_string();
    site.python.environment.push(("DENO_DIR".to_owned(), folder));
    site
}

/// How many sandboxes run for the programs of a site: they begin in the folder of these.
fn sandboxes(site: &Site) -> usize {
    let folder = site.folder.path().canonicalize().unwrap();
    let is_ours = |process: &Path| {
        let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
        let place = fs::read_link(process.join("cwd")).unwrap_or_default();
        name.trim() == "deno" && place.starts_with(&folder)
    };
    let processes = fs::read_dir("/proc").unwrap().map(|it| it.unwrap().path());
    processes.filter(|it| is_ours(it)).count()
}

#[tokio::test]
async fn code_that_the_model_writes_runs_in_the_sandbox() {
    let escape = "import subprocess\nSUBMIT({'answer': str(subprocess.run(['id']))})";
    let replies = [
        json!({"reasoning": "Who am I?", "generated_code": escape}),
        json!({"reasoning": "Easy.", "generated_code": "SUBMIT({'answer': 6 * 7})"}),
        json!({"reasoning": "It is 42.", "answer": 42}),
    ];
    let site = sandboxed("calculator", &replies);

    let made = outputs(&site, json!({"question": "What is 6 * 7?"}), &replies).await;

    assert_eq!(made["answer"], 42);
    let told = site.lm.requests().swap_remove(1).body["messages"].to_string();
    assert!(told.contains("does not support processes"), "{told}");
    assert_eq!(sandboxes(&site), 0);
}

#[tokio::test]
async fn code_that_the_model_writes_calls_functions_of_the_program() {
    let replies = [
        json!({"generated_code": "print(feet(1345))", "finished": true}),
        json!({"reasoning": "Printed.", "answer": 4413}),
    ];
    let site = sandboxed("coder", &replies);

    let made = outputs(&site, json!({"hill": "Ben Nevis"}), &replies).await;

    assert_eq!(made["answer"], 4413);
    assert!(made["trajectory"]["code_output_0"].to_string().contains("4413"), "{made}");
    assert_eq!(sandboxes(&site), 0);
}

#[tokio::test]
async fn code_that_the_model_writes_asks_the_model() {
    let code = "said = llm_query('What of ' + text[:4] + '?')\nSUBMIT(answer=said)";
    let action = json!({"reasoning": "I ask.", "code": code});
    let site = sandboxed("reader", std::slice::from_ref(&action));
    site.lm.then(Reply::Text("It is sweet.".to_owned()));

    let inputs = json!({"text": "bees make honey", "question": "How is it?"});
    let made = outputs(&site, inputs, &[action, Value::Null]).await;

    assert_eq!(made["answer"], "It is sweet.");
    let asked = site.lm.requests().swap_remove(1).body["messages"].to_string();
    assert!(asked.contains("What of bees?"), "{asked}");
    assert_eq!(sandboxes(&site), 0);
}

#[tokio::test]
async fn code_that_hangs_in_the_sandbox_ends_with_its_attempt() {
    let hang = json!({"reasoning": "Hm.", "generated_code": "while True:\n    pass"});
    let mut site = sandboxed("calculator", &[hang]);
    site.python.grace = Duration::from_millis(500);
    let worker = site.start();

    let id = site
        .submit(|it| {
            it.spec.program = "p".to_owned();
            it.inputs = super::site::inputs("What is 6 * 7?");
            it.spec.timeout = Duration::from_secs(10);
        })
        .await;
    testkit::until_true("it hangs in the sandbox", SOON, async || sandboxes(&site) == 1).await;
    let ended = site.until(id, State::Failed).await;

    assert_eq!(failure(&ended).0, FailureKind::Timeout);
    testkit::until_true("nothing is left of it", SOON, async || sandboxes(&site) == 0).await;
    worker.end().await;
}

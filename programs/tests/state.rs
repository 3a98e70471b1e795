//! What DSPy saved is laid over a program, and its prompts are then the package's own.
//!
//! `states/NAME.json` was written by `module.save` of DSPy 3.4.1, and `states/NAME.messages.json`
//! is what the package's chat adapter made of the module after `module.load`.

#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use std::{fs, path::Path, sync::Arc};

use dspy::{Fields, Predictor};
use programs::{Program, Registry, Runtime};
use serde_json::{Value, json};
use tempfile::TempDir;

fn recorded(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/states");
    fs::read_to_string(folder.join(name)).unwrap()
}

/// A program file beside the recorded states.
fn program(text: &str) -> Arc<Program> {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("state")).unwrap();
    for name in ["cot", "predict", "two", "custom"] {
        let file = format!("{name}.json");
        fs::write(folder.path().join("state").join(&file), recorded(&file)).unwrap();
    }
    let path = folder.path().join("mail.yaml");
    fs::write(&path, text).unwrap();
    Registry::read(&path).unwrap_or_else(|e| panic!("{e}")).remove(0)
}

fn predictor(program: &Program) -> &Predictor {
    let Runtime::Native(module) = &program.runtime else { panic!("not native") };
    module.predictors()[0]
}

fn messages(program: &Program, inputs: Value) -> Vec<(Value, Value)> {
    let inputs: Fields = serde_json::from_value(inputs).unwrap();
    let predictor = predictor(program);
    let signature = predictor.full_signature();
    let messages = predictor.adapter.render(&signature, &predictor.demos, &inputs).unwrap();
    messages.into_iter().map(|it| (json!(it.role), it.content)).collect()
}

fn recorded_messages(name: &str) -> Vec<(Value, Value)> {
    let messages: Vec<Value> = serde_json::from_str(&recorded(name)).unwrap();
    messages.into_iter().map(|it| (it["role"].clone(), it["content"].clone())).collect()
}

const COT: &str = "
lm: {model: openai/other, temperature: 1, top_p: 0.5}
signatures:
  main:
    inputs: {question: str, k: int}
    outputs: [answer]
    module: chain_of_thought
    state: state/cot.json
";

#[test]
fn a_compiled_chain_of_thought_asks_as_it_did_in_python() {
    let program = program(COT);

    let asked = messages(&program, json!({"question": "q", "k": 3}));

    assert_eq!(asked, recorded_messages("cot.messages.json"));
}

#[test]
fn a_compiled_predictor_asks_as_it_did_in_python() {
    let program = program(
        "signatures:\n  sort:\n    inputs: [mail]\n    outputs: {tags: \"list[str]\", urgent: \
         bool}\n    state: state/predict.json\n",
    );

    let asked = messages(&program, json!({"mail": "x"}));

    assert_eq!(asked, recorded_messages("predict.messages.json"));
}

#[test]
fn demos_with_images_and_dates_are_shown_as_they_were_in_python() {
    let program = program(
        "signatures:\n  see:\n    inputs: {image: dspy.Image, day: datetime.date}\n    outputs: \
         [what]\n    state: state/custom.json\n",
    );

    let asked =
        messages(&program, json!({"image": "https://x.example/a.png", "day": "2025-01-01"}));

    assert_eq!(asked, recorded_messages("custom.messages.json"));
}

#[test]
fn a_saved_model_is_asked_instead_of_the_programs_and_never_elsewhere() {
    let program = program(COT);

    let lm = json!(predictor(&program).lm);

    let own = json!({
        "model": "openai/gpt-4o-mini", "temperature": 0.3, "max_tokens": 77, "seed": 5,
    });
    assert_eq!(lm, own);
    assert_eq!(program.lm.endpoint.api_base, None);
}

#[test]
fn one_state_is_laid_over_all_signatures() {
    let program = program(
        "signatures:\n  grade: {inputs: [text], outputs: {score: int}, \
         module: chain_of_thought}\n  draft: {inputs: [topic], outputs: [text]}\n\
         state: state/two.json\n",
    );

    assert_eq!(program.choices, ["mail#grade", "mail#draft"]);
    assert_eq!(predictor(&program).signature.instructions, "Grade it.");
    assert_eq!(program.saved[0].versions["dspy"], "3.4.1");
}

#[test]
fn a_state_may_stand_in_the_file_itself() {
    let state = recorded("predict.json").replace('\n', " ");
    let text = format!(
        "signatures:\n  sort:\n    inputs: [mail]\n    outputs: {{tags: \"list[str]\", urgent: \
         bool}}\n    state: {state}\n"
    );

    let program = Registry::parse(&text, "x.yaml").unwrap_or_else(|e| panic!("{e}"));

    let asked = messages(&program, json!({"mail": "x"}));
    assert_eq!(asked, recorded_messages("predict.messages.json"));
}

/// A folder with one program that has a state.
fn stateful() -> (TempDir, Registry) {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("a.yaml"), COT).unwrap();
    fs::create_dir(folder.path().join("state")).unwrap();
    fs::write(folder.path().join("state/cot.json"), recorded("cot.json")).unwrap();
    let registry = Registry::load(folder.path());
    (folder, registry)
}

fn task(registry: &Registry) -> String {
    predictor(&registry.get("a").unwrap()).signature.instructions.clone()
}

#[test]
fn a_changed_state_changes_its_program() {
    let (folder, registry) = stateful();
    let before = registry.get("a").unwrap();
    assert!(!registry.reload().is_change());
    let changed = recorded("cot.json").replace("Answer tersely", "Answer at length");
    fs::write(folder.path().join("state/cot.json"), changed).unwrap();

    let reload = registry.reload();

    assert_eq!(reload.changed, ["a@1.0.0"]);
    assert!(task(&registry).starts_with("Answer at length"));
    let inputs = Fields::new();
    let fingerprint = |it: &Program| it.fingerprint(&inputs, &Fields::new());
    assert_ne!(fingerprint(&before), fingerprint(&registry.get("a").unwrap()));
}

#[test]
fn a_state_that_comes_later_mends_its_program() {
    let (folder, registry) = stateful();
    fs::remove_file(folder.path().join("state/cot.json")).unwrap();
    let problem = registry.reload().problems.remove(0);
    assert!(problem.problem.starts_with("there is no file `state/cot.json`"), "{problem}");
    assert!(problem.fix.ends_with("(a@1.0.0 as it was before stays in use)"), "{problem}");
    fs::write(folder.path().join("state/cot.json"), recorded("cot.json")).unwrap();

    assert_eq!(registry.reload().problems, []);
}

#[cfg(unix)]
#[test]
fn a_link_may_not_lead_out_of_the_folder() {
    let (folder, registry) = stateful();
    let outside = TempDir::new().unwrap();
    fs::write(outside.path().join("x.json"), recorded("cot.json")).unwrap();
    let state = folder.path().join("state/cot.json");
    fs::remove_file(&state).unwrap();
    std::os::unix::fs::symlink(outside.path().join("x.json"), &state).unwrap();

    let problem = registry.reload().problems.remove(0).problem;

    assert_eq!(problem, "`state/cot.json` is a link that leads out of the folder of programs");
}

#[cfg(unix)]
#[test]
fn a_link_within_the_folder_is_followed() {
    let (folder, registry) = stateful();
    let state = folder.path().join("state/cot.json");
    fs::rename(&state, folder.path().join("state/real.json")).unwrap();
    std::os::unix::fs::symlink(folder.path().join("state/real.json"), &state).unwrap();

    assert_eq!(registry.reload().problems, []);
}

#[test]
fn a_program_that_is_sent_names_no_files() {
    let error = Registry::parse(COT, "a").unwrap_err();

    let told = "a:8:12: signatures.main.state: a program that is sent over HTTP cannot name a \
                file of the server; write what the file holds here, as a mapping";
    assert_eq!(error.to_string(), told);
}

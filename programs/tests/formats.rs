//! Every way of writing a program that the documents name loads.

use std::time::Duration;

use dspy::{Fields, ModuleKind, Predictor, Type};
use programs::{Jitter, Program, Registry, Runtime, Source};
use serde_json::{Value, json};

fn load(text: &str) -> Program {
    Registry::parse(text, "assistant.yaml").unwrap_or_else(|e| panic!("{e}"))
}

fn native(program: &Program) -> &Predictor {
    match &program.runtime {
        Runtime::Native(module) => module.predictors()[0],
        Runtime::Python(_) => panic!("not native"),
    }
}

const FULL: &str = r#"
name: email-assistant
version: 1.10
description: Drafts an email
source: {type: native}
lm:
  model: openai/gpt-4o-mini
  temperature: 0.7
  max_tokens: 2000
  stop: END
  seed: 7
  n: 2
  api_base: http://localhost:8000/v1/
  api_key_env: OPENAI_API_KEY
  fallbacks: [openai/gpt-4o, dummy/x]
  extra: {reasoning_effort: low}
timeout: 300
retries: {max: 2, backoff: {initial: 0.5, factor: 2, max: 60, jitter: full}}
cache: {enabled: true, ttl: 24h}
signatures:
  draft:
    description: |

      Draft an email.

      Be short.
    inputs:
      recipient: str
      subject:
      context: {type: str, desc: Main points}
      tone: {type: "Literal['formal','casual']", default: formal}
      tags: {type: "list[str]", default: []}
      limit: {type: "Optional[int]", default: null, gt: 0, multiple_of: 10}
    outputs: {email_body: {type: str, description: The whole email}}
    examples:
      - input: {recipient: ann, subject: Hello, context: null}
        output: {email_body: Hi}
      - {recipient: bob, reasoning: Bob is a friend., email_body: "42"}
    module: chain_of_thought
"#;

#[test]
fn the_whole_format_is_read() {
    let program = load(FULL);

    assert_eq!(program.pinned(), "email-assistant@1.10");
    assert_eq!(program.timeout, Some(Duration::from_secs(300)));
    assert_eq!(program.retries.max, Some(2));
    assert_eq!(program.retries.backoff.initial, Some(Duration::from_millis(500)));
    assert_eq!(program.retries.backoff.jitter, Some(Jitter::Full));
    assert_eq!(program.cache.ttl, Some(Duration::from_secs(86_400)));
    let lm = json!({
        "model": "openai/gpt-4o-mini", "temperature": 0.7, "max_tokens": 2000, "stop": ["END"],
        "seed": 7, "n": 2, "extra": {"reasoning_effort": "low"},
        "api_base": "http://localhost:8000/v1", "api_key_env": "OPENAI_API_KEY",
        "fallbacks": ["openai/gpt-4o", "dummy/x"],
    });
    assert_eq!(serde_json::to_value(&program.lm).unwrap(), lm);
    assert_eq!(native(&program).lm, program.lm.settings);
}

#[test]
fn a_signature_is_read_whole() {
    let program = load(FULL);
    let predictor = native(&program);
    let signature = &predictor.signature;

    assert_eq!(predictor.module, ModuleKind::ChainOfThought);
    assert_eq!((predictor.name.as_str(), signature.name.as_str()), ("draft", "draft"));
    assert_eq!(signature.instructions, "Draft an email.\n\nBe short.");
    let names: Vec<&str> = signature.inputs.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["recipient", "subject", "context", "tone", "tags", "limit"]);
    assert_eq!(signature.inputs[3].ty, Type::Literal(vec![json!("formal"), json!("casual")]));
    assert_eq!(signature.inputs[3].default, Some(json!("formal")));
    assert_eq!(signature.inputs[5].default, Some(Value::Null));
    let bounds = signature.inputs[5].constraints.as_deref();
    assert_eq!(bounds, Some("greater than: 0, a multiple of the given number: 10"));
    let demos: Vec<Value> = predictor.demos.iter().map(|it| json!(it)).collect();
    // What is null is shown as `None`; what is not there, as not supplied.
    let first = json!({
        "recipient": "ann", "subject": "Hello", "context": null, "email_body": "Hi",
    });
    let second = json!({
        "recipient": "bob", "reasoning": "Bob is a friend.", "email_body": "42",
    });
    assert_eq!(demos, [first, second]);
}

#[test]
fn the_short_form_needs_a_name_and_fields_only() {
    let program = load("signatures: {qa: {inputs: [question], outputs: [answer]}}");

    assert_eq!(program.pinned(), "assistant@1.0.0");
    let signature = &native(&program).signature;
    assert_eq!(signature.inputs[0].ty, Type::Str);
    let instructions = "Given the fields `question`, produce the fields `answer`.";
    assert_eq!(signature.instructions, instructions);
    assert!(program.cache.enabled);
}

#[test]
fn fields_of_a_list_may_have_types() {
    let text = "signatures:\n  qa:\n    inputs:\n      - question\n      - k: int\n      \
                - {name: hint, type: bool, default: false}\n    outputs: [answer]\n";

    let program = load(text);

    let inputs = &native(&program).signature.inputs;
    let types: Vec<String> = inputs.iter().map(|it| format!("{} {}", it.name, it.ty)).collect();
    assert_eq!(types, ["question str", "k int", "hint bool"]);
}

/// As DSPy warns of no value of a field whose type was not written.
#[test]
fn a_field_without_a_type_takes_anything() {
    let program = load(
        "name: x\nsignatures:\n  main:\n    inputs: {a: , b: {desc: B}, c: str}\n    outputs: [d]",
    );
    let inputs = |json: &str| serde_json::from_str(json).unwrap();

    let untyped = program.check(&inputs(r#"{"a": 1, "b": [true], "c": "x"}"#));
    let typed = program.check(&inputs(r#"{"a": "x", "b": "y", "c": 1}"#));

    assert!(untyped.is_ok(), "{untyped:?}");
    assert_eq!(typed.unwrap_err().mistyped[0].pointer, "/c");
}

#[test]
fn short_forms_of_retries_cache_and_lm_are_read() {
    let rest = "signatures: {qa: {inputs: [a], outputs: [b]}}";

    let program = load(&format!("lm: dummy/x\nretries: 3\ncache: false\ntimeout: 1.5m\n{rest}"));

    assert_eq!(program.lm.settings.model.as_deref(), Some("dummy/x"));
    assert_eq!(program.retries.max, Some(3));
    assert!(!program.cache.enabled);
    assert_eq!(program.timeout, Some(Duration::from_secs(90)));
}

#[test]
fn of_several_signatures_main_runs() {
    let text = "signatures:\n  other: {inputs: [a], outputs: [b]}\n  \
                main: {inputs: [c], outputs: [d]}\n";

    assert_eq!(native(&load(text)).signature.name, "main");
}

/// As the model loader of the seed's time was given its programs.
const OLD: &str = "
name: email-assistant
version: 1.0.0
description: An email assistant
author: A team
source:
  type: local
  path: ./models/email_assistant.py
  class_name: EmailAssistant
  format: python
signatures:
  draft:
    inputs: [recipient, subject]
    outputs: [email_body]
    description: Draft an email
    examples:
      - input: {recipient: john@example.com, subject: Meeting}
        output: {email_body: Hi John}
  revise:
    inputs: [email_body, feedback]
    outputs: [better_email]
chains:
  assist:
    description: All of it
    steps: [draft, revise]
    input_signature: draft
    output_signature: revise
    max_iterations: 3
  quick: [draft]
model_config: {temperature: 0.7, max_tokens: 2000, model_name: gpt-4}
metrics: [coherence]
metadata: {task: email, performance: {accuracy: 0.92}}
hokusai_token: {token_id: x, benchmark_value: 0.92}
dependencies: [dspy>=2.0.0, openai>=1.0.0]
";

#[test]
fn a_file_of_the_old_loader_loads_and_says_what_it_needs() {
    let program = load(OLD);
    let Runtime::Python(python) = &program.runtime else { panic!("not Python") };

    assert_eq!(python.source.kind(), "local");
    assert_eq!(python.dependencies, ["dspy>=2.0.0", "openai>=1.0.0"]);
    assert_eq!(python.signatures.len(), 2);
    assert_eq!(program.lm.settings.model.as_deref(), Some("gpt-4"));
    assert_eq!(program.check(&Fields::new()), Ok(()));
    let why = program.runnable().unwrap_err().to_string();
    assert!(why.contains("was registered over HTTP, and names Python code"), "{why}");
}

#[test]
fn every_source_of_python_is_read() {
    for (text, kind) in [
        ("{type: saved, path: state}", "saved"),
        ("{type: mlflow, uri: 'models:/x/3'}", "mlflow"),
        ("mlflow:models:/email-assistant@champion", "mlflow"),
        ("{type: huggingface, repo_id: a/b, filename: m.pkl, revision: main}", "huggingface"),
        ("{type: github, repo: a/b, path: p.py, revision: 1234567}", "github"),
    ] {
        let program = load(&format!("name: x\nspawn: true\nsource: {text}\n"));
        let Runtime::Python(python) = &program.runtime else { panic!("{text}") };
        assert_eq!(python.source.kind(), kind, "{text}");
        assert!(python.spawn);
        let written = serde_json::to_value(&python.source).unwrap();
        assert_eq!(serde_json::from_value::<Source>(written).unwrap(), python.source);
    }
}

#[test]
fn json_is_read_as_yaml_is() {
    let json = r#"{"name":"x","lm":{"model":"dummy/x","seed":-1},
        "signatures":{"qa":{"description":"\u00e9 \ud83d\ude00 \/ \"q\"\n","inputs":{"a":"str"},
        "outputs":["b"]}}}"#;
    let yaml = "name: x\nlm: {model: dummy/x, seed: -1}\nsignatures:\n  qa:\n    \
                description: \"é 😀 / \\\"q\\\"\\n\"\n    inputs: {a: str}\n    outputs: [b]\n";

    let (of_json, of_yaml) = (load(json), load(yaml));

    assert_eq!(of_json, of_yaml);
    assert_eq!(native(&of_json).signature.instructions, "é 😀 / \"q\"");
}

#[test]
fn aliases_copy_what_their_anchor_holds() {
    let text = "signatures:\n  main: &it {inputs: [a], outputs: [b]}\n  other: *it\n";

    assert_eq!(native(&load(text)).signature.name, "main");
}

#[test]
fn the_digest_tells_another_content_and_no_other_layout() {
    let one = load("name: x\nsignatures: {qa: {inputs: [a, b], outputs: [c]}}");
    let same = load(
        "# a comment\nname:   \"x\"\nsignatures:\n  qa:\n    inputs:\n    - a\n    \
                     - b\n    outputs: [c]\n",
    );
    let swapped = load("name: x\nsignatures: {qa: {inputs: [b, a], outputs: [c]}}");

    assert_eq!(one.digest, same.digest);
    assert_ne!(one.digest, swapped.digest);
    assert_eq!(one.digest.len(), 64);
}

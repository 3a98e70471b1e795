//! The example programs load, and are called as the documents call them.

#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use std::{path::Path, time::Duration};

use dspy::{DummyLm, Fields, LmSettings, ModuleKind, Run, Trace};
use programs::{Registry, Runtime};
use serde_json::{Value, json};

fn examples() -> Registry {
    Registry::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/programs"))
}

fn fields(value: Value) -> Fields {
    serde_json::from_value(value).unwrap()
}

#[test]
fn every_example_loads() {
    let registry = examples();

    let ids: Vec<String> = registry.list().iter().map(|it| it.id.clone()).collect();

    assert_eq!(registry.problems(), []);
    assert_eq!(ids, ["echo", "email-assistant-v1", "qa", "sentiment", "summarizer-v2"]);
    for program in registry.list() {
        assert_eq!(program.runnable(), Ok(()), "{}", program.id);
        let model = program.lm.settings.model.clone().unwrap_or_default();
        assert!(model.starts_with("dummy/"), "{} asks {model}", program.id);
    }
}

#[test]
fn the_email_assistant_takes_what_the_documents_send() {
    let program = examples().get("email-assistant-v1").unwrap();
    let single = json!({
        "recipient": "john@example.com",
        "subject": "Meeting Follow-up",
        "context": "Discussed Q4 targets",
    });
    let of_a_batch = json!({"recipient": "john@example.com", "subject": "Meeting"});

    assert_eq!(program.check(&fields(single)), Ok(()));
    assert_eq!(program.check(&fields(of_a_batch)), Ok(()));
    let missing = program.check(&fields(json!({"context": "x"}))).unwrap_err();
    assert_eq!(missing.to_string(), "Missing required input fields: ['recipient', 'subject']");
    assert_eq!(program.timeout, Some(Duration::from_secs(300)));
    assert_eq!(program.retries.max, Some(2));
    assert_eq!(program.cache.ttl, Some(Duration::from_secs(86_400)));
}

#[test]
fn the_summarizer_takes_a_text() {
    let program = examples().get("summarizer-v2").unwrap();

    assert_eq!(program.check(&fields(json!({"text": "Long document 1..."}))), Ok(()));
    assert_eq!(program.manifest().signatures[0].outputs[0].name, "summary");
}

#[test]
fn the_manifest_of_the_sentiment_program_is_typed() {
    let program = examples().get("sentiment").unwrap();

    let manifest = serde_json::to_value(program.manifest()).unwrap();

    assert_eq!(manifest["program_id"], "sentiment");
    assert_eq!(manifest["runtime"], "native");
    assert_eq!(manifest["signatures"][0]["module"], "chain_of_thought");
    assert_eq!(manifest["signatures"][0]["inputs"][1]["required"], false);
    assert_eq!(manifest["input_schema"]["required"], json!(["text"]));
    let outputs = &manifest["output_schema"];
    let required = json!(["reasoning", "sentiment", "confidence", "keywords"]);
    assert_eq!(outputs["required"], required);
    let choices = &outputs["properties"]["sentiment"]["enum"];
    assert_eq!(choices, &json!(["positive", "neutral", "negative"]));
}

#[test]
fn the_sentiment_program_reads_as_the_model_sees_it() {
    let program = examples().get("sentiment@1.0.0").unwrap();
    let Runtime::Native(module) = &program.runtime else { panic!("not native") };
    let predictor = module.predictors()[0];

    assert_eq!(predictor.module, ModuleKind::ChainOfThought);
    assert_eq!(predictor.lm.temperature, Some(0.0));
    let confidence = &predictor.signature.outputs[1];
    let bounds = "greater than or equal to: 0, less than or equal to: 1";
    assert_eq!(confidence.constraints.as_deref(), Some(bounds));
    assert_eq!(predictor.demos[0].0["confidence"], json!(0.95));
}

#[tokio::test]
async fn every_example_answers_without_a_network() {
    for (id, inputs, outputs) in [
        ("email-assistant-v1", json!({"recipient": "a", "subject": "b"}), vec!["email_body"]),
        ("summarizer-v2", json!({"text": "a"}), vec!["summary"]),
        (
            "sentiment",
            json!({"text": "a"}),
            vec!["reasoning", "sentiment", "confidence", "keywords"],
        ),
        ("qa", json!({"question": "a"}), vec!["reasoning", "answer"]),
        ("echo", json!({"text": "a"}), vec!["reply"]),
    ] {
        let program = examples().get(id).unwrap();
        let Runtime::Native(module) = &program.runtime else { panic!("{id} is not native") };
        let (overrides, trace) = (LmSettings::default(), Trace::off());
        let run = Run::new(&DummyLm, &overrides, &trace);

        let prediction = module.run(&fields(inputs), run).await;

        let prediction = prediction.unwrap_or_else(|e| panic!("{id}: {e}"));
        assert!(prediction.outputs.keys().eq(outputs), "{id}: {:?}", prediction.outputs);
    }
}

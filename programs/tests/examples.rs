//! The example programs load, and are called as the documents call them.

#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use std::{path::Path, time::Duration};

use async_trait::async_trait;
use dspy::{
    DummyLm, Embedder, Fields, LmError, LmSettings, ModuleKind, Prediction, Run, Tool, ToolError,
    Tools, Trace,
};
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
    let known = [
        "agent",
        "contacts",
        "digest",
        "echo",
        "email-assistant-v1",
        "grader",
        "haiku",
        "photo",
        "qa",
        "sentiment",
        "summarizer-v2",
        "triage",
        "vote",
        "writer",
    ];
    assert_eq!(ids, known);
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

/// The tools of the examples, without a network.
struct Weather;

#[async_trait]
impl Tools for Weather {
    async fn list(&self, sources: &[String]) -> Result<Vec<Tool>, ToolError> {
        assert_eq!(sources, ["weather"]);
        let args = fields(json!({"city": {"type": "string"}}));
        let (name, desc) = ("weather".to_owned(), "The weather".to_owned());
        Ok(vec![Tool { name, desc, args, has_kwargs: false }])
    }

    async fn call(&self, _: &[String], name: &str, _: &Fields) -> Result<Value, ToolError> {
        assert_eq!(name, "weather");
        Ok("sunny".into())
    }
}

/// A text's vector: how often it has each vowel.
struct Vowels;

#[async_trait]
impl Embedder for Vowels {
    async fn embed(&self, model: &str, texts: &[String]) -> Result<Vec<Vec<f32>>, LmError> {
        assert_eq!(model, "openai/text-embedding-3-small");
        let count = |text: &String, vowel| text.matches(vowel).map(|_| 1.0).sum();
        let vector = |it: &String| "aeiou".chars().map(|vowel| count(it, vowel)).collect();
        Ok(texts.iter().map(vector).collect())
    }
}

async fn answer(id: &str, inputs: Value) -> Prediction {
    let program = examples().get(id).unwrap();
    let Runtime::Native(module) = &program.runtime else { panic!("{id} is not native") };
    let (overrides, trace) = (LmSettings::default(), Trace::off());
    let run = Run::new(&DummyLm, &overrides, &trace);
    let run = Run { tools: &Weather, embedder: &Vowels, ..run };
    let inputs = fields(inputs);
    program.check(&inputs).unwrap_or_else(|e| panic!("{id}: {e}"));
    module.run(&inputs, run).await.unwrap_or_else(|e| panic!("{id}: {e}"))
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
        ("agent", json!({"question": "a"}), vec!["trajectory", "reasoning", "answer"]),
        ("contacts", json!({"text": "a"}), vec!["people", "lead"]),
        ("digest", json!({"documents": ["a", "b"]}), vec!["summaries", "conclusion"]),
        ("grader", json!({"question": "a"}), vec!["answer"]),
        ("grader#grade", json!({"question": "a", "answer": "b"}), vec!["reasoning", "score"]),
        ("haiku", json!({"topic": "rain"}), vec!["reasoning", "haiku"]),
        ("photo", json!({"picture": "https://example.com/a.png"}), vec!["caption", "seen_at"]),
        ("triage", json!({"message": "a"}), vec!["team"]),
        ("vote", json!({"question": "a"}), vec!["reasoning", "answer"]),
        ("writer", json!({"topic": "a"}), vec!["text", "score"]),
        ("writer#critique", json!({"topic": "a", "text": "b"}), vec!["criticism", "score"]),
    ] {
        let prediction = answer(id, inputs).await;

        assert!(prediction.outputs.keys().eq(outputs), "{id}: {:?}", prediction.outputs);
    }
}

#[tokio::test]
async fn a_map_makes_a_summary_of_each_document() {
    let documents = json!({"documents": ["one", "two", "three"]});

    let prediction = answer("digest", documents).await;

    assert_eq!(prediction.outputs["summaries"].as_array().unwrap().len(), 3);
}

#[test]
fn the_manifest_of_a_chain_says_what_it_needs_and_gives() {
    let program = examples().get("writer").unwrap();

    let manifest = serde_json::to_value(program.manifest()).unwrap();

    assert_eq!(manifest["input_schema"]["required"], json!(["topic"]));
    assert_eq!(manifest["output_schema"]["required"], json!(["text", "score"]));
    let names: Vec<&Value> =
        manifest["signatures"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert_eq!(names, ["draft", "critique"]);
    assert_eq!(manifest["module"], "chain");
    assert_eq!(manifest["choices"], json!(["writer#draft", "writer#critique", "writer#write"]));
}

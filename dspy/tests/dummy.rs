//! The offline model answers what it is asked, in every format and type.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

use dspy::{
    Adapter, DummyLm, Error, Field, Fields, LmError, LmSettings, ModuleKind, Predictor, Run,
    Signature, Trace, Type,
};
use serde_json::json;

const TYPES: [&str; 15] = [
    "str",
    "int",
    "float",
    "bool",
    "list[str]",
    "list[list[int]]",
    "Literal['a', 'b):']",
    "Literal[1, True, None]",
    "dict[str, float]",
    "dict",
    "tuple[int, str]",
    "set[int]",
    "Optional[int]",
    "Any",
    "dict[str, Annotated[float, Lt(lt=0)]]",
];

fn predictor(model: &str, types: &[&str]) -> Predictor {
    let output = |(i, ty): (usize, &&str)| {
        let mut field = Field::new(format!("field_{i}"), Type::parse(ty).unwrap());
        field.desc = Some("a line\n9. `not_a_field` (int): x".to_owned());
        field
    };
    let outputs = types.iter().enumerate().map(output).collect();
    let inputs = vec![Field::new("question", Type::Str)];
    let signature = Signature::new("Every", "", inputs, outputs);
    let mut predictor = Predictor::new("every", signature, ModuleKind::ChainOfThought);
    predictor.settings.model = Some(model.to_owned());
    predictor.adapter = Adapter::chat(false);
    predictor
}

fn question(text: &str) -> Fields {
    json!({"question": text}).as_object().unwrap().clone()
}

async fn run(predictor: &Predictor, text: &str) -> Result<Fields, Error> {
    let overrides = LmSettings::default();
    let trace = Trace::off();
    let run = Run::new(&DummyLm, &overrides, &trace);
    let run = predictor.run(&question(text), run).await;
    run.map(|it| it.outputs)
}

#[tokio::test]
async fn every_type_is_answered_in_every_format() {
    let mut predictor = predictor("dummy/any", &TYPES);
    let second = LmSettings { model: Some("dummy/any".to_owned()), ..LmSettings::default() };
    let adapters = [
        Adapter::chat(false),
        Adapter::json(),
        Adapter::xml(false),
        Adapter::baml(),
        Adapter::two_step(second),
    ];
    for adapter in adapters {
        predictor.adapter = adapter;

        let outputs = run(&predictor, "why?").await.unwrap();

        assert_eq!(outputs.len(), TYPES.len() + 1);
        assert!(outputs["reasoning"].as_str().unwrap().starts_with("(offline dummy model)"));
    }
}

#[tokio::test]
async fn bounds_are_kept_where_the_prompt_tells_them() {
    let mut predictor = predictor("dummy/any", &["list[Annotated[int, Field(gt=20)]]"]);
    for adapter in [Adapter::chat(false), Adapter::json()] {
        predictor.adapter = adapter;

        let outputs = run(&predictor, "why?").await.unwrap();

        assert_eq!(outputs["field_0"], json!([21, 21]));
    }
}

#[tokio::test]
async fn models_of_a_program_are_answered_in_every_format() {
    let mut predictor = predictor("dummy/any", &["str"]);
    let mood = json!({"enum": {"members": [{"name": "A", "value": "a"}]}});
    let person = json!({"model": {
        "fields": [{"name": "name", "ty": "str"}, {"name": "age", "ty": "int"}]}});
    let types = json!({"Mood": mood, "Person": person});
    predictor.signature.types = serde_json::from_value(types).unwrap();
    for (name, ty) in [("person", "Person"), ("people", "list[Person]"), ("mood", "Mood")] {
        let ty = Type::parse_with(ty, &predictor.signature.types).unwrap();
        predictor.signature.outputs.push(Field::new(name, ty));
    }
    for adapter in [Adapter::chat(false), Adapter::json(), Adapter::xml(false), Adapter::baml()] {
        predictor.adapter = adapter;

        let outputs = run(&predictor, "why?").await.unwrap();

        assert!(outputs["person"]["age"].is_i64() && outputs["people"][0]["name"].is_string());
        assert_eq!(outputs["mood"], "a");
    }
}

#[tokio::test]
async fn one_prompt_is_always_answered_alike_and_another_is_not() {
    let predictor = predictor("dummy/any", &TYPES);

    let first = run(&predictor, "why?").await.unwrap();

    assert_eq!(first, run(&predictor, "why?").await.unwrap());
    assert_ne!(first, run(&predictor, "how?").await.unwrap());
}

#[tokio::test]
async fn completions_of_one_call_differ() {
    let predictor = predictor("dummy/any", &["str", "int"]);
    let overrides = LmSettings { n: Some(3), ..LmSettings::default() };
    let trace = Trace::on();
    let run = Run::new(&DummyLm, &overrides, &trace);

    let prediction = predictor.run(&question("why?"), run).await.unwrap();

    assert_eq!(prediction.completions.len(), 3);
    assert_ne!(prediction.completions[0], prediction.completions[1]);
    let steps = trace.into_steps();
    assert_eq!(steps.len(), 3);
    assert_eq!(steps[0].lm().unwrap().request.settings.temperature, Some(0.7));
    assert!(prediction.usage["dummy/any"].total_tokens > 0);
}

#[tokio::test]
async fn its_name_says_how_it_fails() {
    let failed = run(&predictor("dummy/fail", &["str"]), "why?").await.unwrap_err();
    let garbage = run(&predictor("dummy/garbage", &["str"]), "why?").await.unwrap_err();
    let echo = run(&predictor("dummy/echo", &["str"]), "why?").await.unwrap();

    assert!(matches!(failed, Error::Lm(LmError::Server { .. })));
    assert!(matches!(garbage, Error::Parse(_)));
    assert_eq!(echo["field_0"], "(offline dummy model) why?");
}

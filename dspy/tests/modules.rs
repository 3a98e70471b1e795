//! Strategies over predictors, told with a model and tools that follow a script.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

use std::sync::Mutex;

use async_trait::async_trait;
use dspy::{
    BestOfN, Chain, ChainStep, Error, Field, Fields, Lm, LmError, LmReply, LmRequest, LmSettings,
    Module, ModuleKind, Prediction, Predictor, ReAct, Refine, Reward, Run, Signature, Tool,
    ToolError, Tools, Trace, Type, Until, Usage,
};
use serde_json::{Value, json};

/// Answers by what it is asked: the first line of the script whose key is in the last message,
/// each line once.
#[derive(Default)]
struct Script {
    lines: Mutex<Vec<(&'static str, Value)>>,
    asked: Mutex<Vec<LmRequest>>,
}

impl Script {
    fn new(lines: Vec<(&'static str, Value)>) -> Self {
        Self { lines: Mutex::new(lines), asked: Mutex::default() }
    }

    /// The last messages of all requests.
    fn questions(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        let last = asked.iter().map(|it| it.messages.last().unwrap().content.as_str().unwrap());
        last.map(ToOwned::to_owned).collect()
    }

    fn rollouts(&self) -> Vec<Option<i64>> {
        self.asked.lock().unwrap().iter().map(|it| it.settings.rollout_id).collect()
    }
}

#[async_trait]
impl Lm for Script {
    async fn complete(&self, request: &LmRequest) -> Result<LmReply, LmError> {
        self.asked.lock().unwrap().push(request.clone());
        let question = request.messages.last().unwrap().content.as_str().unwrap().to_owned();
        let mut lines = self.lines.lock().unwrap();
        let at = lines.iter().position(|(key, _)| question.contains(key)).unwrap();
        let (_, answer) = lines.remove(at);
        let usage =
            Usage { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5, cached_tokens: 0 };
        let model = "scripted".to_owned();
        Ok(LmReply { text: Some(written(&answer)), usage, model, ..LmReply::default() })
    }
}

/// An object as the chat adapter's sections; a text as it is.
fn written(answer: &Value) -> String {
    let Some(fields) = answer.as_object() else { return answer.as_str().unwrap().to_owned() };
    let section = |(name, value): (&String, &Value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
        format!("[[ ## {name} ## ]]\n{value}\n\n")
    };
    fields.iter().map(section).collect()
}

struct Shop;

#[async_trait]
impl Tools for Shop {
    async fn list(&self, sources: &[String]) -> Result<Vec<Tool>, ToolError> {
        assert_eq!(sources, ["shop"]);
        let args = fields(json!({"item": {"type": "string"}}));
        let (name, desc) = ("price".to_owned(), "The price of an item".to_owned());
        Ok(vec![Tool { name, desc, args, has_kwargs: false }])
    }

    async fn call(&self, _: &[String], _: &str, args: &Fields) -> Result<Value, ToolError> {
        match args["item"].as_str() {
            Some("tea") => Ok(json!({"euro": 2.5})),
            _ => Err(ToolError("sold out".to_owned())),
        }
    }
}

fn fields(value: Value) -> Fields {
    let Value::Object(fields) = value else { panic!("no object: {value}") };
    fields
}

/// A predictor of a text signature: `question -> answer, score: float`.
fn predict(signature: &str, kind: ModuleKind) -> Module {
    let (inputs, outputs) = signature.split_once(" -> ").unwrap();
    let field = |text: &str| match text.split_once(": ") {
        Some((name, ty)) => Field::new(name, Type::parse(ty).unwrap()),
        None => Field::new(text, Type::Str),
    };
    let all = |text: &str| text.split(", ").map(field).collect();
    let signature = Signature::new("S", "", all(inputs), all(outputs));
    let mut predictor = Predictor::new("s", signature, kind);
    predictor.lm.model = Some("scripted".to_owned());
    predictor.adapter = dspy::Adapter::chat(false);
    Module::Predict(Box::new(predictor))
}

struct Told {
    result: Result<Prediction, Error>,
    trace: Trace,
    lm: Script,
}

async fn tell(module: &Module, inputs: Value, lines: Vec<(&'static str, Value)>) -> Told {
    let (lm, trace, overrides) = (Script::new(lines), Trace::on(), LmSettings::default());
    let run = Run { tools: &Shop, ..Run::new(&lm, &overrides, &trace) };
    let result = module.run(&fields(inputs), run).await;
    Told { result, trace, lm }
}

fn chain(steps: Vec<ChainStep>) -> Chain {
    let chain = Chain::new("assist", steps);
    chain.check().unwrap();
    chain
}

fn boxed(chain: Chain) -> Module {
    Module::Chain(Box::new(chain))
}

#[tokio::test]
async fn a_trace_tells_every_step_of_an_agent_in_a_chain_by_its_path() {
    let task = Signature::new(
        "Shop",
        "",
        vec![Field::new("plan", Type::Str)],
        vec![Field::new("bill", Type::Str)],
    );
    let mut agent = ReAct::new(task, vec!["shop".to_owned()]);
    agent.react.lm.model = Some("scripted".to_owned());
    agent.extract.lm.model = Some("scripted".to_owned());
    let module = boxed(chain(vec![
        ChainStep::new("plan", predict("wish -> plan", ModuleKind::ChainOfThought)),
        ChainStep::new("agent", Module::ReAct(Box::new(agent))),
    ]));
    let turn = |tool: &str, args: Value| {
        let thought = "t";
        json!({"next_thought": thought, "next_tool_name": tool, "next_tool_args": args})
    };

    let told = tell(
        &module,
        json!({"wish": "tea"}),
        vec![
            ("wish", json!({"reasoning": "r", "plan": "buy"})),
            ("next_thought", turn("price", json!({"item": "tea"}))),
            ("next_thought", turn("price", json!({"item": "milk"}))),
            ("next_thought", turn("finish", json!({}))),
            ("bill", json!({"reasoning": "r", "bill": "2.5"})),
        ],
    )
    .await;

    let prediction = told.result.unwrap();
    assert_eq!(serde_json::to_value(&told.trace).unwrap()["steps"][2]["kind"], "tool");
    let seen: Vec<_> = told
        .trace
        .into_steps()
        .iter()
        .map(|step| match (step.lm(), step.tool()) {
            (Some(lm), _) => lm.predictor.clone(),
            (_, Some(tool)) => format!("{} {}: {:?}", tool.predictor, tool.name, tool.error),
            (None, None) => unreachable!("a step of no kind"),
        })
        .collect();
    assert_eq!(
        seen,
        [
            "plan.predict",
            "agent.react",
            "agent.react price: None",
            "agent.react",
            "agent.react price: Some(\"Execution error in price: sold out\")",
            "agent.react",
            "agent.react finish: None",
            "agent.extract.predict",
        ]
    );
    assert_eq!(prediction.outputs["bill"], "2.5");
    assert_eq!(prediction.outputs["trajectory"]["observation_0"], json!({"euro": 2.5}));
    assert_eq!(prediction.usage["scripted"].total_tokens, 25);
    let names: Vec<_> = module.named_predictors().into_iter().map(|(path, _)| path).collect();
    assert_eq!(names, ["plan.predict", "agent.react", "agent.extract.predict"]);
}

#[tokio::test]
async fn the_error_of_a_step_names_it() {
    let module = boxed(chain(vec![
        ChainStep::new("draft", predict("topic -> text", ModuleKind::Predict)),
        ChainStep::new("grade", predict("text -> score: int", ModuleKind::Predict)),
    ]));

    let told = tell(
        &module,
        json!({"topic": "x"}),
        vec![("topic", json!({"text": "t"})), ("text", json!({"score": "no number"}))],
    )
    .await;

    let error = told.result.unwrap_err();
    assert!(error.to_string().starts_with("step `grade`: Failed to parse field score"));
    assert!(matches!(error.cause(), Error::Parse(_)));
}

#[tokio::test]
async fn a_map_keeps_the_order_of_its_list() {
    let write = predict("section -> paragraph", ModuleKind::ChainOfThought);
    let step = ChainStep::map("write", write, "sections", "paragraphs", &[]).unwrap();
    let module = boxed(chain(vec![step]));
    let line = |text: &str| json!({"reasoning": "r", "paragraph": text});

    let told = tell(
        &module,
        json!({"sections": ["one", "two", "three"]}),
        vec![("three", line("3")), ("one", line("1")), ("two", line("2"))],
    )
    .await;

    assert_eq!(told.result.unwrap().outputs, fields(json!({"paragraphs": ["1", "2", "3"]})));
    let inputs = module.signature().input_schema();
    assert_eq!(inputs["properties"]["sections"]["items"], json!({"type": "string"}));
}

#[tokio::test]
async fn an_item_that_fails_is_named() {
    let write = predict("section -> paragraph", ModuleKind::Predict);
    let step = ChainStep::map("write", write, "sections", "paragraphs", &[]).unwrap();
    let module = boxed(chain(vec![step]));

    let told = tell(
        &module,
        json!({"sections": ["good", "bad"]}),
        vec![("good", json!({"paragraph": "p"})), ("bad", json!("garbage"))],
    )
    .await;
    let no_list = tell(&module, json!({"sections": "one"}), vec![]).await;

    assert!(told.result.unwrap_err().to_string().starts_with("step `write[1]`: "));
    let error = no_list.result.unwrap_err().to_string();
    assert_eq!(error, "step `write`: `sections` is no list, but 'str'");
}

#[tokio::test]
async fn a_chain_repeats_until_its_condition_holds_and_asks_afresh() {
    let mut repeated = chain(vec![ChainStep::new(
        "draft",
        predict("topic -> text, score: int", ModuleKind::Predict),
    )]);
    repeated.until = Some(Until { condition: "score >= 8".parse().unwrap(), max_iterations: 2 });
    let module = boxed(repeated);
    let line = |score| ("topic", json!({"text": "t", "score": score}));

    let good = tell(&module, json!({"topic": "x"}), vec![line(3), line(9)]).await;
    let bad = tell(&module, json!({"topic": "x"}), vec![line(3), line(4)]).await;

    assert_eq!(good.lm.rollouts(), [None, Some(1)]);
    assert_eq!(good.result.unwrap().warnings, [""; 0]);
    let bad = bad.result.unwrap();
    assert_eq!(bad.outputs["score"], 4);
    assert_eq!(
        bad.warnings,
        ["The chain `assist` stopped after 2 iterations, before `score >= 8` held."]
    );
}

#[tokio::test]
async fn what_nobody_makes_is_found_before_a_chain_runs() {
    let step = || ChainStep::new("draft", predict("topic -> text", ModuleKind::Predict));
    let mut looped = Chain::new("c", vec![step()]);
    looped.until = Some(Until { condition: "len(txt) > 3".parse().unwrap(), max_iterations: 2 });
    let mut chosen = Chain::new("c", vec![step()]);
    chosen.outputs = Some(vec!["summary".to_owned()]);

    let twice = Chain::new("c", vec![step(), step()]).check();

    assert_eq!(looped.check().unwrap_err(), "until: column 5: there is no field `txt`");
    assert_eq!(chosen.check().unwrap_err(), "outputs: no step makes `summary`");
    assert_eq!(twice.unwrap_err(), "there are two steps `draft`");
}

#[tokio::test]
async fn a_judge_chooses_among_attempts_with_rollouts_of_their_own() {
    let Module::Predict(judge) = predict("question, answer -> worth: float", ModuleKind::Predict)
    else {
        unreachable!("a predictor")
    };
    let reward = Reward::Judge { judge, field: "worth".to_owned() };
    let module = Box::new(predict("question -> answer", ModuleKind::Predict));
    reward.check(&module.signature()).unwrap();
    let best = BestOfN { module, n: 3, reward, threshold: 1.0, fail_count: None };
    let module = Module::BestOfN(Box::new(best));

    let told = tell(
        &module,
        json!({"question": "q"}),
        vec![
            ("`[[ ## answer ## ]]`", json!({"answer": "poor"})),
            ("poor", json!({"worth": 0.1})),
            ("`[[ ## answer ## ]]`", json!("garbage")),
            ("`[[ ## answer ## ]]`", json!({"answer": "fine"})),
            ("fine", json!({"worth": 0.9})),
        ],
    )
    .await;

    let prediction = told.result.unwrap();
    assert_eq!(prediction.outputs["answer"], "fine");
    // What failed was paid for, too.
    assert_eq!(prediction.usage["scripted"].total_tokens, 25);
    assert_eq!(told.lm.rollouts(), [Some(0), None, Some(1), Some(2), None]);
    let paths: Vec<_> =
        told.trace.into_steps().iter().map(|it| it.lm().unwrap().predictor.clone()).collect();
    assert_eq!(paths, ["module", "reward", "module", "module", "reward"]);
}

#[tokio::test]
async fn advice_reaches_the_predictor_that_it_is_for() {
    let module = predict("question -> answer", ModuleKind::ChainOfThought);
    let reward = Reward::Regex { field: "answer".to_owned(), pattern: "^[A-Z]".parse().unwrap() };
    let mut refine = Refine::new(module, 2, reward, 1.0);
    refine.feedback.lm.model = Some("scripted".to_owned());
    let module = Module::Refine(Box::new(refine));
    let advice = json!({"predict": "Begin with a capital."});

    let told = tell(
        &module,
        json!({"question": "q"}),
        vec![
            ("`[[ ## answer ## ]]`", json!({"reasoning": "r", "answer": "paris"})),
            ("module_names", json!({"discussion": "d", "advice": advice})),
            ("hint_", json!({"reasoning": "r", "answer": "Paris"})),
        ],
    )
    .await;

    assert_eq!(told.result.unwrap().outputs["answer"], "Paris");
    let questions = told.lm.questions();
    let line = "-".repeat(80);
    let definition = format!(
        "{line}\nModule predict\n\tInput Fields:\n\t\t1. `question` (str):\n\tOutput Fields:\n\
         \t\t1. `reasoning` (str): \n\t\t2. `answer` (str):\n\tOriginal Instructions: \n\
         \t\tGiven the fields `question`, produce the fields `answer`.\n{line}"
    );
    assert!(questions[1].contains(&definition), "{}", questions[1]);
    assert!(questions[1].contains("\"module_name\": \"predict\""));
    assert!(questions[1].contains("reward = 1.0 if re.search('^[A-Z]', answer) else 0.0"));
    assert!(questions[2].contains("[[ ## hint_ ## ]]\nBegin with a capital.\n"));
}

#[tokio::test]
async fn an_agent_without_its_tools_does_not_begin() {
    let task = Signature::new("S", "", vec![Field::new("q", Type::Str)], vec![]);
    let module = Module::ReAct(Box::new(ReAct::new(task, vec!["shop".to_owned()])));
    let (lm, trace, overrides) = (Script::default(), Trace::off(), LmSettings::default());

    let result = module.run(&fields(json!({"q": "x"})), Run::new(&lm, &overrides, &trace)).await;

    let error = result.unwrap_err().to_string();
    assert_eq!(error, "the program's tools cannot be listed: the program has no tools `shop`");
}

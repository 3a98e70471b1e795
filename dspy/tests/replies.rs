//! Replies that are more than text, or less: calls of tools, reasoning, several at once, and those
//! that the package itself falls over.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

use std::sync::Mutex;

use async_trait::async_trait;
use dspy::{
    Adapter, BestOfN, Capabilities, Definition, Enum, EnumMember, Error, Field, Fields,
    FunctionCalling, Lm, LmError, LmReply, LmRequest, LmSettings, Model, ModelField, Module,
    ModuleKind, Prediction, Predictor, Reward, Run, Signature, ToolCall, Trace, Type, Uncaught,
};
use serde_json::{Value, json};

/// Gives its replies in order and keeps what it was asked.
struct Scripted {
    replies: Mutex<Vec<LmReply>>,
    asked: Mutex<Vec<LmRequest>>,
}

#[async_trait]
impl Lm for Scripted {
    async fn complete(&self, request: &LmRequest) -> Result<LmReply, LmError> {
        self.asked.lock().unwrap().push(request.clone());
        Ok(self.replies.lock().unwrap().remove(0))
    }

    fn capabilities(&self, _model: &str) -> Capabilities {
        Capabilities { function_calling: true, ..Capabilities::default() }
    }
}

/// What a call gave, and what was asked for it.
struct Told {
    result: Result<Prediction, Error>,
    asked: Vec<LmRequest>,
}

async fn tell(module: Module, inputs: Value, replies: Vec<LmReply>, over: LmSettings) -> Told {
    let model = Scripted { replies: Mutex::new(replies), asked: Mutex::default() };
    let (inputs, trace) = (fields(inputs), Trace::on());
    let result = module.run(&inputs, Run::new(&model, &over, &trace)).await;
    Told { result, asked: model.asked.into_inner().unwrap() }
}

fn fields(value: Value) -> Fields {
    serde_json::from_value(value).unwrap()
}

fn text(text: &str) -> LmReply {
    LmReply { text: Some(text.to_owned()), ..LmReply::default() }
}

fn calling(name: &str) -> LmReply {
    let call = ToolCall { id: "c1".into(), name: name.into(), args: fields(json!({"q": 1})) };
    LmReply { tool_calls: vec![call], ..LmReply::default() }
}

fn predictor(signature: &str, adapter: Adapter) -> Predictor {
    let signature = Signature::parse("S", signature, &dspy::Definitions::default()).unwrap();
    Predictor { adapter, ..Predictor::new("s", signature, ModuleKind::Predict) }
}

fn temperatures(told: &Told) -> Vec<Option<f64>> {
    told.asked.iter().map(|it| it.settings.temperature).collect()
}

fn at(temperature: f64) -> LmSettings {
    LmSettings { temperature: Some(temperature), ..LmSettings::default() }
}

#[tokio::test]
async fn what_the_package_falls_over_is_not_asked_for_again() {
    let mut predictor = predictor("question -> mood: str", Adapter::xml(true));
    let member = EnumMember { name: "RED".into(), value: "red".into() };
    let definition = Definition::Enum(Enum { members: vec![member], ..Enum::default() });
    predictor.signature.types.0.insert("Mood".to_owned(), definition);
    predictor.signature.outputs[0].ty = Type::Named("Mood".to_owned());
    let replies = vec![text("<mood></mood><mood></mood>")];

    let module = Module::Predict(Box::new(predictor));
    let told = tell(module, json!({"question": "?"}), replies, LmSettings::default()).await;

    let Err(Error::Parse(error)) = told.result else { panic!("an unreadable reply") };
    assert_eq!(error.uncaught, Some(Uncaught::Type));
    assert!(error.to_string().contains("unhashable type: 'list'"), "{error}");
    assert_eq!(told.asked.len(), 1);
}

#[tokio::test]
async fn calls_of_tools_need_no_second_step() {
    let extraction = LmSettings { model: Some("dummy/b".into()), ..LmSettings::default() };
    let calling_on = FunctionCalling::ON;
    let adapter = Adapter::TwoStep { extraction: Box::new(extraction), calling: calling_on };
    let predictor =
        predictor("tools: list[dspy.Tool] -> calls: dspy.ToolCalls, note: str", adapter);
    let tools = json!({"tools": [{"name": "search", "desc": "", "args": {"q": {}}}]});

    let module = Module::Predict(Box::new(predictor));
    let told = tell(module, tools, vec![calling("search")], LmSettings::default()).await;

    let outputs = told.result.unwrap().outputs;
    assert_eq!(outputs["calls"]["tool_calls"][0]["name"], "search");
    assert_eq!(outputs["note"], Value::Null);
    assert_eq!(told.asked.len(), 1);
    // A tool without a description has none, as a function without a docstring.
    let function = &told.asked[0].settings.extra["tools"][0]["function"];
    assert_eq!(function["description"], Value::Null);
}

#[tokio::test]
async fn a_reply_that_was_cut_in_its_calls_is_not_warned_of() {
    let adapter = Adapter::Chat { json_fallback: false, calling: FunctionCalling::ON };
    let module = predictor("tools: list[dspy.Tool] -> calls: dspy.ToolCalls", adapter);
    let reply = LmReply { finish_reason: Some("length".into()), ..calling("search") };
    let tools = json!({"tools": [{"name": "search"}]});

    let module = Module::Predict(Box::new(module));
    let told = tell(module, tools, vec![reply], LmSettings::default()).await;

    assert_eq!(told.result.unwrap().warnings, Vec::<String>::new());
}

#[tokio::test]
async fn several_answers_are_warm_unless_the_model_is_already() {
    let replies = || vec![text("[[ ## answer ## ]]\na"), text("[[ ## answer ## ]]\nb")];
    let two = LmSettings { n: Some(2), ..LmSettings::default() };
    let question = || json!({"question": "?"});
    let with = |lm: LmSettings, settings: LmSettings| {
        let predictor = predictor("question -> answer", Adapter::chat(false));
        Module::Predict(Box::new(Predictor { lm, settings, ..predictor }))
    };

    let cold = tell(with(at(0.1), at(0.0)), question(), replies(), two.clone()).await;
    let warm = tell(with(at(1.0), at(0.0)), question(), replies(), two).await;

    assert_eq!(temperatures(&cold), [Some(0.7); 2]);
    assert_eq!(temperatures(&warm), [Some(0.0); 2]);
}

#[tokio::test]
async fn attempts_have_the_temperature_that_the_request_says() {
    let inner = || {
        Box::new(Module::Predict(Box::new(predictor("question -> answer", Adapter::chat(false)))))
    };
    let best = || {
        Module::BestOfN(Box::new(BestOfN {
            module: inner(),
            n: 2,
            reward: Reward::Expression("len(answer)".parse().unwrap()),
            threshold: 9.0,
            fail_count: None,
        }))
    };
    let replies = || vec![text("[[ ## answer ## ]]\na"), text("[[ ## answer ## ]]\nb")];

    let own = tell(best(), json!({"question": "?"}), replies(), LmSettings::default()).await;
    let said = tell(best(), json!({"question": "?"}), replies(), at(0.3)).await;

    assert_eq!(temperatures(&own), [Some(1.0); 2]);
    assert_eq!(temperatures(&said), [Some(0.3); 2]);
}

#[tokio::test]
async fn an_empty_reply_among_others_is_shown_as_they_are() {
    let predictor = predictor("question -> answer", Adapter::chat(false));
    let reasoned = LmReply { reasoning: Some("hm".into()), ..text("[[ ## answer ## ]]\na") };
    let two = LmSettings { n: Some(2), ..LmSettings::default() };

    let module = Module::Predict(Box::new(predictor));
    let told = tell(module, json!({"question": "?"}), vec![text(""), reasoned], two).await;

    let Err(Error::Parse(error)) = told.result else { panic!("an unreadable reply") };
    assert_eq!(error.reply, "{'text': ''}");
}

fn rendered(adapter: &Adapter, signature: &str, inputs: Value) -> Vec<String> {
    let Predictor { signature, .. } = predictor(signature, adapter.clone());
    let messages = adapter.render(&signature, &[], &fields(inputs)).unwrap();
    messages.iter().map(|it| it.content.as_str().unwrap().to_owned()).collect()
}

#[test]
fn two_steps_print_values_as_python_does() {
    let two_step = Adapter::two_step(LmSettings::default());
    let signature = "images: list[dspy.Image], calls: dspy.ToolCalls, code: dspy.Code, \
                     tool: dspy.Tool, history: dspy.History -> answer";
    let inputs = json!({
        "images": [{"url": "https://x.example/a.png"}, {"url": "data:image/png;base64,aGk="}],
        "calls": {"tool_calls": [{"name": "f", "args": {"q": null}}]},
        "code": {"code": "x = 'y'"},
        "tool": {"name": "f", "desc": "Finds.", "args": {}},
        "history": {"messages": [{"answer": "a"}]},
    });

    let messages = rendered(&two_step, signature, inputs);
    let nothing = rendered(&two_step, "question -> answer", json!({}));

    let expected = "images: [Image(url='https://x.example/a.png'), \
        Image(url=data:image/png;base64,<IMAGE_BASE_64_ENCODED(4)>)]\n\n\
        calls: tool_calls=[ToolCall(id=None, name='f', args={'q': None})] \
        tool_call_results=None\n\n\
        code: code=\"x = 'y'\"\n\n\
        tool: f, whose description is <desc>Finds.</desc>. It takes arguments {}.\n\n\
        history: messages=[{'answer': 'a'}]";
    assert_eq!(messages[1], expected);
    assert_eq!(nothing[1..], [String::new()]);
}

/// A model's field with a default.
fn model_field(name: &str, ty: &str, default: Value) -> ModelField {
    let (ty, bounds) = (Type::parse(ty).unwrap(), serde_json::Map::new());
    ModelField { name: name.into(), alias: None, ty, desc: None, default: Some(default), bounds }
}

#[test]
fn models_are_printed_with_images_and_with_defaults_that_break_a_bound() {
    let mut tags = model_field("tags", "list[str]", json!([]));
    tags.bounds = fields(json!({"min_length": 1}));
    let mut image = model_field("image", "dspy.Image", Value::Null);
    image.default = None;
    let photo = vec![image, model_field("n", "int", json!(3))];
    let model = |fields| Definition::Model(Model { fields, ..Model::default() });
    let mut signature = predictor("x, photos -> answer", Adapter::chat(false)).signature;
    signature.types.0.insert("Short".into(), model(vec![tags]));
    signature.types.0.insert("Photo".into(), model(photo));
    signature.inputs[0].ty = Type::Union(vec![Type::Named("Short".into()), Type::Float]);
    signature.inputs[1].ty = Type::List(Box::new(Type::Named("Photo".into())));
    let inputs = fields(json!({"x": {}, "photos": [{"image": "https://x.example/a"}]}));

    let shown = |adapter: &Adapter| adapter.render(&signature, &[], &inputs).unwrap();
    let two_steps = shown(&Adapter::two_step(LmSettings::default()));
    let few_words = shown(&Adapter::baml());

    let printed = "x: tags=[]\n\nphotos: [Photo(image=Image(url='https://x.example/a'), n=3)]";
    assert_eq!(two_steps[1].content, printed);
    let dumped = "[[ ## x ## ]]\n{\n  \"tags\": []\n}\n\n[[ ## photos ## ]]\n[{\"image\": \"";
    assert_eq!(few_words[1].content[0]["text"], dumped);
}

#[test]
fn an_ellipsis_is_no_output() {
    let adapter = Adapter::chat(true);
    let mut signature = predictor("question -> answer", adapter.clone()).signature;
    signature.outputs[0].ty = Type::Any;

    let read = |text: &str| adapter.parse(&signature, &format!("[[ ## answer ## ]]\n{text}"));
    let error = read("1, ...").unwrap_err();

    assert_eq!(error.uncaught, Some(Uncaught::Type));
    let message = "output `answer[1]` is of type ellipsis, which JSON cannot hold";
    assert_eq!(error.message.as_deref(), Some(message));
    assert_eq!(read("1+2j,").unwrap()["answer"], json!(["1+2j"]));

    // What is missing is told first, as the package tells it.
    signature.outputs.push(Field::new("why", Type::Str));
    let missing = adapter.parse(&signature, "[[ ## answer ## ]]\n1, ...").unwrap_err();
    assert_eq!((missing.uncaught, missing.message), (None, None));
}

#[test]
fn few_words_tell_of_the_classes_of_dspy_too() {
    let signature = "code: dspy.Code -> why: dspy.Reasoning, calls: dspy.ToolCalls";

    let messages = rendered(&Adapter::baml(), signature, json!({"code": "x"}));

    let calls = "`calls` should be of type: {\n  tool_calls: [\n    {\n      \
        id: string or null,\n      name: string,\n      args: dict[string, Any],\n    }\n  ],\n  \
        tool_call_results: Any or null,\n}";
    assert!(messages[0].contains("# Reasoning type in DSPy.\n"), "{}", messages[0]);
    assert!(messages[0].contains("{\n  content: string,\n}"), "{}", messages[0]);
    assert!(messages[0].contains(calls), "{}", messages[0]);
    assert!(messages[1].starts_with("[[ ## code ## ]]\n\"x\"\n"), "{}", messages[1]);
}

#[test]
fn an_empty_element_of_a_class_is_no_text() {
    let adapter = Adapter::xml(false);
    let Predictor { signature, .. } = predictor("question -> why: dspy.Reasoning", adapter.clone());

    let error = adapter.parse(&signature, "<why></why>").unwrap_err();

    assert!(error.to_string().contains("`content` field is required"), "{error}");
}

#[test]
fn one_item_of_no_text_stands_between_quotes() {
    let adapter = Adapter::chat(false);
    let inputs = json!({"question": [{"«q»": true}]});

    let messages = rendered(&adapter, "question -> answer", inputs);

    assert!(messages[1].starts_with("[[ ## question ## ]]\n«{'«q»': True}»\n"), "{}", messages[1]);
}

#[test]
fn a_history_without_calls_is_native_too() {
    let adapter = Adapter::Chat { json_fallback: false, calling: FunctionCalling::ON };
    let signature = "history: dspy.History -> answer, calls: dspy.ToolCalls";
    let call = json!({"id": "c1", "name": "f", "args": {"q": "\u{7f}é"}});
    let turn = |calls: Value, results: Value| {
        let calls = json!({"tool_calls": calls, "tool_call_results": results});
        json!({ "calls": calls })
    };
    let result = json!([{"call_id": "c1", "name": "f", "value": 1}]);
    let turns = json!([turn(json!([]), json!([])), turn(json!([call]), result)]);
    let Predictor { signature, .. } = predictor(signature, adapter.clone());
    let inputs = fields(json!({"history": {"messages": turns}}));

    let messages = adapter.render(&signature, &[], &inputs).unwrap();

    assert_eq!(messages[1].content, json!(""));
    assert_eq!(messages[2].content, Value::Null);
    let written = serde_json::to_value(&messages[2].tool_calls).unwrap();
    assert_eq!(written[0]["function"]["arguments"], "{\"q\":\"\\u007f\\u00e9\"}");
}

#[test]
fn bounds_are_told_in_pydantics_order() {
    let adapter = Adapter::xml(false);
    let Predictor { mut signature, .. } = predictor("question -> k: int", adapter.clone());
    signature.outputs[0].constraints = Some("less than: 5, greater than or equal to: 0".into());

    let error = adapter.parse(&signature, "<k>x</k>").unwrap_err();

    assert!(error.to_string().contains("metadata=[Ge(ge=0), Lt(lt=5)]"), "{error}");
}

#[test]
fn a_field_that_repeats_the_words_of_its_class_does_not_say_them() {
    let field = |name: &str, ty: &str, desc: Option<&str>| ModelField {
        name: name.into(),
        alias: None,
        ty: Type::Named(ty.into()),
        desc: desc.map(Into::into),
        default: None,
        bounds: serde_json::Map::new(),
    };
    let model = |fields, doc: &str| {
        Definition::Model(Model { fields, doc: Some(doc.into()), ..Model::default() })
    };
    let mut signature = predictor("question -> team: str", Adapter::chat(false)).signature;
    let team = vec![field("lead", "Person", Some("Somebody.")), field("aide", "Person", Some("x"))];
    signature.types.0.insert("Person".into(), model(Vec::new(), "Somebody."));
    signature.types.0.insert("Team".into(), model(team, "A team."));
    signature.outputs[0].ty = Type::Named("Team".into());

    let messages = Adapter::chat(false).render(&signature, &[], &Fields::new()).unwrap();

    let system = messages[0].content.as_str().unwrap();
    assert!(system.contains(r##""lead": {"$ref": "#/$defs/Person"}"##), "{system}");
    assert!(system.contains(r##""aide": {"$ref": "#/$defs/Person", "description": "x"}"##));
}

//! The module of a golden case, and the tools that it calls.

use std::sync::Mutex;

use async_trait::async_trait;
use dspy::{
    Adapter, BestOfN, Chain, ChainStep, Demo, Embedder, Fields, FunctionCalling, Knn, LmError,
    LmSettings, Majority, Module, ModuleKind, MultiChainComparison, Predictor, ReAct, Reward,
    Signature, Tool, ToolError, Tools, Until,
};
use serde_json::{Map, Value};

use super::{
    neutral,
    settings::{fields, settings},
};

/// The module of a case; `parameters` are those that the recorder does not keep.
pub(crate) fn module(case: &Value, parameters: &Value) -> Result<Module, String> {
    let program = &case["program"];
    let predictors = program["predictors"].as_object().unwrap();
    let mut module = match program["class"].as_str().unwrap() {
        "Predict" | "ChainOfThought" => {
            let path = predictors.keys().next().ok_or("no predictor")?;
            built(&Value::from(path.as_str()), predictors)?
        }
        "ReAct" => react(program)?,
        class if parameters.is_null() => return Err(format!("module {class}")),
        _ => built(parameters, predictors)?,
    };
    let adapter = adapter(case)?;
    let lm = settings(&case["lm_kwargs"]);
    let lm = LmSettings { model: case["model"].as_str().map(ToOwned::to_owned), ..lm };
    for (path, predictor) in module.named_predictors_mut() {
        let recorded = predictors.get(&path).or_else(|| predictors.get(&predictor.name));
        let neutral = recorded.ok_or_else(|| format!("no predictor {path}"))?;
        let demos = case["call_kwargs"].get("demos").unwrap_or(&neutral["demos"]);
        predictor.demos = demos.as_array().unwrap().iter().map(|it| Demo(fields(it))).collect();
        predictor.settings = settings(&neutral["config"]);
        predictor.adapter = adapter.clone();
        predictor.lm = lm.clone();
    }
    Ok(module)
}

/// The module of a description: the path of a predictor, or a strategy with its parameters.
fn built(told: &Value, predictors: &Map<String, Value>) -> Result<Module, String> {
    if let Some(path) = told.as_str() {
        let neutral = predictors.get(path).ok_or_else(|| format!("no predictor {path}"))?;
        return Ok(Module::Predict(Box::new(predictor(path, neutral)?)));
    }
    let inner = |name: &str| built(&told[name], predictors);
    let count = |name: &str| told[name].as_u64().and_then(|it| u32::try_from(it).ok());
    if told.get("best_of_n").is_some() {
        let reward = told["reward"].as_str().unwrap().parse().unwrap();
        let best = BestOfN {
            module: Box::new(inner("best_of_n")?),
            n: count("n").unwrap(),
            reward: Reward::Expression(reward),
            threshold: told["threshold"].as_f64().unwrap(),
            fail_count: count("fail_count"),
        };
        best.reward.check(&best.module.signature())?;
        return Ok(Module::BestOfN(Box::new(best)));
    }
    if told.get("majority").is_some() {
        let field = told["field"].as_str().map(ToOwned::to_owned);
        let module = Box::new(inner("majority")?);
        return Ok(Module::Majority(Box::new(Majority { module, n: count("n").unwrap(), field })));
    }
    if told.get("multi_chain_comparison").is_some() {
        let module = inner("multi_chain_comparison")?;
        let mut signature = module.signature();
        signature.outputs.remove(0);
        let mut all = MultiChainComparison::new(&signature, module, count("m").unwrap(), 0.7);
        all.predict.name = told["compare"].as_str().unwrap().into();
        return Ok(Module::MultiChainComparison(Box::new(all)));
    }
    if told.get("knn").is_some() {
        let examples = told["examples"].as_array().unwrap().iter().map(|it| Demo(fields(it)));
        let k = usize::try_from(told["k"].as_u64().unwrap()).unwrap();
        return Ok(Module::Knn(Box::new(Knn::new(
            inner("knn")?,
            examples.collect(),
            k,
            "letters",
        ))));
    }
    chain(told, predictors)
}

fn chain(told: &Value, predictors: &Map<String, Value>) -> Result<Module, String> {
    let mut steps = Vec::new();
    for told in told["chain"].as_array().unwrap() {
        let module = built(&told["module"], predictors)?;
        let name = told["step"].as_str().unwrap();
        steps.push(match (told["over"].as_str(), told["into"].as_str()) {
            (Some(over), Some(into)) => ChainStep::map(name, module, over, into, &["topic"])?,
            _ => ChainStep::new(name, module),
        });
    }
    let mut chain = Chain::new("chain", steps);
    let names = told["outputs"].as_array();
    chain.outputs = names.map(|it| it.iter().map(|it| it.as_str().unwrap().into()).collect());
    if let Some(condition) = told["until"].as_str() {
        let max_iterations = u32::try_from(told["max_iterations"].as_u64().unwrap()).unwrap();
        chain.until = Some(Until { condition: condition.parse().unwrap(), max_iterations });
    }
    chain.check()?;
    Ok(Module::Chain(Box::new(chain)))
}

/// A predictor: one that lies under `predict` belongs to a `ChainOfThought`.
fn predictor(path: &str, neutral: &Value) -> Result<Predictor, String> {
    let mut signature = neutral::signature(&neutral["signature"])?;
    let is_thinking = path == "predict" || path.ends_with(".predict");
    let module = if is_thinking { ModuleKind::ChainOfThought } else { ModuleKind::Predict };
    if is_thinking {
        signature.outputs.remove(0);
    }
    Ok(Predictor::new(path, signature, module))
}

fn react(program: &Value) -> Result<Module, String> {
    let signature: Signature = neutral::signature(&program["signature"])?;
    let mut agent = ReAct::new(signature, vec!["recorded".to_owned()]);
    agent.max_iters = u32::try_from(program["max_iters"].as_u64().unwrap()).unwrap();
    Ok(Module::ReAct(Box::new(agent)))
}

fn adapter(case: &Value) -> Result<Adapter, String> {
    Ok(match (case["adapter"].as_str().unwrap(), &case["adapter_options"]) {
        ("ChatAdapter", options) => Adapter::Chat {
            json_fallback: options["use_json_adapter_fallback"] != false,
            calling: calling(options, FunctionCalling::OFF),
        },
        ("JSONAdapter", options) => {
            Adapter::Json { calling: calling(options, FunctionCalling::ON) }
        }
        ("XMLAdapter", options) => Adapter::Xml {
            json_fallback: options["use_json_adapter_fallback"] != false,
            calling: calling(options, FunctionCalling::OFF),
        },
        ("BAMLAdapter", options) => {
            Adapter::Baml { calling: calling(options, FunctionCalling::ON) }
        }
        ("TwoStepAdapter", options) => Adapter::TwoStep {
            extraction: Box::new(extraction(case)),
            calling: calling(options, FunctionCalling::OFF),
        },
        (other, _) => return Err(format!("adapter {other}")),
    })
}

/// The settings of the second model of two steps. A case does not name them: they are what was
/// sent to it.
fn extraction(case: &Value) -> LmSettings {
    let last = case["requests"].as_array().and_then(|it| it.last()).unwrap_or(&Value::Null);
    let mut body = fields(&last["body"]);
    body.remove("messages");
    body.remove("response_format");
    if let Some(longest) = body.remove("max_completion_tokens") {
        body.insert("max_tokens".to_owned(), longest);
    }
    let model = match body.remove("model") {
        Some(Value::String(model)) => Some(format!("openai/{model}")),
        _ => case["model"].as_str().map(ToOwned::to_owned),
    };
    LmSettings { model, ..settings(&Value::Object(body)) }
}

fn calling(options: &Value, default: FunctionCalling) -> FunctionCalling {
    FunctionCalling {
        native: options["use_native_function_calling"].as_bool().unwrap_or(default.native),
        parallel: options["parallel_tool_calls"].as_bool(),
    }
}

/// The recorded tools of a case: each call gives the next of the recorded observations.
pub(crate) struct RecordedTools {
    tools: Vec<Tool>,
    observations: Mutex<Vec<Value>>,
}

impl RecordedTools {
    /// `parameters` name the observations where the agent forgot some of them.
    pub(crate) fn new(case: &Value, parameters: &Value) -> Self {
        let tools = case["program"]["tools"].as_object().into_iter().flatten();
        let tools = tools.map(|(name, it)| Tool {
            name: name.clone(),
            desc: it["desc"].as_str().unwrap_or_default().to_owned(),
            args: fields(&it["args"]),
            has_kwargs: false,
        });
        let trajectory = fields(&case["output"]["trajectory"]).into_iter();
        let seen = trajectory
            .filter(|(name, it)| name.starts_with("observation_") && !is_refusal(it))
            .map(|(_, it)| it);
        let mut observations = match parameters["observations"].as_array() {
            Some(observations) => observations.clone(),
            None => seen.collect(),
        };
        observations.reverse();
        let tools = tools.filter(|it| it.name != "finish").collect();
        Self { tools, observations: Mutex::new(observations) }
    }
}

/// Whether a call was refused before the tool was called.
fn is_refusal(observation: &Value) -> bool {
    let text = observation.as_str().unwrap_or_default();
    text.starts_with("Execution error in ") && text.contains("ValueError: Arg ")
}

#[async_trait]
impl Tools for RecordedTools {
    async fn list(&self, sources: &[String]) -> Result<Vec<Tool>, ToolError> {
        assert_eq!(sources, ["recorded"]);
        Ok(self.tools.clone())
    }

    async fn call(
        &self,
        _sources: &[String],
        name: &str,
        _args: &Fields,
    ) -> Result<Value, ToolError> {
        let mut observations = self.observations.lock().unwrap();
        let observation = observations.pop().ok_or_else(|| ToolError("one call more".into()))?;
        let failed = observation.as_str().map(without_traceback);
        let failed = failed.as_deref().and_then(|it| it.strip_prefix("Execution error in "));
        match failed.and_then(|it| it.strip_prefix(name)?.strip_prefix(": ")) {
            Some(why) => Err(ToolError(why.to_owned())),
            None => Ok(observation),
        }
    }
}

/// Counts letters: the embedder that the case of `dspy.KNN` was recorded with.
pub(crate) struct Letters;

#[async_trait]
impl Embedder for Letters {
    async fn embed(&self, _model: &str, texts: &[String]) -> Result<Vec<Vec<f32>>, LmError> {
        let count = |text: &String, letter| {
            let count = text.matches(letter).count();
            f32::from(u16::try_from(count).unwrap())
        };
        Ok(texts.iter().map(|it| ["a", "b", "c"].map(|letter| count(it, letter)).into()).collect())
    }
}

/// What the package says of an error, without the traceback that it puts into the prompt and the
/// log: `Execution error in add: no`. This is the one text that we write otherwise.
pub(crate) fn without_traceback(text: &str) -> String {
    const TRACEBACK: &str = ": \nTraceback (most recent call last):\n";
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(TRACEBACK) {
        let end = after.find("\n\n[[ ## ").unwrap_or(after.len());
        let (traceback, following) = after.split_at(end);
        out.push_str(before);
        out.push_str(": ");
        out.push_str(message_of(traceback));
        rest = following;
    }
    out + rest
}

/// The message of the last error in a traceback.
fn message_of(traceback: &str) -> &str {
    let is_type = |it: &str| {
        !it.is_empty() && it.chars().all(|c| c.is_alphanumeric() || c == '.' || c == '_')
    };
    let mut message = traceback;
    let mut at = 0;
    for line in traceback.split_inclusive('\n') {
        if let Some((ty, _)) = line.split_once(": ").filter(|(ty, _)| is_type(ty)) {
            message = &traceback[at + ty.len() + 2..];
        }
        at += line.len();
    }
    message
}

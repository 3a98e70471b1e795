//! The module of a golden case, and the tools that it calls.

use std::sync::Mutex;

use async_trait::async_trait;
use dspy::{
    Adapter, Demo, Fields, FunctionCalling, LmSettings, Module, ModuleKind, Predictor, ReAct,
    Signature, Tool, ToolError, Tools,
};
use serde_json::{Map, Value};

use super::{neutral, plain::plain};

/// The module of a case; `parameters` are those that the recorder does not keep.
pub(crate) fn module(case: &Value, _parameters: &Value) -> Result<Module, String> {
    let program = &case["program"];
    let predictors = program["predictors"].as_object().unwrap();
    let mut module = match program["class"].as_str().unwrap() {
        "Predict" | "ChainOfThought" => sole(predictors)?,
        "ReAct" => react(program)?,
        class => return Err(format!("module {class}")),
    };
    let adapter = adapter(case)?;
    let lm = settings(&case["lm_kwargs"]);
    let lm = LmSettings { model: case["model"].as_str().map(ToOwned::to_owned), ..lm };
    for (path, predictor) in module.named_predictors_mut() {
        let neutral = predictors.get(&path).ok_or_else(|| format!("no predictor {path}"))?;
        let demos = case["call_kwargs"].get("demos").unwrap_or(&neutral["demos"]);
        predictor.demos = demos.as_array().unwrap().iter().map(|it| Demo(fields(it))).collect();
        predictor.settings = settings(&neutral["config"]);
        predictor.adapter = adapter;
        predictor.lm = lm.clone();
    }
    Ok(module)
}

/// A program that is one predictor.
fn sole(predictors: &Map<String, Value>) -> Result<Module, String> {
    let (path, neutral) = predictors.iter().next().ok_or("no predictor")?;
    Ok(Module::Predict(Box::new(predictor(path, neutral)?)))
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
        (other, _) => return Err(format!("adapter {other}")),
    })
}

fn calling(options: &Value, default: FunctionCalling) -> FunctionCalling {
    FunctionCalling {
        native: options["use_native_function_calling"].as_bool().unwrap_or(default.native),
        parallel: options["parallel_tool_calls"].as_bool(),
    }
}

pub(crate) fn fields(value: &Value) -> Fields {
    plain(value).as_object().cloned().unwrap_or_default()
}

/// Settings as the package's keyword arguments give them.
pub(crate) fn settings(kwargs: &Value) -> LmSettings {
    let mut kwargs = fields(kwargs);
    for ours in ["cache", "num_retries", "engine", "use_developer_role"] {
        kwargs.remove(ours);
    }
    let known = ["temperature", "max_tokens", "top_p", "stop", "seed", "n", "rollout_id"];
    let (known, extra): (Map<_, _>, Map<_, _>) =
        kwargs.into_iter().partition(|(name, _)| known.contains(&name.as_str()));
    let mut settings: LmSettings = serde_json::from_value(Value::Object(known)).unwrap();
    settings.extra = extra;
    settings
}

/// The recorded tools of a case: each call gives the next of the recorded observations.
pub(crate) struct RecordedTools {
    tools: Vec<Tool>,
    observations: Mutex<Vec<Value>>,
}

impl RecordedTools {
    pub(crate) fn new(case: &Value) -> Self {
        let tools = case["program"]["tools"].as_object().into_iter().flatten();
        let tools = tools.map(|(name, it)| Tool {
            name: name.clone(),
            desc: it["desc"].as_str().unwrap_or_default().to_owned(),
            args: fields(&it["args"]),
            has_kwargs: false,
        });
        let trajectory = fields(&case["output"]["trajectory"]).into_iter();
        let mut observations: Vec<_> = trajectory
            .filter(|(name, it)| name.starts_with("observation_") && !is_refusal(it))
            .map(|(_, it)| it)
            .collect();
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

/// What the package says of a tool's error, without the traceback that it puts into the prompt:
/// `Execution error in add: no`. This is the one text that we write otherwise.
pub(crate) fn without_traceback(text: &str) -> String {
    const TRACEBACK: &str = ": \nTraceback (most recent call last):\n";
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, traceback)) = rest.split_once(TRACEBACK) {
        out.push_str(before);
        out.push_str(": ");
        // The frames are indented; the first line that is not says the error's type and message.
        let line = traceback.split('\n').find(|it| !it.starts_with(' ')).unwrap_or_default();
        let at = traceback.find(&format!("\n{line}")).map_or(0, |at| at + 1);
        rest = &traceback[at..];
        rest = rest.split_once(": ").map_or(rest, |(_, message)| message);
    }
    out + rest
}

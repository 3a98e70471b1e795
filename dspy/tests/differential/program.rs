//! The program of a case.

use dspy::{
    Adapter, BestOfN, Demo, FunctionCalling, LmSettings, Majority, Module, ModuleKind,
    MultiChainComparison, Predictor, Refine, Reward, Signature,
};
use serde_json::Value;

use crate::{
    neutral,
    settings::{fields, settings},
};

/// The module of a case, or why there is none. `answer` has its signature, written out.
pub(crate) fn module(case: &Value, answer: &Value) -> Result<Module, String> {
    let told = &case["module"];
    let inner = |kind: &Value| predictor(case, answer, kind);
    let count = |name: &str| u32::try_from(told[name].as_u64().unwrap()).unwrap();
    if told.is_string() {
        return Ok(Module::Predict(Box::new(inner(told)?)));
    }
    if told["best_of_n"].is_string() || told["refine"].is_string() {
        let tried = told["best_of_n"].as_str().or_else(|| told["refine"].as_str()).unwrap();
        let module = Box::new(Module::Predict(Box::new(inner(&tried.into())?)));
        let reward = format!("len(str({}))", told["field"].as_str().unwrap());
        let reward = Reward::Expression(reward.parse().map_err(|it| format!("{it}"))?);
        let (n, threshold) = (count("n"), told["threshold"].as_f64().unwrap());
        let fail_count = told["fail_count"].as_u64().map(|it| u32::try_from(it).unwrap());
        if told["best_of_n"].is_string() {
            let best = BestOfN { module, n, reward, threshold, fail_count };
            return Ok(Module::BestOfN(Box::new(best)));
        }
        let mut refine = Refine { fail_count, ..Refine::new(*module, n, reward, threshold) };
        refine.feedback.adapter = adapter(case);
        refine.feedback.lm = lm(case);
        return Ok(Module::Refine(Box::new(refine)));
    }
    if told["majority"].is_string() {
        let module = Box::new(Module::Predict(Box::new(inner(&told["majority"])?)));
        let field = told["field"].as_str().map(ToOwned::to_owned);
        return Ok(Module::Majority(Box::new(Majority { module, n: count("n"), field })));
    }
    let thinks = inner(&told["multi_chain_comparison"])?;
    let (signature, module) = (thinks.signature.clone(), Module::Predict(Box::new(thinks)));
    let mut compares = MultiChainComparison::new(&signature, module, count("m"), 0.7);
    compares.predict.adapter = adapter(case);
    compares.predict.lm = lm(case);
    Ok(Module::MultiChainComparison(Box::new(compares)))
}

/// The predictor that is shown the demos.
pub(crate) fn predictor(case: &Value, answer: &Value, kind: &Value) -> Result<Predictor, String> {
    let mut signature: Signature = neutral::signature(&answer["signature"])?;
    let kind = match kind.as_str().unwrap() {
        "ChainOfThought" => ModuleKind::ChainOfThought,
        _ => ModuleKind::Predict,
    };
    if kind == ModuleKind::ChainOfThought {
        signature.outputs.remove(0);
    }
    let signature = instructed(signature, case);
    let mut predictor = Predictor::new("self", signature, kind);
    predictor.adapter = adapter(case);
    predictor.demos =
        answer["demos"].as_array().unwrap().iter().map(|it| Demo(fields(it))).collect();
    predictor.lm = lm(case);
    predictor.settings = settings(&case["config"]);
    Ok(predictor)
}

/// The signature with the instructions as they were written, before the module changed them.
pub(crate) fn instructed(signature: Signature, case: &Value) -> Signature {
    let written = case["signature"]["instructions"].as_str().unwrap_or_default();
    let Signature { name, inputs, outputs, types, .. } = signature;
    Signature { types, ..Signature::new(name, written, inputs, outputs) }
}

fn lm(case: &Value) -> LmSettings {
    of_model(&case["model"], &case["lm"])
}

fn of_model(model: &Value, kwargs: &Value) -> LmSettings {
    LmSettings { model: model.as_str().map(ToOwned::to_owned), ..settings(kwargs) }
}

fn adapter(case: &Value) -> Adapter {
    let options = &case["options"];
    let json_fallback = options["use_json_adapter_fallback"] != false;
    let calling = |default: FunctionCalling| FunctionCalling {
        native: options["use_native_function_calling"].as_bool().unwrap_or(default.native),
        parallel: options["parallel_tool_calls"].as_bool(),
    };
    let (off, on) = (calling(FunctionCalling::OFF), calling(FunctionCalling::ON));
    match case["adapter"].as_str().unwrap() {
        "JSONAdapter" => Adapter::Json { calling: on },
        "XMLAdapter" => Adapter::Xml { json_fallback, calling: off },
        "BAMLAdapter" => Adapter::Baml { calling: on },
        "TwoStepAdapter" => {
            let second = &case["extraction"];
            let extraction = Box::new(of_model(&second["model"], &second["lm"]));
            Adapter::TwoStep { extraction, calling: off }
        }
        _ => Adapter::Chat { json_fallback, calling: off },
    }
}

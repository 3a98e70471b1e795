//! Modules: strategies of asking.

mod call;
mod chain_of_thought;
mod instance;
mod predict;
mod predictor;
mod warning;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Error, Fields, InputError, Run, Signature, Usage};
pub use predictor::Predictor;

/// How a predictor asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModuleKind {
    /// `dspy.Predict`: asks once.
    #[default]
    Predict,
    /// `dspy.ChainOfThought`: asks for `reasoning` first.
    ChainOfThought,
}

/// A program: one predictor, or a strategy over others.
#[derive(Clone, Debug, PartialEq)]
pub enum Module {
    /// `dspy.Predict`, `dspy.ChainOfThought`
    Predict(Predictor),
}

/// What a module made.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Prediction {
    /// The outputs; with `reasoning` first where the module asked for it.
    ///
    /// What JSON cannot write stands as text: `"NaN"`, `"Infinity"`, `"-Infinity"`.
    pub outputs: Fields,
    /// All completions, where more than one was asked for; the first is `outputs`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub completions: Vec<Fields>,
    /// Tokens used, by model.
    pub usage: BTreeMap<String, Usage>,
    /// What DSPy would log: missing, extra and mistyped inputs, cut replies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl Module {
    /// Its name in program files: `predict`, `chain_of_thought`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Predict(predictor) => predictor.module.name(),
        }
    }

    /// What it takes and gives, with what the module adds.
    pub fn signature(&self) -> Signature {
        match self {
            Self::Predict(predictor) => predictor.full_signature(),
        }
    }

    /// Its predictors.
    pub fn predictors(&self) -> Vec<&Predictor> {
        match self {
            Self::Predict(predictor) => vec![predictor],
        }
    }

    /// Checks that every required input is there and has its type.
    pub fn check_inputs(&self, inputs: &Fields) -> Result<(), InputError> {
        match self {
            Self::Predict(predictor) => predictor.signature.check_inputs(inputs),
        }
    }

    /// Runs it.
    ///
    /// Inputs that are missing or of another type are warned of, as in DSPy; to refuse them, call
    /// [`Module::check_inputs`] first. The future may be dropped at any time.
    pub async fn run(&self, inputs: &Fields, run: Run<'_>) -> Result<Prediction, Error> {
        match self {
            Self::Predict(predictor) => predictor.run(inputs, run).await,
        }
    }
}

impl ModuleKind {
    /// Its name in program files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Predict => "predict",
            Self::ChainOfThought => "chain_of_thought",
        }
    }
}

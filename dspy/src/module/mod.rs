//! Modules: strategies of asking.

mod call;
mod chain_of_thought;
mod instance;
mod predict;
mod warning;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Adapter, Demo, Error, Fields, Lm, LmSettings, Signature, Trace, Usage};

/// The kinds of module that run natively.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModuleKind {
    /// `dspy.Predict`: asks once.
    #[default]
    Predict,
    /// `dspy.ChainOfThought`: asks for `reasoning` first.
    ChainOfThought,
}

/// A module over one signature, ready to run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Predictor {
    /// Its name in traces.
    pub name: String,
    /// What it takes and gives, without what the module adds.
    pub signature: Signature,
    /// How it asks.
    pub module: ModuleKind,
    /// How it writes and reads.
    pub adapter: Adapter,
    /// Examples for the model.
    pub demos: Vec<Demo>,
    /// Settings of its calls.
    pub settings: LmSettings,
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

impl Predictor {
    /// A predictor with the default adapter, no demos and no settings.
    pub fn new(name: impl Into<String>, signature: Signature, module: ModuleKind) -> Self {
        let (adapter, settings) = (Adapter::default(), LmSettings::default());
        Self { name: name.into(), signature, module, adapter, demos: Vec::new(), settings }
    }

    /// What the model is asked with: the signature and what the module adds to it.
    pub fn full_signature(&self) -> Signature {
        match self.module {
            ModuleKind::Predict => predict::signature(&self.signature),
            ModuleKind::ChainOfThought => chain_of_thought::signature(&self.signature),
        }
    }

    /// Asks the model and reads its reply.
    ///
    /// Inputs that are missing or of another type are warned of, as in DSPy; to refuse them, call
    /// [`Signature::check_inputs`] first. The future may be dropped at any time.
    pub async fn run(
        &self,
        inputs: &Fields,
        overrides: &LmSettings,
        lm: &dyn Lm,
        trace: &mut Trace,
    ) -> Result<Prediction, Error> {
        let signature = self.full_signature();
        predict::run(self, &signature, inputs, overrides, lm, trace).await
    }
}

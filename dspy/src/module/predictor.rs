//! A predictor: a signature and how it is asked.

use serde::{Deserialize, Serialize};

use super::{ModuleKind, Prediction, chain_of_thought, predict};
use crate::{Adapter, Demo, Error, Fields, LmSettings, Run, Signature};

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
    pub async fn run(&self, inputs: &Fields, run: Run<'_>) -> Result<Prediction, Error> {
        let signature = self.full_signature();
        predict::run(self, &signature, inputs, run).await
    }
}

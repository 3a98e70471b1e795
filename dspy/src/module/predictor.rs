//! A predictor: a signature and how it is asked.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{Made, ModuleKind, Notes, Prediction, chain_of_thought, predict};
use crate::{Adapter, Demo, Error, Fields, LmSettings, Run, Signature};

/// A module over one signature, ready to run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Predictor {
    /// Its name, for people. Traces name it by its path in the program.
    pub name: String,
    /// What it takes and gives, without what the module adds.
    pub signature: Signature,
    /// How it asks.
    pub module: ModuleKind,
    /// How it writes and reads.
    pub adapter: Adapter,
    /// Examples for the model.
    pub demos: Vec<Demo>,
    /// Settings of the model that it asks: the program's, or its own `lm` in a saved state.
    #[serde(default)]
    pub lm: LmSettings,
    /// Settings of its calls, over those of the model: the `config` of `dspy.Predict`.
    pub settings: LmSettings,
}

impl Predictor {
    /// A predictor with the default adapter, no demos and no settings.
    pub fn new(name: impl Into<String>, signature: Signature, module: ModuleKind) -> Self {
        Self {
            name: name.into(),
            signature,
            module,
            adapter: Adapter::default(),
            demos: Vec::new(),
            lm: LmSettings::default(),
            settings: LmSettings::default(),
        }
    }

    /// What the model is asked with: the signature and what the module adds to it.
    pub fn full_signature(&self) -> Cow<'_, Signature> {
        match self.module {
            ModuleKind::Predict => Cow::Borrowed(&self.signature),
            ModuleKind::ChainOfThought => Cow::Owned(chain_of_thought::signature(&self.signature)),
        }
    }

    /// Asks the model and reads its reply.
    ///
    /// Inputs that are missing or of another type are warned of, as in DSPy; to refuse them, call
    /// [`Signature::check_inputs`] first. The future may be dropped at any time.
    pub async fn run(&self, inputs: &Fields, run: Run<'_>) -> Result<Prediction, Error> {
        let mut notes = Notes::default();
        let made = self.perform(inputs, run, &mut notes).await?;
        Ok(notes.close(made))
    }

    pub(super) async fn perform(
        &self,
        inputs: &Fields,
        run: Run<'_>,
        notes: &mut Notes,
    ) -> Result<Made, Error> {
        let signature = self.full_signature();
        let segment = run.scope.segment("predict");
        let scope = match self.module {
            ModuleKind::Predict => run.scope,
            ModuleKind::ChainOfThought => run.scope.at(&segment),
        };
        predict::run(self, &signature, inputs, Run { scope, ..run }, notes).await
    }
}

//! Modules: strategies of asking.

mod call;
mod chain_of_thought;
mod instance;
mod named;
mod predict;
mod prediction;
mod predictor;
mod react;
mod warning;

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::{Error, Fields, InputError, Run, Signature};
pub use prediction::Prediction;
pub(crate) use prediction::{Ledger, Made};
pub use predictor::Predictor;
pub use react::ReAct;

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
    Predict(Box<Predictor>),
    /// `dspy.ReAct`
    ReAct(Box<ReAct>),
}

impl Module {
    /// Its name in program files: `predict`, `chain_of_thought`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Predict(predictor) => predictor.module.name(),
            Self::ReAct(_) => "react",
        }
    }

    /// What it takes and gives, with what the module adds.
    pub fn signature(&self) -> Signature {
        match self {
            Self::Predict(predictor) => predictor.full_signature(),
            Self::ReAct(agent) => agent.full_signature(),
        }
    }

    /// Its predictors.
    pub fn predictors(&self) -> Vec<&Predictor> {
        self.named_predictors().into_iter().map(|(_, it)| it).collect()
    }

    /// Checks that every required input is there and has its type.
    pub fn check_inputs(&self, inputs: &Fields) -> Result<(), InputError> {
        match self {
            Self::Predict(predictor) => predictor.signature.check_inputs(inputs),
            Self::ReAct(agent) => agent.signature.check_inputs(inputs),
        }
    }

    /// Runs it.
    ///
    /// Inputs that are missing or of another type are warned of, as in DSPy; to refuse them, call
    /// [`Module::check_inputs`] first. The future may be dropped at any time.
    pub async fn run(&self, inputs: &Fields, run: Run<'_>) -> Result<Prediction, Error> {
        let mut ledger = Ledger::default();
        let made = self.perform(inputs, run, &mut ledger).await?;
        Ok(ledger.close(made))
    }

    /// Runs it as a part of another one, which keeps the ledger.
    fn perform<'a>(
        &'a self,
        inputs: &'a Fields,
        run: Run<'a>,
        ledger: &'a mut Ledger,
    ) -> BoxFuture<'a, Result<Made, Error>> {
        match self {
            Self::Predict(predictor) => Box::pin(predictor.perform(inputs, run, ledger)),
            Self::ReAct(agent) => Box::pin(agent.perform(inputs, run, ledger)),
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

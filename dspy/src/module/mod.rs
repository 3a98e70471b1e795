//! Modules: strategies of asking.

mod attempt;
mod best_of_n;
mod call;
mod chain;
mod chain_of_thought;
mod feedback;
mod instance;
mod knn;
mod majority;
mod map;
mod multi_chain_comparison;
mod named;
mod predict;
mod prediction;
mod predictor;
mod react;
mod refine;
mod reward;
mod samples;
mod shape;
mod two_step;
mod warning;

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::{Error, Fields, Run};
pub use best_of_n::BestOfN;
pub use chain::{Chain, ChainStep, Until};
pub(crate) use feedback::{Advice, Calls};
pub use knn::Knn;
pub use majority::Majority;
pub use map::Map;
pub use multi_chain_comparison::MultiChainComparison;
pub use prediction::Prediction;
pub(crate) use prediction::{Made, Notes};
pub use predictor::Predictor;
pub use react::ReAct;
pub use refine::Refine;
pub use reward::Reward;

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
    /// `dspy.BestOfN`, with a declared reward
    BestOfN(Box<BestOfN>),
    /// `dspy.Refine`, with a declared reward
    Refine(Box<Refine>),
    /// `dspy.MultiChainComparison`, over the answers of a module
    MultiChainComparison(Box<MultiChainComparison>),
    /// `dspy.majority`, over the answers of a module
    Majority(Box<Majority>),
    /// `dspy.KNN`, whose neighbours are a module's demos
    Knn(Box<Knn>),
    /// Steps that pass their fields on: what a `forward` of one's own mostly is
    Chain(Box<Chain>),
}

impl Module {
    /// Runs it.
    ///
    /// Inputs that are missing or of another type are warned of, as in DSPy; to refuse them, call
    /// [`Module::check_inputs`] first. The future may be dropped at any time.
    pub async fn run(&self, inputs: &Fields, run: Run<'_>) -> Result<Prediction, Error> {
        let mut notes = Notes::default();
        let made = self.perform(inputs, run, &mut notes).await?;
        Ok(notes.close(made))
    }

    /// Runs it as a part of another one, which keeps the notes.
    fn perform<'a>(
        &'a self,
        inputs: &'a Fields,
        run: Run<'a>,
        notes: &'a mut Notes,
    ) -> BoxFuture<'a, Result<Made, Error>> {
        match self {
            Self::Predict(it) => Box::pin(it.perform(inputs, run, notes)),
            Self::ReAct(it) => Box::pin(it.perform(inputs, run, notes)),
            Self::BestOfN(it) => Box::pin(it.perform(inputs, run, notes)),
            Self::Refine(it) => Box::pin(it.perform(inputs, run, notes)),
            Self::MultiChainComparison(it) => Box::pin(it.perform(inputs, run, notes)),
            Self::Majority(it) => Box::pin(it.perform(inputs, run, notes)),
            Self::Knn(it) => Box::pin(it.perform(inputs, run, notes)),
            Self::Chain(it) => Box::pin(it.perform(inputs, run, notes)),
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

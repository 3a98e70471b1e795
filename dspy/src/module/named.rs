//! The predictors of a module by their paths, as DSPy's `named_predictors` names them.
//!
//! Saved states are laid over by these paths, and traces name the predictors by them.

use super::{Module, ModuleKind, Predictor};

/// A path inside of another one; `self` is the place itself.
fn within(place: &str, path: &str) -> String {
    match (place, path) {
        (place, "self") => place.to_owned(),
        (place, path) => format!("{place}.{path}"),
    }
}

fn own(kind: ModuleKind) -> String {
    match kind {
        ModuleKind::Predict => "self",
        ModuleKind::ChainOfThought => "predict",
    }
    .to_owned()
}

impl Module {
    /// Its predictors with their paths in DSPy's order; of a lone `dspy.Predict` the path is
    /// `self`. What judges or advises is not among them, as in the package.
    pub fn named_predictors(&self) -> Vec<(String, &Predictor)> {
        match self {
            Self::Predict(predictor) => vec![(own(predictor.module), predictor)],
            Self::ReAct(agent) => vec![
                (within("react", &own(agent.react.module)), &agent.react),
                (within("extract", &own(agent.extract.module)), &agent.extract),
            ],
        }
    }

    /// Its predictors with their paths, to be changed.
    pub fn named_predictors_mut(&mut self) -> Vec<(String, &mut Predictor)> {
        match self {
            Self::Predict(predictor) => vec![(own(predictor.module), predictor)],
            Self::ReAct(agent) => vec![
                (within("react", &own(agent.react.module)), &mut agent.react),
                (within("extract", &own(agent.extract.module)), &mut agent.extract),
            ],
        }
    }
}

//! The predictors of a module by their paths, as DSPy's `named_predictors` names them.
//!
//! Saved states are laid over by these paths, and traces name the predictors by them.

use super::{Module, ModuleKind, Predictor, Reward};

/// A path inside of another one; `self` is the place itself.
fn within(place: &str, path: &str) -> String {
    match path {
        "self" => place.to_owned(),
        path => format!("{place}.{path}"),
    }
}

/// The path of a predictor, as an attribute of this name.
fn at(place: &str, predictor: &Predictor) -> String {
    within(place, own(predictor))
}

fn own(predictor: &Predictor) -> &'static str {
    match predictor.module {
        ModuleKind::Predict => "self",
        ModuleKind::ChainOfThought => "predict",
    }
}

impl Module {
    /// Its predictors.
    pub fn predictors(&self) -> Vec<&Predictor> {
        self.named_predictors().into_iter().map(|(_, it)| it).collect()
    }

    /// Its predictors with their paths in DSPy's order; of a lone `dspy.Predict` the path is
    /// `self`. What judges or advises is not among them, as in the package.
    pub fn named_predictors(&self) -> Vec<(String, &Predictor)> {
        match self {
            Self::Predict(it) => vec![(own(it).to_owned(), it.as_ref())],
            Self::ReAct(it) => {
                vec![(at("react", &it.react), &it.react), (at("extract", &it.extract), &it.extract)]
            }
            Self::BestOfN(it) => placed("module", it.module.named_predictors()),
            Self::Refine(it) => placed("module", it.module.named_predictors()),
            Self::MultiChainComparison(it) => {
                let mut all = placed("module", it.module.named_predictors());
                all.push((at("predict", &it.predict), &it.predict));
                all
            }
            Self::Majority(it) => it.module.named_predictors(),
            Self::Knn(it) => it.module.named_predictors(),
            Self::Chain(it) => {
                let steps = it.steps.iter();
                steps.flat_map(|it| placed(&it.name, it.module.named_predictors())).collect()
            }
        }
    }

    /// Its predictors with their paths, to be changed.
    pub fn named_predictors_mut(&mut self) -> Vec<(String, &mut Predictor)> {
        match self {
            Self::Predict(it) => vec![(own(it).to_owned(), it.as_mut())],
            Self::ReAct(it) => vec![
                (at("react", &it.react), &mut it.react),
                (at("extract", &it.extract), &mut it.extract),
            ],
            Self::BestOfN(it) => placed("module", it.module.named_predictors_mut()),
            Self::Refine(it) => placed("module", it.module.named_predictors_mut()),
            Self::MultiChainComparison(it) => {
                let mut all = placed("module", it.module.named_predictors_mut());
                all.push((at("predict", &it.predict), &mut it.predict));
                all
            }
            Self::Majority(it) => it.module.named_predictors_mut(),
            Self::Knn(it) => it.module.named_predictors_mut(),
            Self::Chain(it) => {
                let steps = it.steps.iter_mut();
                steps.flat_map(|it| placed(&it.name, it.module.named_predictors_mut())).collect()
            }
        }
    }

    /// The predictors that judge and advise, to be changed.
    pub fn helpers_mut(&mut self) -> Vec<&mut Predictor> {
        match self {
            Self::Predict(_) | Self::ReAct(_) => Vec::new(),
            Self::BestOfN(it) => {
                let judge = judge(&mut it.reward).into_iter();
                judge.chain(it.module.helpers_mut()).collect()
            }
            Self::Refine(it) => {
                let judge = judge(&mut it.reward).into_iter();
                judge.chain([&mut it.feedback]).chain(it.module.helpers_mut()).collect()
            }
            Self::MultiChainComparison(it) => it.module.helpers_mut(),
            Self::Majority(it) => it.module.helpers_mut(),
            Self::Knn(it) => it.module.helpers_mut(),
            Self::Chain(it) => it.steps.iter_mut().flat_map(|it| it.module.helpers_mut()).collect(),
        }
    }
}

fn judge(reward: &mut Reward) -> Option<&mut Predictor> {
    match reward {
        Reward::Judge { judge, .. } => Some(judge.as_mut()),
        Reward::Expression(_) | Reward::Regex { .. } => None,
    }
}

/// Predictors that lie under a name.
fn placed<P>(place: &str, inner: Vec<(String, P)>) -> Vec<(String, P)> {
    inner.into_iter().map(|(path, it)| (within(place, &path), it)).collect()
}

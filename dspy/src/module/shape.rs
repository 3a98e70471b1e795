//! What a module takes and gives, and what it is called.

use super::Module;
use crate::{Field, Fields, InputError, Signature};

impl Module {
    /// Its name in program files: `predict`, `chain_of_thought`, `react`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Predict(it) => it.module.name(),
            Self::ReAct(_) => "react",
            Self::BestOfN(_) => "best_of_n",
            Self::Refine(_) => "refine",
            Self::MultiChainComparison(_) => "multi_chain_comparison",
            Self::Majority(_) => "majority",
            Self::Knn(_) => "knn",
            Self::Chain(_) => "chain",
        }
    }

    /// What it takes and gives, with what the module adds.
    pub fn signature(&self) -> Signature {
        match self {
            Self::Predict(it) => it.full_signature().into_owned(),
            Self::ReAct(it) => it.full_signature(),
            Self::MultiChainComparison(it) => {
                let asked = it.module.signature();
                let own = it.predict.full_signature().into_owned();
                let mut signature = Signature { inputs: asked.inputs, ..own };
                signature.types.0.extend(asked.types.0);
                signature
            }
            Self::Chain(it) => it.signature(),
            Self::BestOfN(_) | Self::Refine(_) | Self::Majority(_) | Self::Knn(_) => {
                self.inner().map(Self::signature).unwrap_or_default()
            }
        }
    }

    /// What it takes.
    pub(crate) fn inputs(&self) -> Vec<Field> {
        match self {
            Self::Predict(it) => it.signature.inputs.clone(),
            Self::ReAct(it) => it.signature.inputs.clone(),
            Self::Chain(it) => it.inputs(),
            Self::BestOfN(_)
            | Self::Refine(_)
            | Self::MultiChainComparison(_)
            | Self::Majority(_)
            | Self::Knn(_) => self.inner().map(Self::inputs).unwrap_or_default(),
        }
    }

    /// The names of its outputs, without those that the module adds.
    pub(super) fn own_outputs(&self) -> Vec<String> {
        let without = |all: &[Field], added: &[&str]| {
            let names = all.iter().map(|it| it.name.clone());
            names.filter(|it| !added.contains(&it.as_str())).collect()
        };
        match self {
            Self::Predict(it) => without(&it.signature.outputs, &["reasoning"]),
            Self::ReAct(it) => without(&it.signature.outputs, &[]),
            Self::MultiChainComparison(it) => {
                without(&it.predict.signature.outputs, &["rationale"])
            }
            Self::Chain(it) => without(&it.signature().outputs, &[]),
            Self::BestOfN(_) | Self::Refine(_) | Self::Majority(_) | Self::Knn(_) => {
                self.inner().map(Self::own_outputs).unwrap_or_default()
            }
        }
    }

    /// The module that it runs, if it is a strategy over one.
    fn inner(&self) -> Option<&Self> {
        match self {
            Self::BestOfN(it) => Some(&it.module),
            Self::Refine(it) => Some(&it.module),
            Self::MultiChainComparison(it) => Some(&it.module),
            Self::Majority(it) => Some(&it.module),
            Self::Knn(it) => Some(&it.module),
            Self::Predict(_) | Self::ReAct(_) | Self::Chain(_) => None,
        }
    }

    /// Checks that every required input is there and has its type.
    pub fn check_inputs(&self, inputs: &Fields) -> Result<(), InputError> {
        match self {
            Self::Predict(it) => it.signature.check_inputs(inputs),
            Self::ReAct(it) => it.signature.check_inputs(inputs),
            Self::Chain(it) => it.signature().check_inputs(inputs),
            Self::BestOfN(_)
            | Self::Refine(_)
            | Self::MultiChainComparison(_)
            | Self::Majority(_)
            | Self::Knn(_) => self.inner().map_or(Ok(()), |it| it.check_inputs(inputs)),
        }
    }

    /// Its make-up in words, a module a line, for an adviser that cannot read its source.
    pub(super) fn described(&self) -> String {
        let mut lines = Vec::new();
        self.describe("", &mut lines);
        lines.join("\n")
    }

    fn describe(&self, indent: &str, lines: &mut Vec<String>) {
        let names =
            |all: &[Field]| all.iter().map(|it| it.name.as_str()).collect::<Vec<_>>().join(", ");
        let signature = self.signature();
        let (inputs, outputs) = (names(&signature.inputs), names(&signature.outputs));
        lines.push(format!("{indent}{}({inputs} -> {outputs})", self.name()));
        let deeper = format!("{indent}    ");
        if let Some(inner) = self.inner() {
            inner.describe(&deeper, lines);
        }
        if let Self::Chain(chain) = self {
            for step in &chain.steps {
                let each = step.map.as_ref().map(|it| format!(" for each of {}", it.over));
                lines.push(format!("{deeper}step {}{}:", step.name, each.unwrap_or_default()));
                step.module.describe(&format!("{deeper}    "), lines);
            }
        }
    }
}

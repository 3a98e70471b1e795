//! `dspy.MultiChainComparison`: several answers with their reasons, then one that weighs them.

use serde_json::Value;

use super::{Made, Module, ModuleKind, Notes, Predictor, samples};
use crate::{
    Error, Field, Fields, Run, Signature, Type,
    python::{object::Object, repr, text::strip},
};

/// Several answers of a module that gives its reasons, then one that weighs them. Make it with
/// [`MultiChainComparison::new`].
#[derive(Clone, Debug, PartialEq)]
pub struct MultiChainComparison {
    /// What gives the answers, with `reasoning` or `rationale` among its outputs.
    pub module: Box<Module>,
    /// How many answers are weighed.
    pub m: u32,
    /// What weighs them: sees the inputs and each answer in a line.
    pub predict: Predictor,
}

impl MultiChainComparison {
    /// A comparison of `m` answers of a module that answers this signature.
    pub fn new(signature: &Signature, module: Module, m: u32, temperature: f64) -> Self {
        let mut compared = signature.clone();
        for at in 1..=m {
            let field = Field::new(format!("reasoning_attempt_{at}"), Type::Str);
            let desc = Some("${reasoning attempt}".to_owned());
            let prefix = Some(format!("Student Attempt #{at}:"));
            compared = compared.with_input(Field { desc, prefix, ..field });
        }
        let prefix = "Accurate Reasoning: Thank you everyone. Let's now holistically";
        let rationale = Field {
            desc: Some("${corrected reasoning}".to_owned()),
            prefix: Some(prefix.to_owned()),
            ..Field::new("rationale", Type::Str)
        };
        compared.outputs.insert(0, rationale);
        let compared = compared.made_anew();
        let mut predict = Predictor::new(&signature.name, compared, ModuleKind::Predict);
        predict.settings.temperature = Some(temperature);
        Self { module: Box::new(module), m, predict }
    }

    pub(super) async fn perform(
        &self,
        inputs: &Fields,
        run: Run<'_>,
        notes: &mut Notes,
    ) -> Result<Made, Error> {
        let segment = run.scope.segment("module");
        let inner = Run { scope: run.scope.at(&segment), ..run };
        let answers = samples::of(&self.module, self.m, inputs, inner, notes).await?;
        let last = self.predict.signature.outputs.last().map(|it| it.name.as_str());
        let mut given = Fields::new();
        for (i, answer) in answers.iter().enumerate() {
            let attempt = attempt(answer, last.unwrap_or_default())?;
            given.insert(format!("reasoning_attempt_{}", i + 1), attempt.into());
        }
        given.extend(inputs.clone());
        let segment = run.scope.segment("predict");
        let run = Run { scope: run.scope.at(&segment), ..run };
        self.predict.perform(&given, run, notes).await
    }
}

/// An answer in a line: the first lines of its reasons and of the answer itself.
fn attempt(answer: &Fields, field: &str) -> Result<String, Error> {
    let reasons = answer.get("rationale").or_else(|| answer.get("reasoning"));
    let (Some(Value::String(reasons)), Some(value)) = (reasons, answer.get(field)) else {
        let message = format!("the answers to compare have no text `reasoning` and no `{field}`");
        return Err(Error::Program(message));
    };
    let value = repr::str(&Object::from(value));
    let (reasons, value) = (first_line(reasons), first_line(&value));
    Ok(format!("«I'm trying to {reasons} I'm not sure but my prediction is {value}»"))
}

fn first_line(text: &str) -> &str {
    strip(strip(text).split('\n').next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_instructions_become_the_default_ones_of_the_fields_so_far() {
        let text = |name: &str| vec![Field::new(name, Type::Str)];
        let predict = |written: &str| {
            let signature = Signature::new("S", written, text("q"), text("a"));
            let module = Predictor::new("self", signature.clone(), ModuleKind::ChainOfThought);
            let module = Module::Predict(Box::new(module));
            MultiChainComparison::new(&signature, module, 2, 0.7).predict.signature.instructions
        };
        let two = "Given the fields `q`, `reasoning_attempt_1`, `reasoning_attempt_2`, produce \
                   the fields `a`.";
        let one = "Given the fields `q`, `reasoning_attempt_1`, produce the fields `a`.";

        assert_eq!(predict("   \n  "), two);
        assert_eq!(predict("\n"), one);
        assert_eq!(predict("Weigh."), "Weigh.");
    }
}

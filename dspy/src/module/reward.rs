//! What an attempt is worth, said without Python.

use serde_json::Value;

use super::{Notes, Predictor};
use crate::{
    Error, Expression, Fields, Pattern, Run, Signature,
    python::{object::Object, repr},
};

/// What an attempt is worth: a number, the more the better.
#[derive(Clone, Debug, PartialEq)]
pub enum Reward {
    /// The value of an expression over the inputs and outputs.
    Expression(Expression),
    /// 1 if a pattern is found in a field, as `re.search` finds it, else 0.
    Regex {
        /// The field that is searched.
        field: String,
        /// What is searched for.
        pattern: Pattern,
    },
    /// What a predictor says that reads the inputs and outputs it names among its own inputs.
    Judge {
        /// The predictor.
        judge: Box<Predictor>,
        /// The output that is the reward.
        field: String,
    },
}

impl Reward {
    /// Checks that every name in it is an input or an output of the module that is judged.
    pub fn check(&self, judged: &Signature) -> Result<(), String> {
        let fields = || judged.inputs.iter().chain(&judged.outputs);
        let is_known = |name: &str| fields().any(|it| it.name == name);
        let missing = |name: &str| format!("the module has no field `{name}`");
        match self {
            Self::Expression(it) => it.check(is_known).map_err(|error| error.to_string()),
            Self::Regex { field, .. } if is_known(field) => Ok(()),
            Self::Regex { field, .. } => Err(missing(field)),
            Self::Judge { judge, field } => {
                let signature = judge.full_signature();
                if !signature.outputs.iter().any(|it| it.name == *field) {
                    return Err(format!("the judge has no output `{field}`"));
                }
                let needed = signature.inputs.iter().filter(|it| it.default.is_none());
                let unknown = needed.map(|it| it.name.as_str()).find(|it| !is_known(it));
                unknown.map_or(Ok(()), |name| Err(missing(name)))
            }
        }
    }

    /// The reward of an attempt; not a number is an error.
    pub(super) async fn of(
        &self,
        inputs: &Fields,
        outputs: &Fields,
        run: Run<'_>,
        notes: &mut Notes,
    ) -> Result<f64, Error> {
        let named = |name: &str| outputs.get(name).or_else(|| inputs.get(name));
        match self {
            Self::Expression(expression) => {
                let wrong = |it| Error::Program(format!("the reward `{expression}`: {it}"));
                expression.number(&[outputs, inputs]).map_err(wrong)
            }
            Self::Regex { field, pattern } => {
                let value = named(field).ok_or_else(|| no_field(field))?;
                let is_found = pattern.is_in(&repr::str(&Object::from(value)));
                Ok(f64::from(u8::from(is_found)))
            }
            Self::Judge { judge, field } => {
                let names = judge.signature.inputs.iter().map(|it| &it.name);
                let given = names.filter_map(|it| Some((it.clone(), named(it)?.clone())));
                let given: Fields = given.collect();
                let segment = run.scope.segment("reward");
                let run = Run { scope: run.scope.at(&segment), ..run };
                let made = judge.perform(&given, run, notes).await?;
                number(made.outputs.get(field)).ok_or_else(|| no_number(field))
            }
        }
    }

    /// The reward in words.
    pub(super) fn described(&self) -> String {
        match self {
            Self::Expression(expression) => format!("reward = {expression}"),
            Self::Regex { field, pattern } => {
                let pattern = repr::string(pattern.as_str());
                format!("reward = 1.0 if re.search({pattern}, {field}) else 0.0")
            }
            Self::Judge { judge, field } => {
                let task = judge.full_signature().instructions.clone();
                format!("reward = the `{field}` that another model gives, whose task is: {task}")
            }
        }
    }
}

fn number(value: Option<&Value>) -> Option<f64> {
    let value = value?;
    value.as_f64().or_else(|| value.as_bool().map(|it| f64::from(u8::from(it))))
}

fn no_field(field: &str) -> Error {
    Error::Program(format!("the reward: there is no field `{field}`"))
}

fn no_number(field: &str) -> Error {
    Error::Program(format!("the reward: the judge's `{field}` is no number"))
}

//! A chain: steps that pass their fields on by name, once or until a condition holds.

use serde_json::Value;

use super::{
    Made, Module, Notes,
    attempt::{Attempt, first_rollout},
    map::Map,
};
use crate::{Definitions, Error, Expression, Field, Fields, Run, Signature};

/// Steps that pass their fields on by name, once or until a condition holds.
///
/// A step gets what it takes from the inputs of the chain and the outputs of the steps before; an
/// output hides what had its name. The inputs of a chain are what no earlier step makes. Its
/// outputs are all that steps made, in the order in which they were first made, or those that
/// [`Chain::outputs`] names.
///
/// Of a chain that is repeated the last values survive: a step of the next round finds those of
/// the round before, and asks with a fresh rollout, so that no cache gives it the old reply. When
/// the rounds are used up before the condition holds, that is a warning and no error.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    /// Its name, for people.
    pub name: String,
    /// The steps, in order. Their names are those of predictors in traces and saved states.
    pub steps: Vec<ChainStep>,
    /// When to stop repeating; without, the steps are made once.
    pub until: Option<Until>,
    /// Which fields come out; all that steps made, if it says nothing.
    pub outputs: Option<Vec<String>>,
}

/// A step of a chain: any module, on the fields or on each item of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct ChainStep {
    /// Its name.
    pub name: String,
    /// What it runs.
    pub module: Module,
    /// The list whose items it runs on, if it is on each item of one.
    pub map: Option<Map>,
}

/// When a chain stops.
#[derive(Clone, Debug, PartialEq)]
pub struct Until {
    /// What must hold after a round.
    pub condition: Expression,
    /// The most rounds.
    pub max_iterations: u32,
}

impl ChainStep {
    /// A step on the fields.
    pub fn new(name: impl Into<String>, module: Module) -> Self {
        Self { name: name.into(), module, map: None }
    }

    /// A step on each item of the list field `over`; the list of what it makes is named `into`.
    ///
    /// The item is given as the module's one input that is left when those of the name of `over`
    /// and of `known` fields are taken away, and the list is of the module's one output of its
    /// own; of several, of whole objects. The error says what is not clear.
    pub fn map(
        name: impl Into<String>,
        module: Module,
        over: &str,
        into: &str,
        known: &[&str],
    ) -> Result<Self, String> {
        let map = Map::resolve(&module, over, into, known)?;
        Ok(Self { name: name.into(), module, map: Some(map) })
    }

    /// What it takes, by its names in the chain.
    pub(super) fn takes(&self) -> Vec<Field> {
        let inputs = self.module.inputs();
        match &self.map {
            None => inputs,
            Some(map) => map.takes(inputs),
        }
    }

    /// What it makes, by its names in the chain.
    pub(super) fn makes(&self) -> Vec<Field> {
        let outputs = self.module.signature().outputs;
        match &self.map {
            None => outputs,
            Some(map) => vec![map.makes(&outputs)],
        }
    }

    async fn perform(
        &self,
        sources: [&Fields; 2],
        run: Run<'_>,
        notes: &mut Notes,
    ) -> Result<Fields, Error> {
        let segment = run.scope.segment(&self.name);
        let run = Run { scope: run.scope.at(&segment), ..run };
        let named = |name: &str| sources.iter().find_map(|it| it.get(name));
        let given = |field: Field| named(&field.name).cloned().map(|it| (field.name, it));
        let inputs: Fields = self.module.inputs().into_iter().filter_map(given).collect();
        match &self.map {
            Some(map) => {
                let made = map.perform(self, named(&map.over), inputs, run, notes).await?;
                Ok(Fields::from_iter([(map.into.clone(), Value::Array(made))]))
            }
            None => match self.module.perform(&inputs, run, notes).await {
                Ok(made) => Ok(made.outputs),
                Err(error) => Err(failed(self.name.clone(), error)),
            },
        }
    }
}

impl Chain {
    /// The steps once, all of their fields out.
    pub fn new(name: impl Into<String>, steps: Vec<ChainStep>) -> Self {
        Self { name: name.into(), steps, until: None, outputs: None }
    }

    /// Checks what can be wrong before it runs: names that nobody makes, steps of one name.
    pub fn check(&self) -> Result<(), String> {
        if self.steps.is_empty() {
            return Err("there are no steps".to_owned());
        }
        for (at, step) in self.steps.iter().enumerate() {
            if self.steps[..at].iter().any(|it| it.name == step.name) {
                return Err(format!("there are two steps `{}`", step.name));
            }
            if let Some(map) = &step.map {
                map.check(&step.module)?;
            }
        }
        let (inputs, made) = (self.inputs(), self.made());
        let is_made = |name: &str| made.iter().any(|it| it.name == name);
        let is_known = |name: &str| is_made(name) || inputs.iter().any(|it| it.name == name);
        if let Some(until) = &self.until {
            until.condition.check(is_known).map_err(|it| format!("until: {it}"))?;
            if until.max_iterations == 0 {
                return Err("max_iterations is 0".to_owned());
            }
        }
        let outputs = self.outputs.iter().flatten();
        let unknown = outputs.map(String::as_str).find(|it| !is_made(it));
        unknown.map_or(Ok(()), |it| Err(format!("outputs: no step makes `{it}`")))
    }

    /// What no earlier step makes.
    pub(super) fn inputs(&self) -> Vec<Field> {
        let mut inputs: Vec<Field> = Vec::new();
        let mut made: Vec<Field> = Vec::new();
        for step in &self.steps {
            for field in step.takes() {
                let is_there = |all: &[Field]| all.iter().any(|it| it.name == field.name);
                if !is_there(&made) && !is_there(&inputs) {
                    inputs.push(field);
                }
            }
            made.extend(step.makes());
        }
        inputs
    }

    /// What it takes and gives.
    pub fn signature(&self) -> Signature {
        let mut types = Definitions::default();
        for step in &self.steps {
            types.0.extend(step.module.signature().types.0);
        }
        let mut outputs = self.made();
        if let Some(names) = &self.outputs {
            let named = |name: &String| outputs.iter().find(|it| it.name == *name).cloned();
            outputs = names.iter().filter_map(named).collect();
        }
        let instructions = String::new();
        Signature { name: self.name.clone(), instructions, inputs: self.inputs(), outputs, types }
    }

    /// All that steps make, each name once, as the last of them makes it.
    fn made(&self) -> Vec<Field> {
        let mut made: Vec<Field> = Vec::new();
        for field in self.steps.iter().flat_map(ChainStep::makes) {
            match made.iter_mut().find(|it| it.name == field.name) {
                Some(same) => *same = field,
                None => made.push(field),
            }
        }
        made
    }

    pub(super) async fn perform(
        &self,
        inputs: &Fields,
        run: Run<'_>,
        notes: &mut Notes,
    ) -> Result<Made, Error> {
        let inputs = self.with_defaults(inputs);
        let mut made = Fields::new();
        let rounds = self.until.as_ref().map_or(1, |it| it.max_iterations.max(1));
        for round in 0..rounds {
            let again = (round > 0).then(|| self.again(run, round));
            let run = again.as_ref().map_or(run, |it| it.run(run));
            for step in &self.steps {
                made.extend(step.perform([&made, &inputs], run, notes).await?);
            }
            if self.is_done(&made, &inputs)? {
                return Ok(self.chosen(made).into());
            }
        }
        if let Some(until) = &self.until {
            let Until { condition, max_iterations } = until;
            notes.warnings.push(format!(
                "The chain `{}` stopped after {max_iterations} iterations, before `{condition}` \
                 held.",
                self.name
            ));
        }
        Ok(self.chosen(made).into())
    }

    /// A later round, with a rollout of its own.
    fn again(&self, run: Run<'_>, round: u32) -> Attempt {
        let start = self.steps.first().map_or(0, |it| first_rollout(&it.module, run));
        Attempt::again(run, start.wrapping_add(round.into()))
    }

    /// The inputs with their defaults, so that conditions see them too.
    fn with_defaults(&self, inputs: &Fields) -> Fields {
        let mut all = inputs.clone();
        for field in self.inputs() {
            if let (false, Some(default)) = (all.contains_key(&field.name), field.default) {
                all.insert(field.name, default);
            }
        }
        all
    }

    fn is_done(&self, made: &Fields, inputs: &Fields) -> Result<bool, Error> {
        let Some(Until { condition, .. }) = &self.until else { return Ok(true) };
        let wrong = |it| Error::Program(format!("until `{condition}`: {it}"));
        condition.is_true(&[made, inputs]).map_err(wrong)
    }

    fn chosen(&self, mut made: Fields) -> Fields {
        let Some(names) = &self.outputs else { return made };
        names.iter().filter_map(|it| made.shift_remove_entry(it)).collect()
    }
}

/// The error of a step, with its name.
pub(super) fn failed(step: String, error: Error) -> Error {
    Error::Step { step, error: Box::new(error) }
}

//! A step on each item of a list, several at once, in the list's order.

use futures::{StreamExt, TryStreamExt, stream};
use serde_json::Value;

use super::{
    Module, Notes,
    chain::{ChainStep, failed},
};
use crate::{Error, Field, Fields, Run, Type, python::object::Object};

/// How many items are worked on at once, if the program does not say.
const CONCURRENCY: usize = 8;

/// The most that a program may say.
const CONCURRENCY_MAX: usize = 256;

/// The longest list.
const ITEMS_MAX: usize = 10_000;

/// How a step runs on each item of a list. [`ChainStep::map`] finds `item` and `take`.
#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    /// The field that holds the list.
    pub over: String,
    /// The module's input that an item is given as.
    pub item: String,
    /// The module's output that is collected; whole objects, if it says nothing.
    pub take: Option<String>,
    /// The field that the list of what was made goes into.
    pub into: String,
    /// How many items are worked on at once.
    pub concurrency: usize,
}

impl Map {
    pub(super) fn resolve(
        module: &Module,
        over: &str,
        into: &str,
        known: &[&str],
    ) -> Result<Self, String> {
        let signature = module.signature();
        let names: Vec<_> = signature.inputs.iter().map(|it| it.name.as_str()).collect();
        let left: Vec<_> = match names.as_slice() {
            [only] => vec![*only],
            names => names.iter().filter(|it| !known.contains(*it)).copied().collect(),
        };
        let [item] = left.as_slice() else {
            let names = names.join(", ");
            return Err(format!("which of its inputs ({names}) is an item of `{over}`?"));
        };
        let own = module.own_outputs();
        let take = if let [only] = own.as_slice() { Some(only.clone()) } else { None };
        Ok(Self {
            over: over.to_owned(),
            item: (*item).to_owned(),
            take,
            into: into.to_owned(),
            concurrency: CONCURRENCY,
        })
    }

    pub(super) fn check(&self, module: &Module) -> Result<(), String> {
        let Self { over, item, take, .. } = self;
        let signature = module.signature();
        let has = |all: &[Field], name: &String| all.iter().any(|it| it.name == *name);
        if !has(&signature.inputs, item) {
            return Err(format!("the step over `{over}` has no input `{item}`"));
        }
        match take {
            Some(take) if !has(&signature.outputs, take) => {
                Err(format!("the step over `{over}` has no output `{take}`"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The inputs of the step: the list in place of the item.
    pub(super) fn takes(&self, inputs: Vec<Field>) -> Vec<Field> {
        let listed = |field: Field| {
            if field.name != self.item {
                return field;
            }
            let ty = Type::List(Box::new(field.ty));
            Field { untyped: field.untyped, desc: field.desc, ..Field::new(&self.over, ty) }
        };
        inputs.into_iter().map(listed).collect()
    }

    /// The field of the list that it makes.
    pub(super) fn makes(&self, outputs: &[Field]) -> Field {
        let taken = self.take.as_ref().and_then(|it| outputs.iter().find(|out| out.name == *it));
        let ty = taken.map_or(Type::BareDict, |it| it.ty.clone());
        Field::new(&self.into, Type::List(Box::new(ty)))
    }

    /// What the step makes of each item, in the list's order; the first error in that order ends
    /// it, and what runs beside is given up.
    pub(super) async fn perform(
        &self,
        step: &ChainStep,
        over: Option<&Value>,
        inputs: Fields,
        run: Run<'_>,
        notes: &mut Notes,
    ) -> Result<Vec<Value>, Error> {
        let items = self.items(over).map_err(|it| failed(step.name.clone(), Error::Program(it)))?;
        let one = |(at, item): (usize, &Value)| {
            let mut inputs = inputs.clone();
            inputs.insert(self.item.clone(), item.clone());
            self.one(step, at, inputs, run)
        };
        let runs: Vec<_> = items.iter().enumerate().map(one).collect();
        let at_once = self.concurrency.clamp(1, CONCURRENCY_MAX);
        let made: Vec<_> = stream::iter(runs).buffered(at_once).try_collect().await?;
        let values = made.into_iter().map(|(value, own)| {
            notes.absorb(own);
            value
        });
        Ok(values.collect())
    }

    fn items<'a>(&self, over: Option<&'a Value>) -> Result<&'a [Value], String> {
        let Self { over: name, .. } = self;
        match over {
            Some(Value::Array(items)) if items.len() <= ITEMS_MAX => Ok(items),
            Some(Value::Array(items)) => {
                Err(format!("`{name}` has {} items, and at most {ITEMS_MAX} can be", items.len()))
            }
            Some(other) => {
                Err(format!("`{name}` is no list, but '{}'", Object::from(other).type_name()))
            }
            None => Err(format!("there is no `{name}`")),
        }
    }

    async fn one(
        &self,
        step: &ChainStep,
        at: usize,
        inputs: Fields,
        run: Run<'_>,
    ) -> Result<(Value, Notes), Error> {
        let mut notes = Notes::default();
        let made = step.module.perform(&inputs, run, &mut notes).await;
        let mut made = made.map_err(|it| failed(format!("{}[{at}]", step.name), it))?;
        let value = match &self.take {
            Some(name) => made.outputs.remove(name).unwrap_or_default(),
            None => Value::Object(made.outputs),
        };
        Ok((value, notes))
    }
}

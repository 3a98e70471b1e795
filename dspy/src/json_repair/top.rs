//! The top level: one value, or several one after another.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a value of any other of Python's types goes one and the same way"
)]

use super::{
    RepairError,
    parser::{Parser, Repaired},
};
use crate::python::{object::Object, text::is_space};

impl Parser {
    pub(super) fn parse(mut self) -> Result<Object, RepairError> {
        let first = self.parse_json()?;
        if self.index >= self.text.len() {
            return Ok(first);
        }
        let mut values = vec![first];
        while self.index < self.text.len() {
            self.parse_another(&mut values)?;
        }
        Ok(match values.len() {
            1 => values.remove(0),
            _ => Object::List(values),
        })
    }

    fn parse_another(&mut self, values: &mut Vec<Object>) -> Repaired<()> {
        self.context.clear();
        self.deferred.clear();
        let after_comma = self.next_value_is_comma_separated();
        let value = self.parse_json()?;
        if !value.is_truthy() {
            self.index += 1;
            return Ok(());
        }
        let last = values.last();
        let is_update = !after_comma && last.is_some_and(|last| is_same_object(last, &value));
        if is_update || last.is_some_and(|last| !last.is_truthy()) {
            values.pop();
        }
        values.push(value);
        Ok(())
    }

    fn next_value_is_comma_separated(&self) -> bool {
        if self.char_at(self.scroll(0)) == Some(',') {
            return true;
        }
        let before = self.text[..self.index].iter().rfind(|c| !is_space(**c));
        before == Some(&',')
    }
}

/// Whether two values have the same shape: the same types in the same places.
fn is_same_object(a: &Object, b: &Object) -> bool {
    match (a, b) {
        (Object::Dict(a), Object::Dict(b)) => {
            let same = |(key, value): (&Object, &Object)| match key {
                Object::Str(name) => b.get(name).is_some_and(|other| is_same_object(value, other)),
                _ => false,
            };
            a.len() == b.len() && a.iter().all(same)
        }
        (Object::List(a), Object::List(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same_object(a, b))
        }
        (a, b) => a.type_name() == b.type_name(),
    }
}

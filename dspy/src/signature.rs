//! A signature: what goes in, what comes out, and what is to be done.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{Field, Fields, InputError};

/// The fields and the task of one call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Signature {
    /// Its name.
    pub name: String,
    /// The task, for the model.
    pub instructions: String,
    /// What is given.
    pub inputs: Vec<Field>,
    /// What is asked for.
    pub outputs: Vec<Field>,
}

impl Signature {
    /// DSPy's instructions where none are written.
    pub fn default_instructions(inputs: &[Field], outputs: &[Field]) -> String {
        let names = |fields: &[Field]| {
            fields.iter().map(|it| format!("`{}`", it.name)).collect::<Vec<_>>().join(", ")
        };
        format!("Given the fields {}, produce the fields {}.", names(inputs), names(outputs))
    }

    /// Checks that every required input is there and has its type.
    pub fn check_inputs(&self, inputs: &Fields) -> Result<(), InputError> {
        let mut error = InputError::default();
        for field in &self.inputs {
            match inputs.get(&field.name) {
                Some(value) => {
                    field.ty.check(value, &format!("/{}", field.name), &mut error.mistyped)
                }
                None if field.default.is_some() => {}
                None => error.missing.push(field.name.clone()),
            }
        }
        if error == InputError::default() { Ok(()) } else { Err(error) }
    }

    /// The JSON Schema of the inputs.
    pub fn input_schema(&self) -> Value {
        schema(&self.inputs)
    }

    /// The JSON Schema of the outputs.
    pub fn output_schema(&self) -> Value {
        schema(&self.outputs)
    }
}

fn schema(fields: &[Field]) -> Value {
    let properties: Map<_, _> =
        fields.iter().map(|it| (it.name.clone(), it.ty.json_schema())).collect();
    let required: Vec<_> =
        fields.iter().filter(|it| it.default.is_none()).map(|it| it.name.as_str()).collect();
    json!({"type": "object", "properties": properties, "required": required})
}

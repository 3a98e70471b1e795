//! A signature: what goes in, what comes out, and what is to be done.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{Definitions, Field, Fields, InputError, python::text::clean_doc};

/// The fields and the task of one call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Signature {
    /// Its name.
    pub name: String,
    /// The task, for the model.
    pub instructions: String,
    /// What is given.
    pub inputs: Vec<Field>,
    /// What is asked for.
    pub outputs: Vec<Field>,
    /// The enums and models that the fields' types name.
    #[serde(default)]
    pub types: Definitions,
}

impl Signature {
    /// A signature without types of its own. The instructions are cleaned as Python cleans a
    /// docstring; an empty text means DSPy's default ones, and one of blanks means none.
    pub fn new(
        name: impl Into<String>,
        instructions: impl Into<String>,
        inputs: Vec<Field>,
        outputs: Vec<Field>,
    ) -> Self {
        let (name, written) = (name.into(), instructions.into());
        let instructions = if written.is_empty() {
            Self::default_instructions(&inputs, &outputs)
        } else {
            clean_doc(&written)
        };
        Self { name, instructions, inputs, outputs, types: Definitions::default() }
    }

    /// The signature as the package makes it anew when it gains or loses a field: the instructions
    /// are cleaned once more, and where none are left they become the default ones.
    pub(crate) fn made_anew(self) -> Self {
        let Self { name, instructions, inputs, outputs, types } = self;
        Self { types, ..Self::new(name, instructions, inputs, outputs) }
    }

    /// The same with one more input, the last.
    pub(crate) fn with_input(mut self, field: Field) -> Self {
        self.inputs.push(field);
        self.made_anew()
    }

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
                Some(_) if field.untyped => {}
                Some(value) => {
                    let pointer = format!("/{}", field.name);
                    field.ty.check(value, &pointer, &self.types, &mut error.mistyped);
                }
                None if field.default.is_some() || field.ty.allows_none() => {}
                None => error.missing.push(field.name.clone()),
            }
        }
        if error == InputError::default() { Ok(()) } else { Err(error) }
    }

    /// The JSON Schema of the inputs.
    pub fn input_schema(&self) -> Value {
        self.schema(&self.inputs)
    }

    /// The JSON Schema of the outputs.
    pub fn output_schema(&self) -> Value {
        self.schema(&self.outputs)
    }

    fn schema(&self, fields: &[Field]) -> Value {
        let mut names = Vec::new();
        for field in fields {
            field.ty.names(&mut names);
        }
        let properties: Map<_, _> =
            fields.iter().map(|it| (it.name.clone(), it.described_schema())).collect();
        let is_required = |it: &&Field| it.default.is_none() && !it.ty.allows_none();
        let required: Vec<_> = fields.iter().filter(is_required).map(|it| &it.name).collect();
        let mut schema = json!({"type": "object", "properties": properties, "required": required});
        let definitions = self.types.schemas(names);
        if !definitions.is_empty() {
            schema["$defs"] = Value::Object(definitions);
        }
        schema
    }
}

/// A signature without an input.
pub(crate) fn without(signature: &Signature, input: &str) -> Signature {
    let inputs = signature.inputs.iter().filter(|it| it.name != input).cloned().collect();
    Signature { inputs, ..signature.clone() }
}

//! What a program tells of itself to those who want to call it.

use dspy::{Field, Signature};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Program, Runtime};

/// What can be said of a program without running it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The id by which requests name it.
    pub program_id: String,
    /// Its name, for people.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it does, for people.
    pub description: String,
    /// `native` or `python`.
    pub runtime: String,
    /// The signatures of its file.
    pub signatures: Vec<ManifestSignature>,
    /// The JSON Schema of its inputs.
    pub input_schema: Value,
    /// The JSON Schema of its outputs.
    pub output_schema: Value,
}

/// One signature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ManifestSignature {
    /// Its name.
    pub name: String,
    /// The task, as the model reads it.
    pub instructions: String,
    /// The module that asks; absent where Python decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// What it takes.
    pub inputs: Vec<ManifestField>,
    /// What it gives.
    pub outputs: Vec<ManifestField>,
}

/// One field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ManifestField {
    /// Its name.
    pub name: String,
    /// Its type, as Python annotates it.
    #[serde(rename = "type")]
    pub ty: String,
    /// What it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desc: Option<String>,
    /// Whether it must be given; outputs always are.
    pub required: bool,
    /// The value where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
}

impl Program {
    /// What this program tells of itself.
    pub fn manifest(&self) -> Manifest {
        let (input_schema, output_schema) = self.schemas();
        Manifest {
            program_id: self.id.clone(),
            name: self.name.clone(),
            version: self.version.clone(),
            description: self.description.clone(),
            runtime: self.runtime.name().to_owned(),
            signatures: self
                .signatures()
                .into_iter()
                .map(|it| describe(it, self.module()))
                .collect(),
            input_schema,
            output_schema,
        }
    }

    fn schemas(&self) -> (Value, Value) {
        match &self.runtime {
            Runtime::Native(module) => {
                // With what the module adds, as the record will have it.
                let asked = module.signature();
                (asked.input_schema(), asked.output_schema())
            }
            // What a Python program takes, only its runner knows.
            Runtime::Python(_) => (json!({"type": "object"}), json!({"type": "object"})),
        }
    }

    fn module(&self) -> Option<&'static str> {
        match &self.runtime {
            Runtime::Native(module) => Some(module.name()),
            Runtime::Python(_) => None,
        }
    }
}

fn describe(signature: &Signature, module: Option<&str>) -> ManifestSignature {
    let fields = |fields: &[Field]| fields.iter().map(field).collect();
    ManifestSignature {
        name: signature.name.clone(),
        instructions: signature.instructions.clone(),
        module: module.map(str::to_owned),
        inputs: fields(&signature.inputs),
        outputs: fields(&signature.outputs),
    }
}

fn field(field: &Field) -> ManifestField {
    ManifestField {
        name: field.name.clone(),
        ty: field.ty.annotation(),
        desc: field.desc.clone(),
        required: field.default.is_none() && !field.ty.allows_none(),
        default: field.default.clone(),
    }
}

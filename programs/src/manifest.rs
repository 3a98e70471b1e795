//! What a program tells of itself to those who want to call it.

use dspy::{Field, Module, Signature};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Finding, Program, PythonManifest, Runtime, Saved, Source};

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
    /// What runs: `predict`, `react`, `chain`; absent where Python decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// The signatures that it asks.
    pub signatures: Vec<ManifestSignature>,
    /// The JSON Schema of its inputs.
    pub input_schema: Value,
    /// The JSON Schema of its outputs.
    pub output_schema: Value,
    /// What a request can choose of its file instead, as `name#signature`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    /// The tools that its agents may call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<String>,
    /// The saved states that were laid over it, and what saved them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub saved: Vec<Saved>,
    /// Where its code is, if that is elsewhere: `mlflow:models:/qa@champion`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What exactly was fetched from there: a version, a commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Why workers cannot load it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
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
            module: self.module().map(|it| it.name().to_owned()),
            signatures: self.described(),
            input_schema,
            output_schema,
            choices: self.choices.clone(),
            tools: self.tools.iter().map(|it| it.name.clone()).collect(),
            saved: self.saved.clone(),
            source: self.elsewhere().and_then(Source::address),
            revision: self.revision().map(str::to_owned),
            problem: self.finding().and_then(|it| it.problem.clone()),
        }
    }

    fn finding(&self) -> Option<&Finding> {
        match &self.runtime {
            Runtime::Native(_) => None,
            Runtime::Python(python) => python.finding.as_deref(),
        }
    }

    fn found(&self) -> Option<&PythonManifest> {
        self.finding()?.manifest.as_ref()
    }

    fn schemas(&self) -> (Value, Value) {
        match &self.runtime {
            Runtime::Native(module) => {
                // With what the module adds, as the record will have it.
                let asked = module.signature();
                (asked.input_schema(), asked.output_schema())
            }
            Runtime::Python(_) => match self.found() {
                Some(it) => (it.input_schema.clone(), it.output_schema.clone()),
                // What it takes, only its runner knows, and has not told yet.
                None => (json!({"type": "object"}), json!({"type": "object"})),
            },
        }
    }

    /// The signatures that it asks, each with the module that asks it.
    fn described(&self) -> Vec<ManifestSignature> {
        match &self.runtime {
            Runtime::Native(module) => {
                let Module::Chain(chain) = module.as_ref() else {
                    return vec![describe(&module.signature().name, module)];
                };
                chain.steps.iter().map(|it| describe(&it.name, &it.module)).collect()
            }
            Runtime::Python(python) => match self.found() {
                Some(found) => found.predictors.clone(),
                None => python.signatures.iter().map(|it| told(&it.name, it, None)).collect(),
            },
        }
    }

    fn module(&self) -> Option<&Module> {
        match &self.runtime {
            Runtime::Native(module) => Some(module),
            Runtime::Python(_) => None,
        }
    }
}

/// What a module takes, and what it gives besides what the strategy itself adds.
fn describe(name: &str, module: &Module) -> ManifestSignature {
    let signature = module.signature();
    let asked = || module.predictors().first().map(|it| it.signature.instructions.clone());
    let instructions = if let Module::ReAct(agent) = module {
        agent.signature.instructions.clone()
    } else {
        asked().unwrap_or_default()
    };
    told(name, &Signature { instructions, ..signature }, Some(module.name()))
}

fn told(name: &str, signature: &Signature, module: Option<&str>) -> ManifestSignature {
    let fields = |fields: &[Field]| fields.iter().map(field).collect();
    ManifestSignature {
        name: name.to_owned(),
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

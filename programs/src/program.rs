//! A program as loaded.

use std::time::{Duration, SystemTime};

use dspy::{Adapter, Fields, InputError, Module, Predictor};
use serde::{Deserialize, Serialize};

use crate::{
    EmbedderConfig, Error, LmConfig, PythonProgram, Retries, Saved, Source, ToolConfig, ToolKind,
    fingerprint, schema,
};

/// A program that can be asked for. It never changes: a changed file makes another.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// Its id, by which requests name it: `name`, or `name#signature` where it is one of several.
    pub id: String,
    /// Its version.
    pub version: String,
    /// Its name, for people.
    pub name: String,
    /// What it does, for people.
    pub description: String,
    /// A hash of its content: whatever changes what it does changes this too.
    pub digest: String,
    /// How long one attempt may take.
    pub timeout: Option<Duration>,
    /// How often to try again.
    pub retries: Retries,
    /// What one execution may spend on models, in dollars.
    pub budget: Option<f64>,
    /// Whether an equal request may get an old result.
    pub cache: CachePolicy,
    /// Which model it asks.
    pub lm: LmConfig,
    /// Who wrote it, and so how far it is trusted.
    pub origin: Origin,
    /// How it runs.
    pub runtime: Runtime,
    /// The tools that its agents may call.
    pub tools: Vec<ToolConfig>,
    /// The models of embeddings that it asks, by model.
    pub embedders: Vec<EmbedderConfig>,
    /// The saved states that were laid over it.
    pub saved: Vec<Saved>,
    /// What a request can choose of its file instead, as `name#signature`.
    pub choices: Vec<String>,
}

/// Who wrote a program, and so how far it is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The operator: it is a file of their folder.
    File,
    /// Whoever may register programs over HTTP. It may not send keys where it likes, nor start
    /// processes, unless the operator says so.
    Registered,
}

/// How a program runs. There are two ways, and no third is planned: hence no trait.
#[derive(Clone, Debug, PartialEq)]
pub enum Runtime {
    /// In the worker itself.
    Native(Box<Module>),
    /// In a Python child process.
    Python(Box<PythonProgram>),
}

/// Whether an equal request may get an old result, and how old.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CachePolicy {
    /// Whether at all.
    pub enabled: bool,
    /// How old; absent: the service's configuration says.
    pub ttl: Option<Duration>,
}

impl Default for CachePolicy {
    fn default() -> Self {
        Self { enabled: true, ttl: None }
    }
}

impl Runtime {
    /// The hash of the files of its code, where it has any.
    pub(crate) fn code_digest(&self) -> Option<&str> {
        match self {
            Self::Native(_) => None,
            Self::Python(python) => python.code.as_ref().map(|it| it.digest.as_str()),
        }
    }

    /// Its name: `native`, `python`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Native(_) => "native",
            Self::Python(_) => "python",
        }
    }
}

impl Program {
    /// The id of its file: without the signature.
    pub fn file_id(&self) -> &str {
        self.id.split_once('#').map_or(&self.id, |(id, _)| id)
    }

    /// The signature or chain of its file that it is, where it is not what the file's id means.
    pub fn entry(&self) -> Option<&str> {
        self.id.split_once('#').map(|(_, entry)| entry)
    }

    /// The name of exactly this program: `email-assistant@1.0.0`.
    pub fn pinned(&self) -> String {
        format!("{}@{}", self.id, self.version)
    }

    /// Checks that every required input is there and has its type.
    ///
    /// Of a Python program that is known since a worker loaded it; until then, and of one without
    /// types, any inputs are accepted here.
    pub fn check(&self, inputs: &Fields) -> Result<(), InputError> {
        match &self.runtime {
            Runtime::Native(module) => module.check_inputs(inputs),
            Runtime::Python(python) => {
                let manifest = python.finding.as_ref().and_then(|it| it.manifest.as_ref());
                manifest.map_or(Ok(()), |it| schema::check(&it.input_schema, inputs))
            }
        }
    }

    /// Whether it has an input of this name, as far as is known here: see [`Program::check`].
    pub fn has_input(&self, name: &str) -> bool {
        match &self.runtime {
            Runtime::Native(module) => module.signature().inputs.iter().any(|it| it.name == name),
            Runtime::Python(python) => {
                let manifest = python.finding.as_ref().and_then(|it| it.manifest.as_ref());
                let properties = manifest.and_then(|it| it.input_schema.get("properties"));
                properties.is_some_and(|it| it.get(name).is_some())
            }
        }
    }

    /// The predictor that is all of it, if it is known before an execution what that asks; else
    /// why not.
    pub fn asks_at_once(&self) -> Result<&Predictor, String> {
        let Runtime::Native(module) = &self.runtime else {
            return Err(format!("{} is run by the python runtime", self.pinned()));
        };
        let more = |what: &str| Err(format!("{} asks more than once: {what}", self.pinned()));
        let Module::Predict(predictor) = module.as_ref() else {
            return more(&format!("it is a {}", module.name()));
        };
        if matches!(predictor.adapter, Adapter::TwoStep { .. }) {
            return more("its adapter is two_step");
        }
        Ok(predictor)
    }

    /// The first of its tools that starts a process, if there is one.
    pub fn command_tool(&self) -> Option<&str> {
        let starts = |it: &&ToolConfig| matches!(it.kind, ToolKind::McpCommand(_));
        self.tools.iter().find(starts).map(|it| it.name.as_str())
    }

    /// Whether this version of the service can run it, and if not, why.
    pub fn runnable(&self) -> Result<(), Error> {
        let Runtime::Python(python) = &self.runtime else { return Ok(()) };
        let refusal = python.allow.refusal(python, self.origin);
        let refused = |it| Err(Error::NotRunnable(format!("{} {it}", self.pinned())));
        refusal.map_or(Ok(()), refused)
    }

    /// Where its code is, if that is elsewhere.
    pub fn elsewhere(&self) -> Option<&Source> {
        match &self.runtime {
            Runtime::Native(_) => None,
            Runtime::Python(python) => python.source.address().map(|_| &python.source),
        }
    }

    /// What exactly was fetched of a source that is elsewhere, by this process or by a worker.
    pub fn revision(&self) -> Option<&str> {
        let Runtime::Python(python) = &self.runtime else { return None };
        let fetched = python.fetched.as_ref().map(|it| it.revision.as_str());
        fetched.or_else(|| python.finding.as_ref()?.revision.as_deref())
    }

    /// Whether it is known what exactly would run: an old result is one of the same program only
    /// then.
    pub fn is_settled(&self) -> bool {
        self.elsewhere().is_none() || self.revision().is_some()
    }

    /// Whether the files of its code are as they were when it was loaded.
    pub(crate) fn is_code_same(&self, now: SystemTime) -> bool {
        match &self.runtime {
            Runtime::Native(_) => true,
            Runtime::Python(python) => python.code.as_ref().is_none_or(|it| it.is_same(now)),
        }
    }

    /// The hash that equal requests share: of this program's content, the inputs with their
    /// defaults, and the LM settings after the overrides.
    ///
    /// Settings that the program leaves to the service's configuration are not in it: who has
    /// such a configuration passes them among the overrides.
    pub fn fingerprint(&self, inputs: &Fields, lm_overrides: &Fields) -> String {
        fingerprint::of_request(self, inputs, lm_overrides)
    }
}

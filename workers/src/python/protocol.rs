//! The messages between a worker and its runners: the one place for them on this side.
//!
//! A frame is four bytes of length, big end first, and an object in JSON with a `type`. The other
//! side is `python/dspyx/runner/wire.py`. A *parent* loads a program and forks; its *children* run
//! executions.

use std::collections::BTreeMap;

use dspy::Fields;
use programs::PythonManifest;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::completion::Body;

/// Goes up when a message changes so that the other side must know.
pub(super) const PROTOCOL: u32 = 1;

/// The longest message.
pub(super) const FRAME_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What a parent is told.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ToParent<'a> {
    /// Load this program. The first message, and the only one of its kind.
    Init(&'a Init),
    /// Fork a child. Its socket, standard output and standard error come with the message.
    Fork { child: u32 },
    /// Kill a child, and all that it has started.
    Kill { child: u32 },
    /// Write the stacks of a child's threads to its standard error.
    Dump { child: u32 },
    /// Kill all children, and end.
    Shutdown,
}

/// What a parent has to load, and how its children run.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Init {
    /// Where the program's code is.
    pub(super) program: Code,
    /// Whether each child loads the program itself, after the fork.
    pub(super) spawn: bool,
    /// The settings of the program file's `lm`.
    pub(super) lm: Map<String, Value>,
    /// The model of programs that name none.
    pub(super) default_model: Option<String>,
    /// The providers whose models the gateway asks.
    pub(super) prefixes: Vec<String>,
    /// The providers by the hosts that they are at.
    pub(super) hosts: BTreeMap<String, &'static str>,
    /// The variables of the keys that the gateway has.
    pub(super) keys: Vec<&'static str>,
    /// What a child may take.
    pub(super) limits: Limits,
    /// How many executions run at once in a child; none to let it find out.
    pub(super) concurrency: Option<usize>,
}

/// Where the code of a program is, on this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Code {
    /// `class`: a class, object or function of a module; `saved`: a folder of `module.save`.
    pub(super) kind: &'static str,
    /// The file or folder; with `module`, where modules are looked for first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) path: Option<String>,
    /// The module, by its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) module: Option<String>,
    /// The name in the module.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    /// A saved state to lay over it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) state: Option<String>,
    /// The packages that must be there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) dependencies: Vec<String>,
}

/// What a child may take.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Limits {
    /// The most memory for data.
    pub(super) memory_bytes: u64,
    /// The most CPU time; none for no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cpu_seconds: Option<u64>,
}

/// What a parent tells.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum FromParent {
    /// It runs.
    Hello { protocol: u32, pid: u32, python: String, dspy: Option<String> },
    /// It has loaded the program; children load it where it has no manifest.
    Ready { manifest: Option<PythonManifest> },
    /// It cannot load the program.
    InitFailed(Reason),
    /// It has loaded the program, and must not fork any more.
    CannotFork { reason: String },
    /// A child has ended.
    Exited { child: u32, code: Option<i32>, signal: Option<i32> },
}

/// Why a program cannot be loaded.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Reason {
    /// For people.
    pub(super) message: String,
    /// For the one who wrote the program.
    pub(super) traceback: String,
}

/// What a child is told.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ToChild<'a> {
    /// Run the program.
    Execute {
        run: u64,
        inputs: &'a Fields,
        lm: &'a Map<String, Value>,
        debug: bool,
        /// Whether it is to say for what it calls models, and what came of it.
        stream: bool,
    },
    /// End a run as soon as possible. Its calls of models end at once.
    Cancel { run: u64 },
    /// What a model answered.
    LmResponse { call: u64, body: Body<'a> },
    /// That a model gave no answer.
    LmError(LmFailure),
    /// Tell how you are.
    Ping,
    /// End now.
    Shutdown,
}

/// A call of a model that gave no reply.
#[derive(Debug, Serialize)]
pub(super) struct LmFailure {
    /// The call.
    pub(super) call: u64,
    /// The code of `dspy::LmError`.
    pub(super) code: &'static str,
    /// The provider's words.
    pub(super) message: String,
    /// The HTTP status, where there was one.
    pub(super) status: Option<u16>,
    /// How long the provider asks to wait.
    pub(super) retry_after_seconds: Option<f64>,
}

/// What a child tells.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum FromChild {
    /// It waits for executions, so many at once.
    Ready {
        pid: u32,
        manifest: PythonManifest,
        concurrency: usize,
        /// How many it may have been given that it has not begun; none where it does not tell.
        ahead: Option<usize>,
    },
    /// It has begun so many more of those that it was given.
    Begun { runs: usize },
    /// It cannot load the program.
    InitFailed(Reason),
    /// The program calls a model.
    LmRequest(Box<LmAsk>),
    /// The program calls a model of embeddings.
    EmbedRequest(Box<EmbedAsk>),
    /// What became of a call, for the debug trace and for those who follow.
    Span(Box<Span>),
    /// What became of a call of a tool, for the debug trace.
    ToolSpan(Box<ToolSpan>),
    /// The program has printed a line.
    Log { run: u64, stream: String, line: String },
    /// The program keeps state while it runs: from now on one execution at a time.
    Alone { reason: String },
    /// The program has returned.
    Result {
        run: u64,
        outputs: Fields,
        completions: Vec<Fields>,
        /// Of the models that the program asked by itself.
        usage: BTreeMap<String, Value>,
    },
    /// The program has raised.
    Error(Box<Raised>),
    /// The program has stopped, as it was told.
    Cancelled { run: u64 },
    /// How it is.
    Pong { rss_bytes: u64, running: usize },
}

/// A call of a model, as the body of the request that DSPy would have sent.
#[derive(Debug, PartialEq, Deserialize)]
pub(super) struct LmAsk {
    /// The run that calls.
    pub(super) run: u64,
    /// The call; unique within the child.
    pub(super) call: u64,
    /// The model, with its provider's prefix.
    pub(super) model: String,
    /// Tells apart equal requests that must not be answered alike.
    #[serde(default)]
    pub(super) rollout_id: Option<i64>,
    /// Who asks, and for which texts; where a predictor asks, and somebody follows.
    #[serde(default)]
    pub(super) asked: Option<Asking>,
    /// The body.
    pub(super) body: Map<String, Value>,
}

/// A call of a model of embeddings, as the body of the request that would have been sent.
#[derive(Debug, PartialEq, Deserialize)]
pub(super) struct EmbedAsk {
    /// The run that calls.
    pub(super) run: u64,
    /// The call; unique within the child.
    pub(super) call: u64,
    /// The model, with its provider's prefix.
    pub(super) model: String,
    /// The body, but for the model.
    pub(super) body: Map<String, Value>,
}

/// A predictor that asks.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Asking {
    /// Its path in the program.
    pub(super) predictor: String,
    /// The adapter that rendered, and will parse.
    pub(super) adapter: String,
    /// The outputs that are texts.
    pub(super) texts: Vec<String>,
}

/// A step of the debug trace, beside what the worker knows of the call.
#[derive(Debug, PartialEq, Deserialize)]
pub(super) struct Span {
    /// The run.
    pub(super) run: u64,
    /// The predictor that called.
    pub(super) predictor: String,
    /// The adapter that rendered and parsed.
    pub(super) adapter: String,
    /// The call.
    pub(super) call: u64,
    /// The fields that were read from the reply.
    pub(super) outputs: Option<Fields>,
    /// What went wrong.
    pub(super) error: Option<String>,
    /// When rendering began, in seconds since 1970.
    pub(super) render_at: f64,
    /// How long rendering took.
    pub(super) render_ms: f64,
    /// When parsing began, in seconds since 1970.
    pub(super) parse_at: f64,
    /// How long parsing took.
    pub(super) parse_ms: f64,
}

/// A call of a tool, as a step of the debug trace.
#[derive(Debug, PartialEq, Deserialize)]
pub(super) struct ToolSpan {
    /// The run.
    pub(super) run: u64,
    /// The predictor that chose the tool.
    pub(super) predictor: String,
    /// The tool.
    pub(super) name: String,
    /// Its arguments.
    pub(super) args: Fields,
    /// What it gave.
    pub(super) result: Option<Value>,
    /// What went wrong.
    pub(super) error: Option<String>,
    /// When it was called, in seconds since 1970.
    pub(super) at: f64,
    /// How long it took.
    pub(super) ms: f64,
}

/// An exception of the program.
#[derive(Debug, PartialEq, Deserialize)]
pub(super) struct Raised {
    /// The run.
    pub(super) run: u64,
    /// `program`, `lm`, `parse` or `inputs`.
    pub(super) kind: RaisedKind,
    /// The exception's class.
    pub(super) name: String,
    /// What it says.
    pub(super) message: String,
    /// Where it was raised; in debug mode.
    #[serde(default)]
    pub(super) traceback: Option<String>,
    /// Of `lm`: DSPy's code.
    #[serde(default)]
    pub(super) code: Option<String>,
    /// Of `lm`: the HTTP status.
    #[serde(default)]
    pub(super) status: Option<u16>,
    /// Of `lm`: how long the provider asks to wait.
    #[serde(default)]
    pub(super) retry_after_seconds: Option<f64>,
    /// Of `parse`: what could not be read.
    #[serde(default)]
    pub(super) parse: Option<dspy::ParseError>,
    /// Of `inputs`: what does not fit.
    #[serde(default)]
    pub(super) inputs: Option<dspy::InputError>,
}

/// What kind of exception it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RaisedKind {
    /// Any of the program's own.
    Program,
    /// A call of a model that gave no reply.
    Lm,
    /// A reply that could not be read.
    Parse,
    /// Inputs with which the program cannot be called.
    Inputs,
}

impl FromChild {
    /// The run that a message belongs to.
    pub(super) fn run(&self) -> Option<u64> {
        match self {
            Self::Log { run, .. } | Self::Result { run, .. } | Self::Cancelled { run } => {
                Some(*run)
            }
            Self::LmRequest(ask) => Some(ask.run),
            Self::EmbedRequest(ask) => Some(ask.run),
            Self::Span(span) => Some(span.run),
            Self::ToolSpan(span) => Some(span.run),
            Self::Error(raised) => Some(raised.run),
            Self::Ready { .. }
            | Self::Begun { .. }
            | Self::InitFailed(_)
            | Self::Alone { .. }
            | Self::Pong { .. } => None,
        }
    }

    /// Whether nothing follows for its run.
    pub(super) fn is_last(&self) -> bool {
        match self {
            Self::Result { .. } | Self::Error(_) | Self::Cancelled { .. } => true,
            Self::Log { .. }
            | Self::LmRequest(_)
            | Self::EmbedRequest(_)
            | Self::Span(_)
            | Self::ToolSpan(_)
            | Self::Ready { .. }
            | Self::Begun { .. }
            | Self::InitFailed(_)
            | Self::Alone { .. }
            | Self::Pong { .. } => false,
        }
    }
}

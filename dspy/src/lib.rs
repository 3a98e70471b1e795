//! DSPy's semantics in Rust: what DSPy 3.4.1 sends to a language model, and how it reads the reply.
//!
//! A [`Module`] is one predictor or a strategy over others. A [`Predictor`] has a [`Signature`]
//! (typed fields and instructions), a [`ModuleKind`], an [`Adapter`] and demos. [`Module::run`]
//! renders the messages, asks an [`Lm`], and parses the reply into typed outputs. The messages are
//! the package's to the byte, and the replies that it accepts and refuses are the ones the package
//! accepts and refuses.
//!
//! This crate knows no queue, no HTTP server, no files and no HTTP client: the [`Lm`] is given.

#[cfg(test)]
extern crate self as dspy;

mod adapter;
mod arguments;
#[cfg(test)]
mod corpus;
mod demo;
mod dummy;
mod embedder;
mod error;
mod expression;
mod field;
mod json_repair;
mod json_schema;
mod lm;
mod module;
#[cfg(test)]
mod parity;
mod pattern;
mod python;
mod run;
mod scope;
mod signature;
mod tool;
mod tool_call;
mod trace;
mod types;

pub use adapter::{Adapter, FunctionCalling};
pub use demo::Demo;
pub use dummy::DummyLm;
pub use embedder::{Embedder, NoEmbedder};
pub use error::{Error, InputError, LmError, Mistyped, ParseError};
pub use expression::{Expression, ExpressionError};
pub use field::Field;
pub use lm::{Capabilities, Lm, LmReply, LmRequest, LmSettings, Message, Role, Usage};
pub use module::{
    BestOfN, Chain, ChainStep, Knn, Majority, Map, Module, ModuleKind, MultiChainComparison,
    Prediction, Predictor, ReAct, Refine, Reward, Until,
};
pub use pattern::{Pattern, PatternError};
pub use run::Run;
pub use scope::Scope;
pub use signature::Signature;
pub use tool::{NoTools, Tool, ToolError, Tools};
pub use tool_call::ToolCall;
pub use trace::{LmStep, Step, ToolStep, Trace};
pub use types::{
    Definition, Definitions, DspyType, EnumMember, Extra, Model, ModelField, Scalar, Type,
    TypeError,
};

/// Values by field name, in order.
pub type Fields = serde_json::Map<String, serde_json::Value>;

//! DSPy's semantics in Rust: what DSPy 3.4.1 sends to a language model, and how it reads the reply.
//!
//! A [`Module`] is one predictor or a strategy over others. A [`Predictor`] has a [`Signature`]
//! (typed fields and instructions), a [`ModuleKind`], an [`Adapter`] and demos. [`Module::run`]
//! renders the messages, asks an [`Lm`], and parses the reply into typed outputs. The messages are
//! the package's to the byte, and the replies that it accepts and refuses are the ones the package
//! accepts and refuses.
//!
//! # Limits
//!
//! What differs from the package, and is meant to:
//!
//! - Text is Unicode: the half of a surrogate pair that a reply escapes becomes U+FFFD.
//! - Integers have 64 bits in JSON; longer ones come out as floats.
//! - Values nest 100 levels deep and XML 300; Python stops near 1000.
//! - Values are JSON. Where Python tells a set, a tuple or an object of a class from its data, the
//!   type of the field decides; a list for `str | set[str]` is a list.
//! - A text that is broken on purpose takes the package the square of its length: `{1}, ` without
//!   end, a megabyte of it days. The engine refuses it once it has looked at far more characters
//!   than the text has. All other texts tried, of backslashes, quotes, brackets, backticks, headers
//!   and tags, take time in proportion to their length.
//! - An element of XML whose namespace is long is refused where its name would stand there too
//!   often.
//!
//! This crate knows no queue, no HTTP server, no files and no HTTP client: the [`Lm`] is given.
//!
//! A predictor, a chain that repeats it, and an agent, with the offline model that is built in:
//!
//! ```
//! use dspy::{
//!     Chain, ChainStep, DummyLm, Field, Fields, LmSettings, Module, ModuleKind, Predictor, ReAct,
//!     Run, Signature, Trace, Type, Until,
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let inputs = || vec![Field::new("question", Type::Str)];
//! let outputs = || vec![Field::new("answer", Type::Str), Field::new("score", Type::Int)];
//! let task = Signature::new("Answer", "Answer in one sentence.", inputs(), outputs());
//!
//! let predictor = Predictor::new("answer", task.clone(), ModuleKind::ChainOfThought);
//! let predictor = Module::Predict(Box::new(predictor));
//!
//! let mut chain = Chain::new("answer", vec![ChainStep::new("draft", predictor.clone())]);
//! chain.until = Some(Until { condition: "len(answer) > 0".parse()?, max_iterations: 3 });
//! let chain = Module::Chain(Box::new(chain));
//!
//! let agent = Module::ReAct(Box::new(ReAct::new(task, vec![])));
//!
//! let question = Fields::from_iter([("question".to_owned(), "Why is the sky blue?".into())]);
//! let overrides = LmSettings { model: Some("dummy/any".to_owned()), ..LmSettings::default() };
//! for module in [predictor, chain, agent] {
//!     let trace = Trace::on();
//!     let prediction = module.run(&question, Run::new(&DummyLm, &overrides, &trace)).await?;
//!     assert!(prediction.outputs["answer"].is_string() && prediction.outputs["score"].is_i64());
//!     assert!(!trace.into_steps().is_empty());
//! }
//! # Ok(())
//! # }
//! ```

#[cfg(test)]
extern crate self as dspy;

mod adapter;
mod arguments;
mod capabilities;
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
mod listener;
mod lm;
mod mcp;
mod module;
#[cfg(test)]
mod parity;
mod pattern;
mod prefix;
mod progress;
mod python;
mod reasoning_model;
mod run;
mod scope;
mod signature;
mod signature_text;
mod tool;
mod tool_call;
mod trace;
mod types;
mod xml;

pub use adapter::{Adapter, FunctionCalling};
pub use capabilities::Capabilities;
pub use demo::Demo;
pub use dummy::{DummyEmbedder, DummyLm};
pub use embedder::{Embedder, NoEmbedder};
pub use error::{AdapterError, Error, InputError, LmError, Mistyped, ParseError, Uncaught};
pub use expression::{Expression, ExpressionError};
pub use field::Field;
pub use listener::{Asker, Growth, Listener};
pub use lm::{Lm, LmEndpoint, LmReply, LmRequest, LmSettings, Message, Role, Usage};
pub use mcp::mcp_result;
pub use module::{
    BestOfN, Chain, ChainStep, Knn, Majority, Map, Module, ModuleKind, MultiChainComparison,
    Prediction, Predictor, ReAct, Refine, Reward, Until,
};
pub use pattern::{Pattern, PatternError};
pub use progress::{Progress, Told};
pub use python::name::is_field_name;
pub use run::Run;
pub use scope::Scope;
pub use signature::Signature;
pub use signature_text::SignatureError;
pub use tool::{NoTools, Tool, ToolError, Tools};
pub use tool_call::ToolCall;
pub use trace::{LmStep, Step, ToolStep, Trace};
pub use types::{
    Constrained, Definition, Definitions, DspyType, Enum, EnumBase, EnumMember, Extra, Model,
    ModelField, Scalar, Type, TypeError,
};

/// Values by field name, in order.
pub type Fields = serde_json::Map<String, serde_json::Value>;

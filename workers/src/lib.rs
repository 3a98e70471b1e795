//! Takes executions from the queue, runs their programs, and records what came of it.
//!
//! [`Worker::run`] is the loop: wait for free slots, claim as many executions, run each in a task
//! of its own. Beside it the heartbeat shows that the worker lives and brings its orders, and the
//! upkeep takes its share of the fleet's housekeeping. `run` takes one execution from its lease to
//! its result; `outcome` alone decides whether it is tried again; [`Gateway`] asks the models.
//!
//! This crate knows no HTTP server, no file formats, and no environment variables.

mod bells;
mod config;
mod gateway;
mod heartbeat;
mod metrics;
mod offload;
mod outcome;
mod publish;
mod python;
mod record;
mod refresh;
mod rehearsal;
mod roster;
mod run;
mod shift;
mod sources;
mod telemetry;
mod teller;
mod tools;
mod tracking;
mod upkeep;
mod waiting;
mod webhooks;
mod worker;

pub use config::Config;
pub use gateway::{
    Account, Call, Embeddings, Gateway, GatewayConfig, Keys, SetupError, Tally, Terms, TermsBook,
    Used,
};
pub use metrics::{Counter, Metric, Metrics};
pub use python::{Interpreter, NoInterpreter, Places, PythonConfig};
pub use rehearsal::{Rehearsal, rehearse};
pub use sources::SourcesConfig;
pub use telemetry::Spans;
pub use tracking::{NoRatio, SamplingRatio, TrackingConfig};
pub use webhooks::{BadSecret, Callable, SigningSecret, Views, WebhookConfig};
pub use worker::Worker;

//! Runs Python programs: any `dspy.Module`, in processes of their own, with the same promises as
//! native ones.
//!
//! Each program has a keeper, which alone decides on its processes: a warm parent that has loaded
//! the program, and the children that it forks, which run executions. A [`Seat`](seat::Seat) is a
//! place in a child for one run; `run` hands the job over and serves the calls of models that the
//! program makes, so that keys, limits and caches stay in the worker. The processes speak the
//! messages of `protocol`; their side is `python/dspyx/runner`, which is sent to the interpreter.

mod care;
mod code;
mod completion;
mod config;
mod crowd;
mod event;
mod fault;
mod frame;
mod interpreter;
mod keeper;
mod line;
mod link;
#[cfg(test)]
mod messages;
mod output;
mod parent;
mod protocol;
mod report;
mod run;
mod seat;
mod source;
mod staff;
mod supervisor;

pub use config::PythonConfig;
pub(crate) use fault::Fault;
pub use interpreter::{Interpreter, NoInterpreter, Places};
pub(crate) use run::{Job, Lms, Returned};
pub(crate) use supervisor::{Findings, Python, settings};

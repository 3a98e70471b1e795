//! The contract, asked over HTTP of a front end on a real store; the test is the worker.

#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

#[path = "http/access.rs"]
mod access;
#[path = "http/bad_input.rs"]
mod bad_input;
#[path = "http/batch.rs"]
mod batch;
#[path = "http/contract.rs"]
mod contract;
#[path = "http/dashboard.rs"]
mod dashboard;
#[path = "http/operation.rs"]
mod operation;
#[path = "http/outage.rs"]
mod outage;
#[path = "http/program.rs"]
mod program;
#[path = "http/record.rs"]
mod record;
#[path = "http/serve.rs"]
mod serve;
#[path = "http/site.rs"]
mod site;
#[path = "http/submit.rs"]
mod submit;
#[path = "http/upload.rs"]
mod upload;

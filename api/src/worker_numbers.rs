//! The numbers of a worker process: beside the API's own where both are one process, else at an
//! address of their own.

use std::sync::Arc;

use axum::{Router, routing::get};
use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};

use crate::metrics::CONTENT;

/// A number of a worker, as it is when it is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// Its name, which gets `dspyx_worker_` before it.
    pub name: &'static str,
    /// What it counts, as a sentence.
    pub help: &'static str,
    /// The number.
    pub value: u64,
    /// Whether it tells how it is now, and may go down; else what has been so far.
    pub is_now: bool,
}

/// Reads all numbers of a worker.
pub type Readings = Arc<dyn Fn() -> Vec<Reading> + Send + Sync>;

/// Adds a worker's numbers to others.
pub(crate) fn describe(readings: &Readings, to: &mut Registry) {
    let to = to.sub_registry_with_prefix("worker");
    for Reading { name, help, value, is_now } in readings() {
        // The format ends each help with a full stop of its own.
        let help = help.trim_end_matches('.');
        if is_now {
            to.register(name, help, ConstGauge::new(value as f64));
        } else {
            to.register(name, help, ConstCounter::new(value));
        }
    }
}

/// What answers those who ask for the numbers alone.
pub(crate) fn router(readings: Readings) -> Router {
    let show = async move || {
        let (mut registry, mut text) = (Registry::with_prefix("dspyx"), String::new());
        describe(&readings, &mut registry);
        // Writing into memory cannot fail.
        let _ = encode(&mut text, &registry);
        (CONTENT, text)
    };
    Router::new().route("/metrics", get(show))
}

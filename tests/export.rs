//! From a notebook to the native engine: live DSPy programs are exported by the real binary and run
//! in both runtimes, with the real package, against one model; or are refused in words.

#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

#[path = "export/bench.rs"]
mod bench;
#[path = "export/equality.rs"]
mod equality;
#[path = "export/refusals.rs"]
mod refusals;
#[path = "export/sources.rs"]
mod sources;

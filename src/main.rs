//! dspyx: DSPy programs as durable jobs.

fn main() {}

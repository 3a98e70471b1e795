#![no_main]
//! See `targets::expression`.

#[path = "../src/targets.rs"]
#[expect(dead_code, reason = "a fuzz target runs one of them")]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::expression(data));

#![no_main]
//! See `targets::json_repair`.

#[path = "../src/targets.rs"]
#[expect(dead_code, reason = "a fuzz target runs one of them")]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::json_repair(data));

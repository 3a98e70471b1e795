#![no_main]
//! See `targets::json_repair`.

#[path = "../src/targets.rs"]
#[allow(dead_code)]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::json_repair(data));

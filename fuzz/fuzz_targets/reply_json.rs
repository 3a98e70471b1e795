#![no_main]
//! See `targets::reply_json`.

#[path = "../src/targets.rs"]
#[allow(dead_code)]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::reply_json(data));

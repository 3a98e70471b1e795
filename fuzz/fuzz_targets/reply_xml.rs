#![no_main]
//! See `targets::reply_xml`.

#[path = "../src/targets.rs"]
#[expect(dead_code, reason = "a fuzz target runs one of them")]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::reply_xml(data));

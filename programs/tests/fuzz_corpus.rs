//! What the fuzzers of `fuzz/` found worth keeping, read once more with every run of the tests.

#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

#[path = "../../fuzz/src/targets.rs"]
mod targets;

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

/// Far more than any of them takes.
const EACH_MAX: Duration = Duration::from_secs(20);

#[test]
fn what_the_fuzzers_kept_is_read_or_refused() {
    let corpus = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    for (name, target) in targets::TARGETS {
        let mut count = 0;
        let kept = fs::read_to_string(corpus.join(name).with_extension("ndjson")).unwrap();
        for line in kept.lines() {
            let bytes: String = serde_json::from_str(line).unwrap();
            let data: Vec<u8> = bytes.chars().map(|it| u8::try_from(it).unwrap()).collect();
            let began = Instant::now();

            target(&data);

            count += 1;
            assert!(began.elapsed() < EACH_MAX, "{name}: {line}");
        }
        assert!(count >= 5, "{name}: only {count} inputs");
    }
}

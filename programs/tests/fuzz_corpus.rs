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
        for entry in fs::read_dir(corpus.join(name)).unwrap() {
            let path = entry.unwrap().path();
            let data = fs::read(&path).unwrap();
            let began = Instant::now();

            target(&data);

            count += 1;
            assert!(began.elapsed() < EACH_MAX, "{}", path.display());
        }
        assert!(count >= 5, "{name}: only {count} inputs");
    }
}

//! What a queue does, in the fewest words: a model that is driven in step with a real store.
//!
//! Steps are drawn at random (proptest): two workers that take, finish, freeze, crash and come back
//! as somebody else, executions and a batch that are called off and asked for again, and a clock
//! that is turned. After every step every execution must stand as the model says, and every
//! invariant must hold. What the contract leaves open (which of two waiting executions comes
//! first) the model takes over from the store, and checks that it was allowed.
//!
//! `MODEL_CASES` sets how many runs are made; a failure prints the seed, which `MODEL_SEED` takes.

mod compare;
mod drive;
mod job;
mod step;
mod worker;

use proptest::{
    prelude::prop,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use crate::rig::Store;

const CASES: u32 = 64;
const STEPS_MAX: usize = 40;

#[test]
fn sqlite_does_as_the_model() {
    explore(Store::Sqlite);
}

#[test]
fn redis_does_as_the_model() {
    explore(Store::Redis);
}

fn explore(store: Store) {
    let seed: u64 = variable("MODEL_SEED").unwrap_or_else(rand::random);
    let cases = variable("MODEL_CASES").unwrap_or(CASES);
    let config =
        Config { cases, failure_persistence: None, max_shrink_iters: 2000, ..Config::default() };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let runs = (prop::bool::ANY, step::steps(STEPS_MAX));
    let ran = TestRunner::new_with_rng(config, rng).run(&runs, |(late_results, steps)| {
        runtime.block_on(drive::run(store, late_results, &steps))
    });
    if let Err(failure) = ran {
        panic!("MODEL_SEED={seed}: {failure}");
    }
}

#[expect(clippy::disallowed_methods, reason = "a test has no configuration")]
fn variable<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

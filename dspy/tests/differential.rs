//! The engine against the real package, on random programs, inputs and replies.
//!
//! A Python process (`tests/differential/`) makes a case from a seed and says what the package
//! sends and answers; the engine must send and answer the same: all adapters, DSPy's own types,
//! calls of tools, several completions, settings at each place, strategies. A difference is cut
//! down to a small case before it is shown. `DIFFERENTIAL_CASES`, `DIFFERENTIAL_SEED` and
//! `DIFFERENTIAL_FIRST` ask for more cases, other ones, and one alone. Twenty thousand take about
//! two minutes on two cores:
//!
//! ```bash
//! DIFFERENTIAL_CASES=20000 DIFFERENTIAL_SEED=7 cargo test -p dspy --test differential
//! DIFFERENTIAL_CASES=1 DIFFERENTIAL_FIRST=4711 DIFFERENTIAL_SEED=7 \
//!     cargo test -p dspy --test differential
//! ```

#![expect(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

#[path = "differential/engine.rs"]
mod engine;
#[path = "support/neutral.rs"]
mod neutral;
#[path = "support/oracle.rs"]
mod oracle;
#[path = "support/plain.rs"]
mod plain;
#[path = "differential/program.rs"]
mod program;
#[path = "differential/replies.rs"]
mod replies;
#[path = "support/settings.rs"]
mod settings;
#[path = "differential/shrink.rs"]
mod shrink;

use std::{collections::BTreeSet, sync::mpsc, thread};

use oracle::Oracle;
use serde_json::{Value, json};

/// How many cases run with every run of the tests.
const CASES: u64 = 3000;
const SEED: u64 = 1;
/// The processes of the oracle; it is what takes the time.
const ORACLES: u64 = 2;
/// The most differences that are cut down and shown, each of another kind.
const SHOWN: usize = 6;
const ADAPTERS: [&str; 7] = [
    "ChatAdapter",
    "ChatAdapter",
    "JSONAdapter",
    "JSONAdapter",
    "XMLAdapter",
    "BAMLAdapter",
    "TwoStepAdapter",
];

/// What was found with a part of the cases.
#[derive(Default)]
struct Found {
    compared: u64,
    refused: u64,
    answered: u64,
    different: u64,
    /// The kinds of differences that are shown.
    kinds: BTreeSet<&'static str>,
    shown: Vec<String>,
}

#[test]
fn the_engine_sends_and_reads_as_the_package_does() {
    let cases = setting("DIFFERENTIAL_CASES", CASES);
    let seed = setting("DIFFERENTIAL_SEED", SEED);
    let first = setting("DIFFERENTIAL_FIRST", 0);
    let (sender, parts) = mpsc::channel();
    for part in 0..ORACLES {
        let sender = sender.clone();
        thread::spawn(move || {
            sender.send(compare((first + part..first + cases).step_by(2), seed)).unwrap();
        });
    }
    drop(sender);
    let found: Vec<Found> = parts.into_iter().collect();

    assert_eq!(found.len() as u64, ORACLES, "a thread panicked");
    let sum = |of: fn(&Found) -> u64| found.iter().map(of).sum::<u64>();
    let (compared, different) = (sum(|it| it.compared), sum(|it| it.different));
    let (answered, refused) = (sum(|it| it.answered), sum(|it| it.refused));
    println!("{compared} cases of seed {seed}: {answered} with outputs, {refused} not to be made");
    let shown: Vec<_> = found.into_iter().flat_map(|it| it.shown).collect();
    assert_eq!(different, 0, "of {compared} cases\n\n{}", shown.join("\n\n"));
    assert!(refused * 10 < cases, "{refused} cases could not be made");
    assert!(answered * 3 > cases, "only {answered} cases have outputs");
    assert!(answered * 10 < cases * 9, "only {} cases fail", cases - answered);
}

fn setting(name: &str, default: u64) -> u64 {
    let text = std::env::var_os(name).map(|it| it.into_string().unwrap());
    text.map_or(default, |it| it.parse().unwrap())
}

fn compare(cases: impl Iterator<Item = u64>, seed: u64) -> Found {
    let mut oracle = Oracle::start();
    let mut found = Found::default();
    for index in cases {
        let make = json!({"make": {"seed": seed, "index": index, "adapters": ADAPTERS}});
        let answer = oracle.ask(&make);
        if answer["refused"].is_string() {
            found.refused += 1;
            continue;
        }
        found.compared += 1;
        found.answered += u64::from(answer["answer"]["outputs"].is_object());
        let Some(difference) = engine::difference(&answer) else { continue };
        found.different += 1;
        if found.kinds.len() < SHOWN && found.kinds.insert(difference.kind) {
            let small = shrink::shrink(&mut oracle, answer, difference);
            found.shown.push(shown(seed, index, &small));
        }
    }
    found
}

fn shown(seed: u64, index: u64, (answer, difference): &(Value, engine::Difference)) -> String {
    let engine::Difference { kind, text } = difference;
    format!("seed {seed}, case {index}: {kind}\n{text}\n{}", answer["case"])
}

//! No text makes the reader panic, hang or swell.

use std::time::{Duration, Instant};

use programs::Registry;
use proptest::{prelude::*, sample::select};

/// Pieces of YAML and of the format, so that random texts get past the first line.
const PIECES: [&str; 66] = [
    "name",
    "version",
    "signatures",
    "main",
    "inputs",
    "outputs",
    "type",
    "default",
    "examples",
    "input",
    "output",
    "lm",
    "model",
    "retries",
    "timeout",
    "source",
    "chains",
    "steps",
    "extra",
    "types",
    "enum",
    "fields",
    "Person",
    "module",
    "react",
    "best_of_n",
    "reward",
    "expression",
    "until",
    "map",
    "over",
    "as",
    "state",
    "signature",
    "tools",
    "http",
    "adapter",
    "a -> b",
    "score >= 8",
    ": ",
    ":",
    "\n",
    "\n  ",
    "\n    ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    ", ",
    "\"",
    "'",
    "|\n",
    ">\n",
    "&a ",
    "*a",
    "!!str ",
    "# ",
    "---\n",
    "...\n",
    "\t",
    "Literal['x']",
    "1.5",
    "null",
    "\\u",
    "é",
];

const WHOLE: &str = r#"
name: x
version: 1.0.0
lm: {model: dummy/x, temperature: 0.5}
timeout: 5m
retries: {max: 1, backoff: {initial: 1}}
types:
  Mood: [happy, sad]
  Person:
    fields: {name: str, age: {type: int, ge: 0}, friends: {type: "list[Person]", default: []}}
tools:
  find: {http: {method: GET, url: "http://localhost/{q}"}, args: {q: {type: string}}}
chains:
  all: {steps: [main, {map: best, over: d, as: es}], until: c == "x", max_iterations: 3}
signatures:
  best:
    inputs: [f]
    outputs: {e: int}
    module: {type: best_of_n, of: chain_of_thought, n: 3, threshold: 1, reward: {expression: e > 1}}
  agent: {inputs: {q: "Optional[Person]"}, outputs: [r], module: {type: react, tools: [find]}}
  text: "q: Mood -> a: list[int]"
  main:
    description: Do it
    inputs:
      a: {type: int, ge: 0}
      b: {type: "list[str]", default: []}
    outputs: {c: str, d: "list[str]"}
    examples:
      - input: {a: 1}
        output: {c: x, d: [y]}
"#;

#[test]
fn the_program_to_wound_is_sound() {
    assert!(Registry::parse(WHOLE, "x.yaml").is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_a_program_or_an_error(text in any::<String>()) {
        let _ = Registry::parse(&text, "x.yaml");
    }

    #[test]
    fn any_mix_of_pieces_is_a_program_or_an_error(
        pieces in prop::collection::vec(select(PIECES.as_slice()), 0..60),
    ) {
        let text = pieces.concat();
        if let Err(error) = Registry::parse(&text, "x.yaml") {
            prop_assert!(!error.problem.is_empty() && !error.fix.is_empty(), "{error}");
        }
    }

    #[test]
    fn a_program_with_a_wound_is_a_program_or_an_error(
        (at, length) in (0_usize..1300, 0_usize..20),
        piece in select(PIECES.as_slice()),
    ) {
        let at = at.min(WHOLE.len());
        let end = (at + length).min(WHOLE.len());
        let _ = Registry::parse(&[&WHOLE[..at], piece, &WHOLE[end..]].concat(), "x.yaml");
    }
}

#[test]
fn hostile_texts_are_refused_at_once() {
    let began = Instant::now();
    let hostile = [
        "[".repeat(1 << 20),
        "{".repeat(1 << 20),
        "- ".repeat(1 << 19),
        "? ".repeat(1 << 19),
        "a: ".repeat(300_000),
        "\"".repeat(1 << 20),
        "&a ".repeat(300_000),
        "!!str ".repeat(150_000),
        format!("a: [{}]", "*a,".repeat(300_000)),
        format!("a: &a \"{}\"\nb: [{}]", "x".repeat(500_000), "*a,".repeat(100_000)),
        (0..90_000).map(|i| format!("k{i}: 1\n")).collect::<Vec<_>>().concat(),
        (0..400).map(|i| format!("{}k:\n", " ".repeat(i))).collect::<Vec<_>>().concat(),
        "\n".repeat(1 << 20),
        " ".repeat(1 << 20),
        "name: x\n".repeat(100_000),
        "x".repeat((1 << 20) + 1),
    ];

    for text in hostile {
        let start: String = text.chars().take(20).collect();
        assert!(Registry::parse(&text, "x.yaml").is_err(), "{start:?}");
    }

    assert!(began.elapsed() < Duration::from_secs(30), "took {:?}", began.elapsed());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn what_json_says_is_what_is_read(text in any::<String>()) {
        let json = serde_json::json!({
            "name": "x",
            "signatures": {"main": {"inputs": ["a"], "outputs": {"b": {"desc": &text}}}},
        });
        let Ok(program) = Registry::parse(&json.to_string(), "x.json") else {
            // A description of blanks is none.
            prop_assert!(text.trim().is_empty(), "{json}");
            return Ok(());
        };
        let desc = program.manifest().signatures[0].outputs[0].desc.clone();
        prop_assert_eq!(desc, Some(text));
    }
}

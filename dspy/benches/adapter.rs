//! What writing a prompt and reading a reply cost: a JSON line for each program.
//!
//! `benches/rendering.py` runs this and the real package in turn, and prints the ratios.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench may stop, and prints")]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use dspy::{Adapter, Demo, Field, Fields, Signature, Type};
use serde_json::{Map, Value, json};

/// How often each figure is taken; the median counts.
const ROUNDS: usize = 15;
const ROUND: Duration = Duration::from_millis(60);

struct Program {
    name: &'static str,
    signature: Signature,
    demos: Vec<Demo>,
    inputs: Fields,
    outputs: Fields,
}

fn main() {
    for program in [one_field(), typed(), demos()] {
        let mut figures = Map::new();
        figures.insert("program".to_owned(), program.name.into());
        for (name, adapter) in [("chat", Adapter::chat(true)), ("json", Adapter::json())] {
            let reply = reply(name, &program);
            let render = || adapter.render(&program.signature, &program.demos, &program.inputs);
            let parse = || adapter.parse(&program.signature, &reply).unwrap();
            assert_eq!(parse(), program.outputs);
            figures.insert(format!("{name}_format_us"), micros(render).into());
            figures.insert(format!("{name}_parse_us"), micros(parse).into());
        }
        println!("{}", Value::Object(figures));
    }
}

/// The median time of one call, in microseconds.
fn micros<T>(call: impl Fn() -> T) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS).map(|_| round(&call)).collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}

fn round<T>(call: &impl Fn() -> T) -> f64 {
    let started = Instant::now();
    let mut calls = 0.0;
    while started.elapsed() < ROUND {
        for _ in 0..100 {
            black_box(call());
        }
        calls += 100.0;
    }
    started.elapsed().as_secs_f64() * 1e6 / calls
}

/// What a model answers in the adapter's format.
fn reply(adapter: &str, program: &Program) -> String {
    if adapter == "json" {
        return Value::Object(program.outputs.clone()).to_string();
    }
    let text = |value: &Value| value.as_str().map_or(value.to_string(), ToOwned::to_owned);
    let section = |(name, value): (&String, &Value)| format!("[[ ## {name} ## ]]\n{}", text(value));
    let sections: Vec<_> = program.outputs.iter().map(section).collect();
    format!("{}\n\n[[ ## completed ## ]]\n", sections.join("\n\n"))
}

fn object(value: Value) -> Fields {
    serde_json::from_value(value).unwrap()
}

fn field((name, ty): &(&str, &str)) -> Field {
    Field::new(*name, Type::parse(ty).unwrap())
}

/// `question -> answer`
fn one_field() -> Program {
    let inputs = vec![field(&("question", "str"))];
    let outputs = vec![field(&("answer", "str"))];
    Program {
        name: "one field",
        signature: Signature::new("StringSignature", "", inputs, outputs),
        demos: Vec::new(),
        inputs: object(json!({"question": "What is the capital of France?"})),
        outputs: object(json!({"answer": "Paris"})),
    }
}

/// Two inputs and four outputs with types.
fn typed() -> Program {
    let inputs = [("context", "list[str]"), ("question", "str")];
    let outputs = [("answer", "str"), ("score", "float"), ("ok", "bool"), ("tags", "list[str]")];
    let inputs = inputs.iter().map(field).collect();
    let outputs = outputs.iter().map(field).collect();
    Program {
        name: "typed",
        signature: Signature::new("StringSignature", "", inputs, outputs),
        demos: Vec::new(),
        inputs: object(json!({"context": ["a", "b"], "question": "q"})),
        outputs: object(json!({"answer": "Paris", "score": 0.5, "ok": true, "tags": ["a"]})),
    }
}

/// `question -> answer` with eight demos.
fn demos() -> Program {
    let demo = |i| {
        Demo(object(json!({
            "question": format!("question number {i}?"),
            "answer": format!("answer {i}"),
        })))
    };
    Program { name: "eight demos", demos: (0..8).map(demo).collect(), ..one_field() }
}

//! `dspy.Predict` over HTTP, on one thread: calls a second, CPU and memory.
//!
//! `stub` is an endpoint that answers at once (or after a delay) until its standard input ends;
//! `calls` asks it, and prints a JSON line. `benches/predict.py` runs the two and the real package
//! in turn.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench may stop, and prints")]

mod stub;

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use dspy::{Field, Fields, LmSettings, ModuleKind, Predictor, Run, Signature, Trace, Type};
use futures::future::join_all;
use serde_json::json;
use workers::{Gateway, GatewayConfig};

/// Calls before the clock runs.
const WARM_UP: usize = 200;

fn main() {
    let arguments: Vec<String> = std::env::args().filter(|it| it != "--bench").skip(1).collect();
    let number = |at: usize| arguments.get(at).map_or(0, |it| it.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    match arguments.first().map(String::as_str) {
        Some("stub") => runtime.block_on(stub::serve(Duration::from_millis(number(1)))),
        Some("calls") => {
            let calls = usize::try_from(number(3)).unwrap();
            let in_flight = usize::try_from(number(2)).unwrap();
            runtime.block_on(measure(&arguments[1], in_flight, calls));
        }
        _ => println!("stub DELAY_MS | calls ADDRESS IN_FLIGHT CALLS; see benches/predict.py"),
    }
}

fn program() -> Predictor {
    let inputs = vec![Field::new("question", Type::Str)];
    let outputs = vec![Field::new("answer", Type::Str)];
    let signature = Signature::new("StringSignature", "", inputs, outputs);
    let mut predictor = Predictor::new("self", signature, ModuleKind::Predict);
    predictor.settings.model = Some("openai/gpt-4o-mini".to_owned());
    predictor
}

async fn measure(address: &str, in_flight: usize, calls: usize) {
    let api_base = Some(format!("http://{address}/v1"));
    let gateway = Gateway::new(GatewayConfig { api_base, ..GatewayConfig::default() }).unwrap();
    let predictor = program();
    ask(&gateway, &predictor, in_flight, WARM_UP.max(in_flight)).await;
    let (began, cpu) = (Instant::now(), cpu_seconds());

    ask(&gateway, &predictor, in_flight, calls).await;

    let (seconds, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let calls_done = calls as f64;
    println!(
        "{}",
        json!({
            "calls_per_s": calls_done / seconds,
            "cpu_us_per_call": cpu * 1e6 / calls_done,
            "calls_per_cpu_s": calls_done / cpu,
            "rss_peak_mb": status("VmHWM:") / 1024.0,
        })
    );
}

/// So many calls, so many of them at once; each must bring the stub's answer.
async fn ask(gateway: &Gateway, predictor: &Predictor, in_flight: usize, calls: usize) {
    let left = Cell::new(calls);
    let asker = || async {
        let (overrides, trace) = (LmSettings::default(), Trace::off());
        let inputs: Fields =
            serde_json::from_value(json!({"question": "What is the capital of France?"})).unwrap();
        while left.get() > 0 {
            left.set(left.get() - 1);
            let run = Run::new(gateway, &overrides, &trace);
            let prediction = predictor.run(&inputs, run).await.unwrap();
            assert_eq!(prediction.outputs["answer"], "Paris");
        }
    };
    join_all((0..in_flight).map(|_| asker())).await;
}

/// The CPU that this process has used.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = stat.rsplit(')').next().unwrap();
    let ticks = after_name.split_whitespace().skip(11).take(2);
    ticks.map(|it| it.parse::<f64>().unwrap()).sum::<f64>() / 100.0
}

/// A figure of the process, in KiB.
fn status(name: &str) -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|it| it.strip_prefix(name)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

//! dspyx: DSPy programs as durable jobs. The front door for people: command line, configuration,
//! and `wire`, the only place that puts the parts together.

mod cli;
mod client;
mod commands;
mod config;
mod events;
mod local;
mod output;
mod settings;
mod signal;
mod telemetry;
mod traces;
mod values;
mod wire;

use std::process::ExitCode;

use config::{Given, Usage};

/// Exit code of what was tried and failed.
const FAILED: u8 = 1;
/// Exit code of a command line or a configuration that is wrong.
const USAGE: u8 = 2;

/// A batch item takes a fifth less CPU time of a worker than with the C library's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let (cli, flags) = cli::parse();
    let json = cli.json;
    match start(cli, &flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if output::reader_is_gone(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error, json);
            let usage = error.is::<Usage>();
            ExitCode::from(if usage { USAGE } else { FAILED })
        }
    }
}

fn start(cli: cli::Cli, flags: &clap::ArgMatches) -> anyhow::Result<()> {
    let given = Given::gather(flags, cli.config.as_deref())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(commands::run(cli, &given))
}

//! What each command does, one file a command.

pub(crate) mod batch;
pub(crate) mod bench;
mod demo;
mod doctor;
mod execute;
pub(crate) mod export;
mod growth;
mod private;
mod programs;
pub(crate) mod render;
pub(crate) mod service;
mod show_config;
mod stats;
mod status;
mod token;
mod view;

use anyhow::Result;

use crate::{
    cli::{Cli, Command},
    client::Client,
    config::Given,
};

pub(crate) async fn run(cli: Cli, given: &Given) -> Result<()> {
    let json = cli.json;
    if let Command::Config(arguments) = &cli.command {
        return show_config::run(given, arguments, json);
    }
    let config = given.config()?;
    match cli.command {
        Command::Demo(arguments) => demo::run(config, &arguments, json).await,
        Command::Serve(arguments) => service::serve(&config, &arguments).await,
        Command::Api => service::api(&config).await,
        Command::Worker => service::worker(&config).await,
        Command::Export(arguments) => export::run(&arguments).await,
        Command::Execute(arguments) => execute::run(&Client::of(&config)?, &arguments, json).await,
        Command::Batch(command) => batch::run(config, command, json).await,
        Command::Status(arguments) => status::run(&Client::of(&config)?, &arguments, json).await,
        Command::Programs(command) => programs::run(&config, command, json).await,
        Command::Token(command) => token::run(&config, command, json).await,
        Command::Stats(arguments) => stats::run(&Client::of(&config)?, &arguments, json).await,
        Command::Doctor(arguments) => doctor::run(&config, &arguments, json).await,
        Command::Bench(command) => Box::pin(bench::run(config, command)).await,
        Command::Config(_) => Ok(()),
    }
}

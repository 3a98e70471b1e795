//! The command line: what can be typed, and the help that teaches it.

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::{
    commands::{
        batch::arguments::Batch,
        bench::arguments::Bench,
        export::{self, Export},
        render::Render,
    },
    settings::{self, Group},
    values,
};

/// Runs DSPy programs as durable jobs: submit over HTTP, poll for results, lose nothing.
#[derive(Parser)]
#[command(version, about, after_help = HELP, max_term_width = 100, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// The configuration file, in TOML [env: DSPYX_CONFIG] [default: none]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Everywhere")]
    pub(crate) config: Option<PathBuf>,
    /// Writes JSON, for machines
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const HELP: &str = "\
Start here:
  dspyx demo                      see it all at work in some seconds, with no set-up at all
  dspyx serve                     API and worker in one process, kept in the file dspyx.db
  dspyx execute summarize text=@report.txt
  dspyx batch submit summarize reports.ndjson --watch

On Redis, in any number of processes:
  REDIS_URL=redis://localhost dspyx api
  REDIS_URL=redis://localhost dspyx worker

Exit codes: 0 it worked, 1 it failed, 2 the command line or the configuration is wrong.";

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Shows everything at work: offline, in a temporary folder, in seconds
    Demo(Demo),
    /// Answers HTTP requests and runs executions, in one process
    #[command(after_help = SERVE_HELP)]
    Serve(crate::commands::service::Serve),
    /// Answers HTTP requests only; requires REDIS_URL
    Api,
    /// Runs executions only; requires REDIS_URL
    #[command(after_help = WORKER_HELP)]
    Worker,
    /// Runs a program once, and shows what came of it
    #[command(after_help = EXECUTE_HELP)]
    Execute(Execute),
    /// Runs a program on many inputs
    #[command(subcommand)]
    Batch(Batch),
    /// Shows an execution or a batch; without an ID, how the server is
    #[command(after_help = STATUS_HELP)]
    Status(Status),
    /// Lists, checks and registers programs
    #[command(subcommand)]
    Programs(Programs),
    /// Turns a live DSPy module into a program file, if the native engine runs it exactly
    #[command(after_help = export::HELP)]
    Export(Export),
    /// Makes and revokes the tokens that clients show
    #[command(subcommand)]
    Token(Token),
    /// Shows what the whole fleet did, and what waits
    Stats(Stats),
    /// Checks configuration, store, programs and invariants; says what to do
    #[command(after_help = DOCTOR_HELP)]
    Doctor(Doctor),
    /// Measures the engine here; prints JSON lines
    #[command(subcommand)]
    Bench(Bench),
    /// Shows every setting with its value, and where that came from
    Config(ShowConfig),
}

const SERVE_HELP: &str = "\
Examples:
  dspyx serve                                    on 127.0.0.1:8001, in dspyx.db
  dspyx serve --programs-dir examples/programs --max-workers 64
  REDIS_URL=redis://localhost dspyx serve        shares the work with other processes
  API_HOST=0.0.0.0 SECRET_KEY=$(openssl rand -hex 32) dspyx serve

Without SECRET_KEY only this machine is listened to; the ready token is shown once, and the other
commands on this machine find it by themselves.
SIGTERM or Ctrl-C: running work may end; a second one gives it back at once.";

const WORKER_HELP: &str = "\
Examples:
  REDIS_URL=redis://localhost MAX_WORKERS=64 dspyx worker
  REDIS_URL=redis+sentinel://s1:26379,s2:26379/mymaster dspyx worker
  REDIS_URL=redis+cluster://n1:6379,n2:6379 dspyx worker";

const EXECUTE_HELP: &str = "\
Inputs:
  name=text        a text
  name:=JSON       anything else: a number, a list, true
  name=@FILE       the text of a file

Examples:
  dspyx execute email-assistant recipient=ann@example.com subject='Q4 targets' context=@notes.txt
  dspyx execute classify text='I love it' --mode debug
  dspyx execute summarize text=@notes.txt --stream       shows the fields while they are written
  echo '{\"text\": \"…\"}' | dspyx execute summarize --inputs -
  dspyx execute summarize text=… --no-wait       shows the id at once; see `dspyx status ID`";

const STATUS_HELP: &str = "\
Examples:
  dspyx status                     how the server is
  dspyx status --health            the same for a health check: exit code 1 if it is not healthy
  dspyx status ID --watch          follows an execution or a batch to its end";

const DOCTOR_HELP: &str = "\
Examples:
  dspyx doctor                     everything; exit code 1 if something must be done
  dspyx doctor --worker            only whether a worker of this machine is alive (health check)";

/// Of `demo`.
#[derive(Args)]
pub(crate) struct Demo {
    /// Leaves the server up, until Ctrl-C
    #[arg(long)]
    pub(crate) keep: bool,
    /// How many items the batch has
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) items: u32,
}

/// How a program is to be run; of `execute` and `batch submit`.
#[derive(Args)]
pub(crate) struct How {
    /// How much to run: normal, dry_run (checks the inputs only) or debug (keeps a trace)
    #[arg(long, default_value = "normal", value_parser = ["normal", "dry_run", "debug"])]
    pub(crate) mode: String,
    /// How long one attempt may take, e.g. 90s [default: the program's]
    #[arg(long)]
    pub(crate) timeout: Option<String>,
    /// How many more attempts after the first [default: the program's]
    #[arg(long)]
    pub(crate) max_retries: Option<u32>,
    /// Dollars that it may spend on models; of a batch, all items together [default: the program's]
    #[arg(long, value_name = "DOLLARS")]
    pub(crate) budget: Option<f64>,
    /// How urgent [default: interactive; of batches: bulk]
    #[arg(long, value_parser = ["interactive", "normal", "bulk"])]
    pub(crate) priority: Option<String>,
    /// Runs it, even if an equal result is known
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// Another model than the program's
    #[arg(long)]
    pub(crate) model: Option<String>,
    /// Says that a repeated request is the same one
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
}

/// Of `execute`.
#[derive(Args)]
pub(crate) struct Execute {
    /// The program's id, or id@version
    pub(crate) program: String,
    /// Inputs: name=text, name:=JSON or name=@FILE
    #[arg(value_name = "NAME=VALUE")]
    pub(crate) fields: Vec<String>,
    /// All inputs as a JSON object, @FILE, or - for standard input
    #[arg(long, value_name = "JSON|@FILE|-", conflicts_with = "fields")]
    pub(crate) inputs: Option<String>,
    #[command(flatten)]
    pub(crate) how: How,
    /// Starts it so much later, e.g. 10m
    #[arg(long)]
    pub(crate) delay: Option<String>,
    /// How long to wait for its end, e.g. 30s [default: as long as it takes]
    #[arg(long, conflicts_with = "no_wait", value_parser = |it: &str| values::duration(it))]
    pub(crate) wait: Option<std::time::Duration>,
    /// Does not wait
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// Shows the fields while the model writes them, on standard error
    #[arg(long, conflicts_with = "no_wait")]
    pub(crate) stream: bool,
}

/// Of `status`.
#[derive(Args)]
pub(crate) struct Status {
    /// The id of an execution or a batch
    pub(crate) id: Option<String>,
    /// Follows it to its end
    #[arg(long, requires = "id")]
    pub(crate) watch: bool,
    /// Only asks whether the server is healthy
    #[arg(long, conflicts_with = "id")]
    pub(crate) health: bool,
}

/// Of `programs`.
#[derive(Subcommand)]
pub(crate) enum Programs {
    /// Lists what the server can run
    List,
    /// Shows a program's inputs and outputs
    Show {
        /// The program's id, or id@version
        id: String,
    },
    /// Checks program files, without a server
    Check {
        /// Files or folders [default: PROGRAMS_DIR]
        paths: Vec<PathBuf>,
    },
    /// Shows what a model will see of a program file, without asking any
    Render(Render),
    /// Registers a program file, or replaces what has its id, on the whole fleet
    Add {
        /// The file
        file: PathBuf,
        /// The id [default: the file's `name`]
        #[arg(long)]
        id: Option<String>,
    },
    /// Removes a registered program
    Rm {
        /// The program's id
        id: String,
    },
}

/// Of `token`.
#[derive(Subcommand)]
pub(crate) enum Token {
    /// Makes a token, signed with SECRET_KEY
    Create {
        /// Whose it is: the owner of what is submitted with it
        #[arg(long)]
        subject: Option<String>,
        /// What it allows, of execute, read, programs, admin
        #[arg(long, value_delimiter = ',', default_value = "execute,read")]
        scope: Vec<String>,
        /// How long it is good for
        #[arg(long, default_value = "30d", value_parser = |it: &str| values::positive(it))]
        expires: std::time::Duration,
    },
    /// Refuses a token from now on, on the whole fleet
    Revoke {
        /// The token
        #[arg(value_name = "TOKEN")]
        text: String,
    },
    /// Lists the revoked tokens that have not expired, by their jti
    ListRevoked,
}

/// Of `stats`.
#[derive(Args)]
pub(crate) struct Stats {
    /// Only of this program
    #[arg(long)]
    pub(crate) program: Option<String>,
    /// Only of the last so long, e.g. 1h; at most 24h
    #[arg(long, value_parser = |it: &str| values::positive(it))]
    pub(crate) window: Option<std::time::Duration>,
}

/// Of `doctor`.
#[derive(Args)]
pub(crate) struct Doctor {
    /// Only asks whether a worker of this machine is alive
    #[arg(long)]
    pub(crate) worker: bool,
}

/// Of `config`.
#[derive(Args)]
pub(crate) struct ShowConfig {
    /// Writes an example file with every default instead
    #[arg(long)]
    pub(crate) example: bool,
}

/// Which settings a command takes as flags.
const TAKES: [(&str, &[Group]); 10] = [
    ("serve", &Group::SERVE),
    ("api", &[Group::Api, Group::Store, Group::Programs, Group::Log, Group::Tell]),
    ("worker", &Group::WORKER),
    ("execute", &[Group::Client]),
    ("batch", &[Group::Client]),
    ("status", &[Group::Client]),
    ("programs", &[Group::Client, Group::Programs]),
    ("token", &[Group::Store]),
    ("stats", &[Group::Client]),
    (
        "doctor",
        &[Group::Api, Group::Store, Group::Worker, Group::Programs, Group::Lm, Group::Client],
    ),
];

/// The command line with the settings as flags.
pub(crate) fn command() -> clap::Command {
    TAKES.into_iter().fold(Cli::command(), |command, (name, groups)| {
        command.mut_subcommand(name, |it| it.args(flags(groups)))
    })
}

/// Understands the arguments of the process, or ends it with a usage error.
pub(crate) fn parse() -> (Cli, ArgMatches) {
    let matches = command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let mut innermost = matches;
    while let Some((_, below)) = innermost.remove_subcommand() {
        innermost = below;
    }
    (cli, innermost)
}

fn flags(groups: &[Group]) -> Vec<Arg> {
    let taken = settings::all().filter(|it| groups.contains(&it.group));
    let flag = |it: &'static settings::Setting| {
        let default = if it.default.is_empty() { "none" } else { it.default };
        Arg::new(it.name)
            .long(it.flag())
            .global(true)
            .value_name("VALUE")
            .help(format!("{} [env: {}] [default: {default}]", it.help, it.name))
            .help_heading(it.group.title())
    };
    taken.map(flag).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn every_setting_of_a_service_is_a_flag_of_serve() {
        let mut command = command();
        let help = command.find_subcommand_mut("serve").unwrap().render_help().to_string();
        for setting in settings::all() {
            let skipped = setting.group == Group::Client;
            assert!(skipped || help.contains(setting.name), "{}", setting.name);
        }
    }
}

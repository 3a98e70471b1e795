//! What can be typed after `dspyx batch`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::How;

const RUN_HELP: &str = "\
Inputs: .jsonl or .ndjson, an object of inputs a line or {\"custom_id\": \"…\", \"inputs\": {…}};
.csv with a row of names; both also .gz or .zst; .parquet.
Outputs: .jsonl or .ndjson, an outcome a line as they come; .csv and .parquet at the end.

On the server of DSPYX_URL, or the one that listens on this machine; else in this process.

Examples:
  dspyx batch run letters.jsonl --program sentiment -o sentiments.jsonl
  dspyx batch run letters.csv --program sentiment -o sentiments.parquet --concurrency 200 --budget 5

Ctrl-C stops it, and the same command goes on; when it has ended, the same command runs again what
did not succeed. FILE.run beside the outputs holds what it must know for that.";

/// Of `batch run`.
#[derive(Args)]
pub(crate) struct Run {
    /// The file of inputs
    pub(crate) inputs: PathBuf,
    /// The program's id, or id@version
    #[arg(long, short)]
    pub(crate) program: String,
    /// The file of outputs
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) how: How,
    /// How many items run at once at most [default: as many as MAX_WORKERS]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) concurrency: Option<u32>,
    /// Calls off the rest when more items have failed
    #[arg(long)]
    pub(crate) max_errors: Option<u32>,
    /// Begins anew, and overwrites the outputs
    #[arg(long)]
    pub(crate) restart: bool,
    #[command(flatten)]
    pub(crate) via: Via,
}

/// Who asks the model.
#[derive(Args)]
pub(crate) struct Via {
    /// Who asks the model: the workers, or its provider's own batch endpoint, which is cheaper and
    /// may take a day [default: workers]
    #[arg(long, value_parser = ["workers", "provider"])]
    pub(crate) via: Option<String>,
}

/// Of `batch`.
#[derive(Subcommand)]
pub(crate) enum Batch {
    /// Runs a program on a file of inputs, and writes a file of outputs; run again, it goes on
    #[command(after_help = RUN_HELP)]
    Run(Run),
    /// Submits the inputs of a file, of any kind that `run` reads, also a JSON list
    Submit {
        /// The program's id, or id@version
        program: String,
        /// The file, or - for standard input
        file: PathBuf,
        #[command(flatten)]
        how: How,
        #[command(flatten)]
        via: Via,
        /// Follows it to its end
        #[arg(long)]
        watch: bool,
    },
    /// Shows how far it is
    Status {
        /// The batch's id
        id: String,
        /// Follows it to its end
        #[arg(long)]
        watch: bool,
    },
    /// Writes what is there of its results, in the order of its items
    Results {
        /// The batch's id
        id: String,
        /// Only items that ended so
        #[arg(long, value_parser = ["succeeded", "failed", "cancelled", "expired"])]
        status: Option<String>,
        /// Writes JSON lines into a file
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Calls off what has not ended of it
    Cancel {
        /// The batch's id
        id: String,
    },
    /// Runs again what did not succeed
    Retry {
        /// The batch's id
        id: String,
    },
}

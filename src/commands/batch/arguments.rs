//! What can be typed after `dspyx batch`.

use std::path::PathBuf;

use clap::Subcommand;

use crate::cli::How;

/// Of `batch`.
#[derive(Subcommand)]
pub(crate) enum Batch {
    /// Submits the inputs of a file: a JSON object a line, or one JSON list of objects
    Submit {
        /// The program's id, or id@version
        program: String,
        /// The file, or - for standard input
        file: PathBuf,
        #[command(flatten)]
        how: How,
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

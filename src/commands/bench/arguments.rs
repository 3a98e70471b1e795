//! What can be typed after `dspyx bench`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Of `bench`.
#[derive(Subcommand)]
pub(crate) enum Bench {
    /// A backlog that one worker drains: the engine, or with --programs a whole worker
    Drain(Drain),
    /// From submission until the client knows the result, one by one
    Latency(Latency),
    /// The same over HTTP, and how many submissions a running server accepts
    Http(Http),
    /// A batch over HTTP, from the first byte sent to a running server to the last result read
    Batch(Batch),
    /// What benches/queues.py calls to measure dspyx beside other queues
    #[command(hide = true)]
    Peer(Peer),
}

/// Of `bench drain`.
#[derive(Args)]
pub(crate) struct Drain {
    /// How many executions
    #[arg(long, default_value_t = 100_000)]
    pub(crate) executions: usize,
    /// How many run at once
    #[arg(long, default_value_t = 50)]
    pub(crate) slots: usize,
    /// How many times
    #[arg(long, default_value_t = 3)]
    pub(crate) rounds: usize,
    /// Runs a program with the offline model in a whole worker, not just a handler
    #[arg(long)]
    pub(crate) programs: bool,
    /// Submits all as the items of one batch
    #[arg(long)]
    pub(crate) batch: bool,
}

/// Of `bench latency`.
#[derive(Args)]
pub(crate) struct Latency {
    /// How many executions
    #[arg(long, default_value_t = 1000)]
    pub(crate) executions: usize,
}

/// Of `bench http`.
#[derive(Args)]
pub(crate) struct Http {
    /// The program; it needs one input `text`
    #[arg(long, default_value = "echo")]
    pub(crate) program: String,
    /// How many executions
    #[arg(long, default_value_t = 20_000)]
    pub(crate) executions: usize,
    /// How many clients submit at once
    #[arg(long, default_value_t = 16)]
    pub(crate) clients: usize,
}

/// Of `bench batch`.
#[derive(Args)]
pub(crate) struct Batch {
    /// The program; it needs one input `text`
    #[arg(long, default_value = "echo")]
    pub(crate) program: String,
    /// How many items
    #[arg(long, default_value_t = 100_000)]
    pub(crate) items: usize,
    /// How many bytes a line has, about
    #[arg(long, default_value_t = 200)]
    pub(crate) bytes: usize,
    /// Processes whose memory is told, e.g. of the API and of a worker
    #[arg(long)]
    pub(crate) pid: Vec<u32>,
}

/// Of `bench peer`.
#[derive(Args)]
pub(crate) struct Peer {
    #[command(subcommand)]
    pub(crate) command: PeerCommand,
}

/// What a queue must do to be measured.
#[derive(Subcommand)]
pub(crate) enum PeerCommand {
    /// Fills the queue
    Enqueue {
        /// How many executions
        #[arg(long)]
        executions: usize,
    },
    /// Works until killed
    Work {
        /// How many run at once
        #[arg(long)]
        slots: usize,
        /// Where to note when each was submitted and started
        #[arg(long)]
        timestamps: PathBuf,
    },
    /// Submits and waits, one by one
    Latency {
        /// How many executions
        #[arg(long)]
        executions: usize,
    },
}

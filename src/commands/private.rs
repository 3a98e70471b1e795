//! `dspyx serve --private`: a server that one process starts for itself, and takes along when it
//! ends, however it ends. The two talk in lines of JSON. The server tells on standard output where
//! it is; then each line on standard input is answered with one:
//!
//! - `{"keys": {"OPENAI_API_KEY": "…"}}`: keys of models, kept in memory alone; answer `{}`;
//! - `{"program": "/folder/program.yaml"}`: a program file anywhere on this machine; answer
//!   `{"program_id": …, "version": …}`, or `{"error": …}`.
//!
//! When standard input ends, the process is gone: what runs is given back at once.

use std::{
    collections::BTreeMap,
    fs,
    os::fd::AsFd,
    path::{Path, PathBuf},
};

use ::programs::Registry;
use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    net::unix::pipe,
    task::JoinSet,
};
use tracing::{info, warn};

use super::service::{Base, Front};
use crate::{
    config::{Config, GivenKeys, Usage},
    output,
    signal::Stop,
    telemetry,
    traces::Traces,
    wire,
};

/// The longest line that is read.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// What the process says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum Said {
    Keys(BTreeMap<String, String>),
    Program(PathBuf),
}

/// Serves the process at the other end of standard input and output.
pub(super) async fn serve(config: &Config, folder: Option<&Path>) -> Result<()> {
    telemetry::start(&config.log);
    let home = Home::open(folder)?;
    let config = home.configure(config);
    let parent = Parent::at_stdin()?;
    let front = Front::open(&config).await?;
    let queue = wire::queue(&config).await?;
    let base = Base::new(&config, queue, Traces::start("dspyx")?);
    home.restore(&base.registry);
    let mut parts = JoinSet::new();
    let ready = json!({
        "url": format!("http://{}", front.address),
        "token": front.token()?,
        "folder": home.path(),
    });
    base.start_both(front, &mut parts)?;
    output::line(ready)?;
    let (registry, keys) = (base.registry.clone(), config.given_keys.clone());
    parts.spawn(parent.follow(registry, keys, base.stop.clone()));
    base.until_stopped(parts).await
}

/// Where the server keeps everything.
enum Home {
    /// A folder that goes with it.
    Temporary(TempDir),
    /// A folder that stays.
    Named(PathBuf),
}

impl Home {
    fn open(folder: Option<&Path>) -> Result<Self> {
        let Some(folder) = folder else {
            let made = tempfile::Builder::new().prefix("dspyx-").tempdir();
            return Ok(Self::Temporary(made.context("cannot make a temporary folder")?));
        };
        let made = fs::create_dir_all(folder).and_then(|()| fs::canonicalize(folder));
        made.map(Self::Named).with_context(|| format!("cannot make {}", folder.display()))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Temporary(folder) => folder.path(),
            Self::Named(folder) => folder,
        }
    }

    /// The configuration of a server that nobody else is to find.
    fn configure(&self, config: &Config) -> Config {
        let mut python_allow = config.python_allow.clone();
        // What the process hands over is its own code.
        python_allow.local = true;
        // Who hands programs over may have no folder of them, and need not be warned of it.
        let usual = Config::default().programs_dir;
        let is_missing = config.programs_dir == usual && !usual.exists();
        let programs_dir =
            if is_missing { self.path().to_owned() } else { config.programs_dir.clone() };
        let config = Config {
            programs_dir,
            api_host: std::net::Ipv4Addr::LOCALHOST.into(),
            api_port: 0,
            secret_key: None,
            redis_url: None,
            database_path: self.path().join("dspyx.db"),
            python_allow,
            ..config.clone()
        };
        wire::beside_api(&config)
    }

    /// Takes up the programs that were handed over before a restart: executions may wait for them.
    fn restore(&self, registry: &Registry) {
        let folders = fs::read_dir(self.path().join("live")).into_iter().flatten().flatten();
        for path in folders.map(|it| it.path().join("program.yaml")) {
            if let Err(error) = registry.add(&path) {
                warn!("a program of the last time cannot be loaded: {error}");
            }
        }
    }
}

/// The process that this server is for.
struct Parent(BufReader<pipe::Receiver>);

impl Parent {
    fn at_stdin() -> Result<Self> {
        let stdin = std::io::stdin().as_fd().try_clone_to_owned();
        let pipe = stdin.and_then(pipe::Receiver::from_owned_fd).map_err(|_| {
            let words = "--private is for processes that talk to the server through a pipe";
            Usage(words.to_owned())
        })?;
        Ok(Self(BufReader::new(pipe)))
    }

    /// Does what the process says until it is gone, or the server stops.
    async fn follow(mut self, registry: Registry, keys: GivenKeys, stop: Stop) -> Result<()> {
        while let Some(Some(line)) = stop.stop.run_until_cancelled(self.line()).await {
            output::line(answer(&line, &registry, &keys).await)?;
        }
        if !stop.stop.is_cancelled() {
            info!("the process of this server is gone");
            stop.stop.cancel();
            stop.hurry.cancel();
        }
        Ok(())
    }

    /// The next line; none when the process has closed its end, or talks nonsense.
    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = (&mut self.0).take(LINE_BYTES_MAX).read_line(&mut line).await;
        (read.is_ok() && line.ends_with('\n')).then_some(line)
    }
}

async fn answer(line: &str, registry: &Registry, keys: &GivenKeys) -> Value {
    match serde_json::from_str(line) {
        Ok(Said::Keys(given)) => {
            keys.give(given);
            json!({})
        }
        Ok(Said::Program(path)) => {
            let registry = registry.clone();
            match tokio::task::spawn_blocking(move || registry.add(&path)).await {
                Ok(Ok(program)) => {
                    json!({"program_id": program.file_id(), "version": program.version})
                }
                Ok(Err(error)) => json!({"error": error.to_string()}),
                Err(error) => json!({"error": error.to_string()}),
            }
        }
        // The line may hold a key.
        Err(_) => json!({"error": "this is not understood"}),
    }
}

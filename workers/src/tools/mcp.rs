//! How an MCP server is started, and what this client tells it. The only file that knows whether
//! a server is a process or behind a URL.

use std::{
    collections::HashMap,
    process::Stdio,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use dspy::ToolError;
use process_wrap::tokio::{CommandWrap, KillOnDrop, ProcessGroup};
use programs::McpCommand;
use reqwest::{Url, header::HeaderMap};
use rmcp::{
    ClientHandler, RoleClient, ServiceExt,
    model::ClientConfig,
    service::{ClientInitializeError, NotificationContext, RunningService},
    transport::{
        StreamableHttpClientTransport, TokioChildProcess,
        streamable_http_client::StreamableHttpClientTransportConfig,
    },
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{ChildStderr, Command},
};
use tokio_util::task::AbortOnDropHandle;
use tracing::debug;

use crate::Keys;

/// Variables that a server gets without being named: what finds programs, and where to write.
const ENVIRONMENT: [&str; 5] = ["PATH", "HOME", "LANG", "TMPDIR", "TZ"];

/// The longest line of a server's log that is kept.
const LINE_BYTES_MAX: u64 = 4096;

/// How a server is reached.
pub(super) struct Server {
    way: Way,
    /// The tools that may be called; all if empty.
    pub(super) tools: Vec<String>,
}

enum Way {
    Command { command: Vec<String>, env: Vec<(String, String)> },
    Url { url: Url, headers: HeaderMap, client: reqwest::Client },
}

/// A server that answers.
pub(super) struct Connection {
    pub(super) service: RunningService<RoleClient, Listener>,
    _log: Option<AbortOnDropHandle<()>>,
}

/// Hears what a server says unasked.
#[derive(Default)]
pub(super) struct Listener {
    changed: AtomicBool,
}

impl Server {
    /// A server that is a process. It gets the variables that are named, and hardly another.
    pub(super) fn of_command(config: &McpCommand, keys: &Keys) -> Result<Self, ToolError> {
        let common = ENVIRONMENT.iter().filter_map(|name| Some((*name, keys.get(name)?)));
        let mut env: Vec<_> = common.map(|(name, value)| (name.to_owned(), value)).collect();
        for name in &config.env {
            let missing = || ToolError(format!("the variable {name} is not set"));
            env.push((name.clone(), keys.get(name).ok_or_else(missing)?));
        }
        let way = Way::Command { command: config.command.clone(), env };
        Ok(Self { way, tools: config.tools.clone() })
    }

    /// A server behind a URL.
    pub(super) fn of_url(
        url: Url,
        headers: HeaderMap,
        client: reqwest::Client,
        tools: &[String],
    ) -> Self {
        Self { way: Way::Url { url, headers, client }, tools: tools.to_vec() }
    }

    /// Starts the server, or connects to it.
    pub(super) async fn start(&self) -> Result<Connection, String> {
        match &self.way {
            Way::Command { command, env } => start(command, env).await,
            Way::Url { url, headers, client } => {
                let headers: HashMap<_, _> =
                    headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
                let config = StreamableHttpClientTransportConfig::with_uri(url.as_str());
                let config = config.custom_headers(headers);
                let transport = StreamableHttpClientTransport::with_client(client.clone(), config);
                let service = Listener::default().serve(transport).await;
                let service = service.map_err(|error| said(&error))?;
                Ok(Connection { service, _log: None })
            }
        }
    }
}

async fn start(command: &[String], env: &[(String, String)]) -> Result<Connection, String> {
    let (program, args) = command.split_first().ok_or("its command is empty")?;
    let mut process = Command::new(program);
    process.args(args).env_clear().envs(env.iter().cloned());
    let mut process = CommandWrap::from(process);
    // A group of its own: what it starts ends with it, and no signal of a terminal reaches it.
    process.wrap(ProcessGroup::leader()).wrap(KillOnDrop);
    let (transport, log) = TokioChildProcess::builder(process)
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("`{program}` cannot be started: {error}"))?;
    let last = Arc::<Mutex<String>>::default();
    let log = log.map(|log| {
        let follow = follow(log, program.clone(), Arc::clone(&last));
        AbortOnDropHandle::new(tokio::spawn(follow))
    });
    match Listener::default().serve(transport).await {
        Ok(service) => Ok(Connection { service, _log: log }),
        Err(error) => {
            let last = last.lock().unwrap_or_else(PoisonError::into_inner);
            let heard = if last.is_empty() { String::new() } else { format!("; it said: {last}") };
            Err(format!("{}{heard}", said(&error)))
        }
    }
}

/// Reads a server's log, so that it never waits to be read, and keeps the last line.
async fn follow(log: ChildStderr, program: String, last: Arc<Mutex<String>>) {
    let mut log = BufReader::new(log);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut log).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line).trim().to_owned();
        if !text.is_empty() {
            debug!(program, "{text}");
            *last.lock().unwrap_or_else(PoisonError::into_inner) = text;
        }
    }
}

fn said(error: &ClientInitializeError) -> String {
    if let ClientInitializeError::ConnectionClosed(_) = error {
        return "it ended before it answered".to_owned();
    }
    error.to_string()
}

impl Listener {
    /// Whether the server said that its tools are others, since this was asked last.
    pub(super) fn has_changed(&self) -> bool {
        self.changed.swap(false, Ordering::Relaxed)
    }
}

impl ClientHandler for Listener {
    fn get_info(&self) -> ClientConfig {
        let mut config = ClientConfig::default();
        "dspyx".clone_into(&mut config.client_info.name);
        env!("CARGO_PKG_VERSION").clone_into(&mut config.client_info.version);
        config
    }

    async fn on_tool_list_changed(&self, _context: NotificationContext<RoleClient>) {
        self.changed.store(true, Ordering::Relaxed);
    }
}

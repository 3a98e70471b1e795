//! The sessions with MCP servers: one for each program and source, shared by its executions.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use dspy::ToolError;
use futures::future::join_all;
use programs::{Origin, Program, ToolConfig, ToolKind};
use tokio::time::Instant;

use super::{http::Web, mcp::Server, session::Session};
use crate::Gateway;

/// How long a session that nobody uses stays open.
pub(super) const IDLE_MAX: Duration = Duration::from_secs(300);

/// The most sessions at once.
const SESSIONS_MAX: usize = 64;

/// The open sessions.
pub(super) struct Sessions {
    allow_commands: bool,
    open: Mutex<HashMap<(String, String), Arc<Session>>>,
}

impl Sessions {
    pub(super) fn new(allow_commands: bool) -> Self {
        Self { allow_commands, open: Mutex::default() }
    }

    /// The session with a source. It starts its server when it is first asked something.
    pub(super) fn get(
        &self,
        program: &Program,
        source: &ToolConfig,
        gateway: &Gateway,
    ) -> Result<Arc<Session>, ToolError> {
        let key = (program.digest.clone(), source.name.clone());
        let now = Instant::now();
        let mut open = self.open();
        if let Some(session) = open.get(&key) {
            session.touch(now);
            return Ok(Arc::clone(session));
        }
        let server = self.server(program, source, gateway)?;
        if open.len() >= SESSIONS_MAX {
            let unused = open.iter().filter(|(_, it)| Arc::strong_count(it) == 1);
            let oldest = unused.min_by_key(|(_, it)| it.used()).map(|(key, _)| key.clone());
            let busy = || ToolError(format!("{SESSIONS_MAX} MCP servers are in use: try later"));
            open.remove(&oldest.ok_or_else(busy)?);
        }
        let session = Arc::new(Session::new(source.name.clone(), server, now));
        open.insert(key, Arc::clone(&session));
        Ok(session)
    }

    /// How the server of a source is reached, if this program may.
    fn server(
        &self,
        program: &Program,
        source: &ToolConfig,
        gateway: &Gateway,
    ) -> Result<Server, ToolError> {
        let web = Web { gateway, origin: program.origin };
        match &source.kind {
            ToolKind::McpCommand(command) => {
                if program.origin == Origin::Registered && !self.allow_commands {
                    return Err(ToolError(format!(
                        "`{}` starts a process, which a program registered over HTTP may not: put \
                         the program into PROGRAMS_DIR, or set ALLOW_MCP_COMMANDS",
                        source.name
                    )));
                }
                Server::of_command(command, gateway.keys())
            }
            ToolKind::McpUrl(config) => {
                let url = web.admit(&config.url)?;
                let headers = web.headers(&config.headers_env)?;
                Ok(Server::of_url(url, headers, gateway.client().clone(), &config.tools))
            }
            ToolKind::Http(_) | ToolKind::OpenApi(_) => {
                Err(ToolError(format!("`{}` is no MCP server", source.name)))
            }
        }
    }

    /// Closes the sessions that nobody has used for long.
    pub(super) fn close_idle(&self, now: Instant) {
        self.open().retain(|_, it| {
            Arc::strong_count(it) > 1 || now.saturating_duration_since(it.used()) < IDLE_MAX
        });
    }

    /// Ends all of them.
    pub(super) async fn close_all(&self) {
        let all: Vec<_> = self.open().drain().map(|(_, session)| session).collect();
        join_all(all.iter().map(|it| it.close())).await;
    }

    fn open(&self) -> MutexGuard<'_, HashMap<(String, String), Arc<Session>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! A session with one MCP server, shared by all who call it. It starts the server when it is first
//! asked, again when it has died, and later and later when it does nothing but die.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use dspy::{Fields, Tool, ToolError};
use rmcp::{
    Peer, RoleClient, ServiceError,
    model::{CallToolRequestParams, PaginatedRequestParams},
};
use serde_json::Value;
use tokio::time::{self, Instant};
use tracing::{info, warn};

use super::mcp::{Connection, Server};

/// How long a server may take to answer for the first time, and to tell its tools.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a server has to live for its death to be forgiven.
const STEADY: Duration = Duration::from_secs(10);

/// How long the start of a server that keeps dying is put off at most.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// How long the tools that a server told are believed.
const TOOLS_AGE_MAX: Duration = Duration::from_secs(300);

/// The most pages in which a server tells its tools.
const PAGES_MAX: usize = 100;

/// The longest result.
const RESULT_BYTES_MAX: usize = 1 << 20;

/// How long a server may take to end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// A session with one server.
pub(super) struct Session {
    name: String,
    server: Server,
    used: Mutex<Instant>,
    told: Mutex<Arc<[Tool]>>,
    /// Its lock makes one start serve all who wait for it, so it is held over the start.
    live: tokio::sync::Mutex<Live>,
}

#[derive(Default)]
struct Live {
    connection: Option<Connection>,
    started_at: Option<Instant>,
    listed_at: Option<Instant>,
    /// How often it died young, one after the other.
    deaths: u32,
    not_before: Option<Instant>,
}

impl Session {
    pub(super) fn new(name: String, server: Server, now: Instant) -> Self {
        let told = Mutex::new(Arc::from([]));
        Self { name, server, used: Mutex::new(now), told, live: tokio::sync::Mutex::default() }
    }

    /// Notes that it is used.
    pub(super) fn touch(&self, now: Instant) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    /// When it was used last.
    pub(super) fn used(&self) -> Instant {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tools of the server.
    pub(super) async fn tools(&self) -> Result<Arc<[Tool]>, ToolError> {
        self.peer().await?;
        Ok(Arc::clone(&self.told.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// What a tool of the server gives. Dropped before it has, it tells the server to stop.
    pub(super) async fn call(&self, name: &str, args: &Fields) -> Result<Value, ToolError> {
        let peer = self.peer().await?;
        let request = CallToolRequestParams::new(name.to_owned()).with_arguments(args.clone());
        let result = peer.call_tool(request).await;
        self.touch(Instant::now());
        let result = result.map_err(|error| self.failed(&error))?;
        let blocks = result.content.iter().map(serde_json::to_value).collect::<Result<Vec<_>, _>>();
        let blocks =
            blocks.map_err(|error| ToolError(format!("the result is no JSON: {error}")))?;
        let size: usize = blocks.iter().map(|it| it.to_string().len()).sum();
        if size > RESULT_BYTES_MAX {
            let text = format!("`{name}` gave {size} bytes, and may give {RESULT_BYTES_MAX}");
            return Err(ToolError(text));
        }
        dspy::mcp_result(&blocks, result.is_error.unwrap_or_default())
    }

    /// Ends the server.
    pub(super) async fn close(&self) {
        let connection = self.live.lock().await.connection.take();
        if let Some(mut connection) = connection {
            drop(connection.service.close_with_timeout(CLOSE_TIMEOUT).await);
        }
    }

    /// The server, alive, and its tools known.
    async fn peer(&self) -> Result<Peer<RoleClient>, ToolError> {
        let mut live = self.live.lock().await;
        let now = Instant::now();
        live.bury(now);
        if live.connection.is_none() {
            if let Some(wait) = live.must_wait(now) {
                let seconds = wait.as_secs().max(1);
                let why = format!("is down, and is started again in {seconds} seconds");
                return Err(self.says(&why));
            }
            // Should the caller be gone in the middle, nothing was noted and nothing runs.
            match time::timeout(START_TIMEOUT, self.server.start()).await {
                Ok(Ok(connection)) => {
                    info!(server = self.name, "the MCP server {} is up", self.name);
                    live.connection = Some(connection);
                    live.started_at = Some(now);
                    live.listed_at = None;
                }
                Ok(Err(why)) => return Err(self.not_started(&mut live, &why)),
                Err(_) => return Err(self.not_started(&mut live, "it does not answer")),
            }
        }
        let Some(connection) = &live.connection else { return Err(self.says("is down")) };
        let peer = connection.service.peer().clone();
        let stale = live.listed_at.is_none_or(|it| now.duration_since(it) > TOOLS_AGE_MAX);
        if stale | connection.service.service().has_changed() {
            let tools = time::timeout(START_TIMEOUT, self.list(&peer)).await;
            let tools = tools.map_err(|_| self.says("does not tell its tools"))??;
            *self.told.lock().unwrap_or_else(PoisonError::into_inner) = tools;
            live.listed_at = Some(now);
        }
        Ok(peer)
    }

    async fn list(&self, peer: &Peer<RoleClient>) -> Result<Arc<[Tool]>, ToolError> {
        let (mut tools, mut cursor) = (Vec::new(), None);
        for _ in 0..PAGES_MAX {
            let asked = PaginatedRequestParams::default().with_cursor(cursor);
            let page = peer.list_tools(Some(asked)).await.map_err(|error| self.failed(&error))?;
            let allowed = |name: &str| {
                self.server.tools.is_empty() || self.server.tools.iter().any(|it| it == name)
            };
            for it in page.tools.iter().filter(|it| allowed(&it.name)) {
                tools.push(Tool::from_mcp(&it.name, it.description.as_deref(), &it.input_schema)?);
            }
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        let missing =
            self.server.tools.iter().find(|it| !tools.iter().any(|tool| tool.name == **it));
        match missing {
            Some(name) => Err(self.says(&format!("has no tool `{name}`"))),
            None => Ok(tools.into()),
        }
    }

    fn not_started(&self, live: &mut Live, why: &str) -> ToolError {
        live.died(Instant::now());
        let error = self.says(&format!("did not start: {why}"));
        warn!("{error}");
        error
    }

    fn failed(&self, error: &ServiceError) -> ToolError {
        // What Python's `str(McpError)` is.
        if let ServiceError::McpError(error) = error {
            return ToolError(error.message.to_string());
        }
        if let ServiceError::TransportClosed | ServiceError::TransportSend(_) = error {
            return self.says("ended before it answered");
        }
        self.says(&format!("failed: {error}"))
    }

    fn says(&self, what: &str) -> ToolError {
        ToolError(format!("the MCP server `{}` {what}", self.name))
    }
}

impl Live {
    /// Notes the death of the server, if it has died.
    fn bury(&mut self, now: Instant) {
        let dead =
            |it: &Connection| it.service.is_closed() || it.service.peer().is_transport_closed();
        if self.connection.as_ref().is_some_and(dead) {
            self.connection = None;
            self.died(now);
        }
    }

    fn died(&mut self, now: Instant) {
        let young = self.started_at.take().is_none_or(|it| now.duration_since(it) < STEADY);
        self.deaths = if young { self.deaths.saturating_add(1) } else { 0 };
        // The first time it is started again at once.
        let pause = match self.deaths {
            0 | 1 => Duration::ZERO,
            deaths => Duration::from_secs(1 << (deaths - 2).min(6)).min(PAUSE_MAX),
        };
        self.not_before = Some(now + pause);
    }

    fn must_wait(&self, now: Instant) -> Option<Duration> {
        let wait = self.not_before?.saturating_duration_since(now);
        (!wait.is_zero()).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_keeps_dying_is_started_later_and_later() {
        let (mut live, now) = (Live::default(), Instant::now());
        let mut pauses = Vec::new();
        for _ in 0..9 {
            live.died(now);
            pauses.push(live.must_wait(now).map_or(0, |it| it.as_secs()));
        }
        assert_eq!(pauses, [0, 1, 2, 4, 8, 16, 32, 60, 60]);
    }

    #[test]
    fn one_that_lived_is_started_again_at_once() {
        let (mut live, now) = (Live { deaths: 5, ..Live::default() }, Instant::now());
        live.started_at = Some(now);
        live.died(now + 2 * STEADY);
        assert_eq!((live.deaths, live.must_wait(now + 2 * STEADY)), (0, None));
    }
}

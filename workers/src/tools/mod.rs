//! The tools of programs: finds the one that a model asked for, and calls it within its time.
//!
//! An error is told to the model, which may try something else: a server that is down, a call that
//! takes too long and an unknown name are all told so. Only a source that cannot say which tools
//! it has fails the execution, because nobody can be told what there is.

mod http;
mod mcp;
mod openapi;
mod resolve;
mod service;
mod session;
mod sessions;
mod template;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use dspy::{Fields, Tool, ToolError, Tools};
use programs::{Program, ToolConfig, ToolKind};
use serde_json::Value;
use tokio::time::{self, Instant};

use self::{http::Web, service::Services, session::Session, sessions::Sessions};
use crate::{
    Gateway, Metrics,
    telemetry::{Parent, ToolSpan},
};

/// How long one call may take, if the file does not say.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// The most tools that one model is told of.
const TOOLS_MAX: usize = 500;

/// What the executions of a worker share to call tools.
pub(crate) struct Toolbox {
    gateway: Arc<Gateway>,
    sessions: Sessions,
    services: Services,
}

/// The tools of one program.
pub(crate) struct ProgramTools<'a> {
    toolbox: &'a Toolbox,
    program: &'a Program,
    span: Option<Parent<'a>>,
}

impl Toolbox {
    /// One without open sessions.
    pub(crate) fn new(gateway: Arc<Gateway>, allow_mcp_commands: bool) -> Self {
        let sessions = Sessions::new(allow_mcp_commands);
        Self { gateway, sessions, services: Services::default() }
    }

    /// The tools of one program.
    pub(crate) fn of<'a>(&'a self, program: &'a Program) -> ProgramTools<'a> {
        ProgramTools { toolbox: self, program, span: None }
    }

    /// Closes the sessions that nobody uses, again and again.
    pub(crate) async fn tidy(&self) {
        loop {
            time::sleep(sessions::IDLE_MAX / 10).await;
            self.sessions.close_idle(Instant::now());
        }
    }

    /// Ends every session, so that no server outlives the worker.
    pub(crate) async fn close(&self) {
        self.sessions.close_all().await;
    }

    fn web<'a>(&'a self, program: &Program) -> Web<'a> {
        Web { gateway: &self.gateway, origin: program.origin }
    }

    fn metrics(&self) -> &Metrics {
        &self.gateway.metrics
    }
}

impl<'a> ProgramTools<'a> {
    /// The same, each call a span below that one.
    pub(crate) fn below(self, span: Option<Parent<'a>>) -> Self {
        Self { span, ..self }
    }
}

impl ProgramTools<'_> {
    /// The sources of these names; all of the program's if none is named.
    fn sources(&self, names: &[String]) -> Result<Vec<&ToolConfig>, ToolError> {
        let all = &self.program.tools;
        if names.is_empty() {
            return Ok(all.iter().collect());
        }
        let find = |name: &String| {
            let found = all.iter().find(|it| it.name == *name);
            found.ok_or_else(|| ToolError(format!("the program has no tools `{name}`")))
        };
        names.iter().map(find).collect()
    }

    async fn tools_of(&self, source: &ToolConfig) -> Result<Vec<Tool>, ToolError> {
        let tools = match &source.kind {
            ToolKind::Http(http) => vec![service::tool_of(source, http)],
            ToolKind::OpenApi(_) => self.service(source).await?.tools(),
            ToolKind::McpCommand(_) | ToolKind::McpUrl(_) => {
                self.session(source)?.tools().await?.to_vec()
            }
        };
        Ok(tools)
    }

    /// Whether a source has a tool of that name.
    async fn has(&self, source: &ToolConfig, name: &str) -> Result<bool, ToolError> {
        match &source.kind {
            ToolKind::Http(_) => Ok(source.name == name),
            ToolKind::OpenApi(_) => Ok(self.service(source).await?.find(name).is_some()),
            ToolKind::McpCommand(_) | ToolKind::McpUrl(_) => {
                let tools = self.session(source)?.tools().await?;
                Ok(tools.iter().any(|it| it.name == name))
            }
        }
    }

    /// What a tool of a source gives.
    async fn call_of(
        &self,
        source: &ToolConfig,
        name: &str,
        args: &Fields,
    ) -> Result<Value, ToolError> {
        let web = self.toolbox.web(self.program);
        match &source.kind {
            ToolKind::Http(http) => service::call_one(web, http, args).await,
            ToolKind::OpenApi(config) => {
                let service = self.service(source).await?;
                let operation = service.find(name).ok_or_else(|| unknown(name))?;
                web.send(service.request(web, operation, config, args)?).await
            }
            ToolKind::McpCommand(_) | ToolKind::McpUrl(_) => {
                self.session(source)?.call(name, args).await
            }
        }
    }

    async fn service(&self, source: &ToolConfig) -> Result<Arc<openapi::Service>, ToolError> {
        let web = self.toolbox.web(self.program);
        self.toolbox.services.get(&self.program.digest, source, web).await
    }

    fn session(&self, source: &ToolConfig) -> Result<Arc<Session>, ToolError> {
        self.toolbox.sessions.get(self.program, source, &self.toolbox.gateway)
    }

    /// Calls the last tool of that name: in the package later tools take the place of earlier ones.
    async fn find_and_call(
        &self,
        sources: &[String],
        name: &str,
        args: &Fields,
    ) -> Result<Value, ToolError> {
        let mut unsure = None;
        for source in self.sources(sources)?.into_iter().rev() {
            match self.has(source, name).await {
                Ok(true) => {
                    let limit = source.timeout.unwrap_or(CALL_TIMEOUT);
                    let call = time::timeout(limit, self.call_of(source, name, args)).await;
                    return call.unwrap_or_else(|_| Err(late(name, limit)));
                }
                Ok(false) => {}
                // Another source may be the one that has it.
                Err(error) => unsure = Some(error),
            }
        }
        Err(unsure.unwrap_or_else(|| unknown(name)))
    }
}

fn unknown(name: &str) -> ToolError {
    ToolError(format!("there is no tool `{name}`"))
}

fn late(name: &str, limit: Duration) -> ToolError {
    ToolError(format!("`{name}` gave nothing within {} seconds", limit.as_secs_f64()))
}

#[async_trait]
impl Tools for ProgramTools<'_> {
    async fn list(&self, sources: &[String]) -> Result<Vec<Tool>, ToolError> {
        let mut all = Vec::new();
        for source in self.sources(sources)? {
            all.extend(self.tools_of(source).await?);
        }
        if all.len() > TOOLS_MAX {
            let count = all.len();
            let text = format!("there are {count} tools, and may be {TOOLS_MAX}: name some");
            return Err(ToolError(text));
        }
        Ok(all)
    }

    async fn call(
        &self,
        sources: &[String],
        name: &str,
        args: &Fields,
    ) -> Result<Value, ToolError> {
        let (metrics, began) = (self.toolbox.metrics(), Instant::now());
        metrics.tool_calls.add(1);
        let span = self.span.map(|it| ToolSpan::begin(it, name, args));
        let result = self.find_and_call(sources, name, args).await;
        if let Some(span) = span {
            span.end(&result);
        }
        let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        metrics.tool_milliseconds.add(millis);
        if result.is_err() {
            metrics.tool_errors.add(1);
        }
        result
    }
}

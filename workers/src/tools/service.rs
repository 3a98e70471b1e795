//! HTTP services that were looked at, and tools that are one request.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use dspy::{Fields, Tool, ToolError};
use programs::{Document, HttpTool, ToolConfig, ToolKind};
use serde_json::Value;
use tokio::time::{self, Instant};

use super::{
    http::{Request, Web},
    openapi::Service,
    template,
};

/// How long a description that was fetched is believed.
const DOCUMENT_AGE_MAX: Duration = Duration::from_secs(600);

/// How long it may take to fetch one.
const DOCUMENT_TIMEOUT: Duration = Duration::from_secs(30);

/// The most services remembered.
const SERVICES_MAX: usize = 256;

/// The services that were looked at, by program and source.
#[derive(Default)]
pub(super) struct Services(Mutex<HashMap<(String, String), Known>>);

struct Known {
    service: Arc<Service>,
    until: Option<Instant>,
}

impl Services {
    /// The service of a source, looked at if it was not yet, or not for long.
    pub(super) async fn get(
        &self,
        digest: &str,
        source: &ToolConfig,
        web: Web<'_>,
    ) -> Result<Arc<Service>, ToolError> {
        let ToolKind::OpenApi(config) = &source.kind else {
            return Err(ToolError(format!("`{}` is not described by OpenAPI", source.name)));
        };
        let key = (digest.to_owned(), source.name.clone());
        if let Some(known) = self.known(&key, Instant::now()) {
            return Ok(known);
        }
        let (service, until) = match &config.document {
            Document::Value(document) => (Service::read(document, config, None)?, None),
            Document::Url(address) => {
                let url = web.admit(address)?;
                let fetch = web.document(url, web.headers(&config.headers_env)?);
                let late = |_| ToolError(format!("the description at {address} does not come"));
                let document = time::timeout(DOCUMENT_TIMEOUT, fetch).await.map_err(late)??;
                let until = Instant::now() + DOCUMENT_AGE_MAX;
                (Service::read(&document, config, Some(address))?, Some(until))
            }
        };
        let service = Arc::new(service);
        self.remember(key, Known { service: Arc::clone(&service), until });
        Ok(service)
    }

    fn known(&self, key: &(String, String), now: Instant) -> Option<Arc<Service>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.get(key).filter(|it| it.until.is_none_or(|until| now < until));
        found.map(|it| Arc::clone(&it.service))
    }

    fn remember(&self, key: (String, String), service: Known) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= SERVICES_MAX {
            // Read again when they are asked for: programs change seldom.
            known.clear();
        }
        known.insert(key, service);
    }
}

/// A tool that is one request, as the model is told of it.
pub(super) fn tool_of(source: &ToolConfig, http: &HttpTool) -> Tool {
    let desc = source.desc.clone().unwrap_or_default();
    Tool { name: source.name.clone(), desc, args: http.args.clone(), has_kwargs: false }
}

/// What a tool that is one request gives.
pub(super) async fn call_one(
    web: Web<'_>,
    http: &HttpTool,
    args: &Fields,
) -> Result<Value, ToolError> {
    let answer = web.send(request(web, http, args)?).await?;
    match &http.result {
        None => Ok(answer),
        Some(pointer) => {
            let found = answer.pointer(pointer).cloned();
            found.ok_or_else(|| ToolError(format!("the answer has nothing at `{pointer}`")))
        }
    }
}

fn request(web: Web<'_>, http: &HttpTool, args: &Fields) -> Result<Request, ToolError> {
    let mut url = web.admit(&template::fill(&http.url, args)?)?;
    let placed: Vec<&str> = template::names(&http.url).collect();
    let others = args.iter().filter(|(name, _)| !placed.contains(&name.as_str()));
    let body = if http.method.has_body() {
        Some(others.map(|(name, value)| (name.clone(), value.clone())).collect())
    } else {
        for (name, value) in others {
            template::add_query(&mut url, name, value);
        }
        None
    };
    Ok(Request { method: http.method, url, headers: web.headers(&http.headers_env)?, body })
}

//! One HTTP request of a tool: bounded in size, with keys for its own host only.

use std::collections::BTreeMap;

use dspy::ToolError;
use programs::{Method, Origin};
use reqwest::{
    Response, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION},
};
use serde_json::Value;

use crate::Gateway;

/// The longest answer read: it becomes part of a prompt.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// The longest description of a service.
const DOCUMENT_BYTES_MAX: usize = 16 << 20;

/// How often a request is sent on within its host.
const REDIRECTS_MAX: usize = 3;

/// The longest part of an answer that an error quotes.
const QUOTE_CHARS_MAX: usize = 500;

/// How a program reaches the network.
#[derive(Clone, Copy)]
pub(super) struct Web<'a> {
    pub(super) gateway: &'a Gateway,
    /// Who wrote the program.
    pub(super) origin: Origin,
}

/// One request.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Value>,
}

impl Web<'_> {
    /// An address, if the program may ask there.
    pub(super) fn admit(&self, address: &str) -> Result<Url, ToolError> {
        let url = Url::parse(address).ok().filter(Url::has_host);
        let url = url.ok_or_else(|| ToolError(format!("`{address}` is not an http address")))?;
        if self.gateway.trust().covers(url.as_str(), self.origin) {
            return Ok(url);
        }
        let base = url.origin().ascii_serialization();
        Err(ToolError(format!(
            "a program registered over HTTP may not call {base}: add the address to \
             TRUSTED_BASES, or put the program into PROGRAMS_DIR"
        )))
    }

    /// Headers whose values are in the variables of those names.
    pub(super) fn headers(&self, env: &BTreeMap<String, String>) -> Result<HeaderMap, ToolError> {
        let header = |(name, variable): (&String, &String)| {
            let missing = || ToolError(format!("the variable {variable} is not set"));
            let key = self.gateway.keys().get(variable).ok_or_else(missing)?;
            let wrong = || ToolError(format!("{variable} cannot be the value of a header"));
            let name: HeaderName = name.parse().map_err(|_| wrong())?;
            let bare = name == AUTHORIZATION && !key.contains(' ');
            let key = if bare { format!("Bearer {key}") } else { key };
            let mut value = HeaderValue::from_str(&key).map_err(|_| wrong())?;
            value.set_sensitive(true);
            Ok((name, value))
        };
        env.iter().map(header).collect()
    }

    /// Sends a request, and gives the answer: a value if it is JSON, else its text.
    pub(super) async fn send(&self, request: Request) -> Result<Value, ToolError> {
        let what = format!("{} {}", request.method.name(), bare(&request.url));
        let response = self.follow(&request, &what).await?;
        let (status, is_json) = (response.status(), is_json(response.headers()));
        let body = read(response, &what, ANSWER_BYTES_MAX).await?;
        if !status.is_success() {
            let said = redacted(quote(&body), &request.headers);
            return Err(ToolError(format!("{what} answered {}: {said}", status.as_u16())));
        }
        if body.is_empty() {
            return Ok(Value::Null);
        }
        match serde_json::from_slice(&body) {
            Ok(value) => Ok(value),
            Err(error) if is_json => Err(ToolError(format!("{what} answered no JSON: {error}"))),
            Err(_) => Ok(String::from_utf8_lossy(&body).into_owned().into()),
        }
    }

    /// Fetches the JSON document at an address.
    pub(super) async fn document(&self, url: Url, headers: HeaderMap) -> Result<Value, ToolError> {
        let what = format!("the description at {}", bare(&url));
        let request = Request { method: Method::Get, url, headers, body: None };
        let response = self.follow(&request, &what).await?;
        let status = response.status();
        let body = read(response, &what, DOCUMENT_BYTES_MAX).await?;
        if !status.is_success() {
            return Err(ToolError(format!("{what} cannot be read: {status}")));
        }
        serde_json::from_slice(&body).map_err(|error| {
            ToolError(format!(
                "{what} is no JSON ({error}); save it beside the program file, and name that"
            ))
        })
    }

    /// The answer, also of where a request without a body is sent on to within its own host.
    async fn follow(&self, request: &Request, what: &str) -> Result<Response, ToolError> {
        let mut url = request.url.clone();
        for _ in 0..=REDIRECTS_MAX {
            let mut builder = self
                .gateway
                .client()
                .request(method(request.method), url.clone())
                .headers(request.headers.clone());
            if let Some(body) = &request.body {
                let json = HeaderValue::from_static("application/json");
                builder = builder.header(CONTENT_TYPE, json).body(body.to_string());
            }
            let failed = |error: &reqwest::Error| {
                let why = crate::gateway::innermost(error);
                ToolError(format!("{what} failed: {why}"))
            };
            let response = builder.send().await.map_err(|error| failed(&error))?;
            if !response.status().is_redirection() {
                return Ok(response);
            }
            let location = response.headers().get(LOCATION).and_then(|it| it.to_str().ok());
            let next = location.and_then(|it| url.join(it).ok());
            let next = next.filter(|it| it.origin() == url.origin() && request.body.is_none());
            let elsewhere = || ToolError(format!("{what} sends on to another place"));
            url = next.ok_or_else(elsewhere)?;
        }
        Err(ToolError(format!("{what} sends on and on")))
    }
}

/// The body, if it is not too long.
async fn read(mut response: Response, what: &str, max: usize) -> Result<Vec<u8>, ToolError> {
    let mut body = Vec::new();
    let lost = |_| ToolError(format!("{what} broke off"));
    while let Some(chunk) = response.chunk().await.map_err(lost)? {
        if body.len() + chunk.len() > max {
            return Err(ToolError(format!("{what} answered more than {max} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn method(method: Method) -> reqwest::Method {
    match method {
        Method::Get => reqwest::Method::GET,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
        Method::Patch => reqwest::Method::PATCH,
        Method::Delete => reqwest::Method::DELETE,
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
    media_type.is_some_and(|it| it.split(';').next().is_some_and(|it| it.trim().ends_with("json")))
}

/// An address without its query, which may hold what is nobody's business.
fn bare(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

/// A text without the keys that were sent: some services quote them.
fn redacted(text: String, headers: &HeaderMap) -> String {
    let keys = headers.values().filter_map(|it| it.to_str().ok());
    keys.fold(text, |text, key| text.replace(key.strip_prefix("Bearer ").unwrap_or(key), "[key]"))
}

fn quote(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    match text.trim() {
        "" => "(nothing)".to_owned(),
        text => text.chars().take(QUOTE_CHARS_MAX).collect(),
    }
}

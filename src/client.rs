//! The HTTP client of the commands: everything they know of a server, they know from its API.

use std::{fmt, net::IpAddr, time::Duration};

use anyhow::{Context, Result};
use api::{
    SecretKey,
    token::{self, Scope},
};
use backon::{ConstantBuilder, Retryable};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use chrono::Utc;
use reqwest::{
    Method, RequestBuilder, Response, StatusCode, Url,
    header::{self, HeaderValue},
};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    config::{self, Config, Secret},
    local,
};

/// The longest that a server holds a waiting request.
pub(crate) const WAIT_SECONDS_MAX: u64 = 60;

/// Longer than a command waits for a batch.
const OWN_TOKEN_TTL: Duration = Duration::from_secs(24 * 3600);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longer than a waiting request is held.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(WAIT_SECONDS_MAX + 30);
/// Longer than a stream is read or written without a new request.
const STREAM_TIMEOUT: Duration = Duration::from_secs(24 * 3600);
/// A read is tried again when the server restarts.
const READ_TRIES: usize = 60;
const READ_PAUSE: Duration = Duration::from_millis(500);

/// A server, and the token to show it.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
    token: Token,
}

/// Where the token comes from that the server is shown.
#[derive(Clone)]
enum Token {
    None,
    Given(Secret),
    /// The one that a server of this port has published: another each time that it starts.
    Published(u16),
}

/// A request that failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nobody answered.
    Unreachable { url: String, reason: String },
    /// The server said no.
    Refused { status: StatusCode, problem: Value },
}

impl Failure {
    /// Whether there is nothing of that name.
    pub(crate) fn is_missing(error: &anyhow::Error) -> bool {
        let found = error.downcast_ref::<Failure>();
        matches!(found, Some(Failure::Refused { status: StatusCode::NOT_FOUND, .. }))
    }

    fn is_passing(&self) -> bool {
        match self {
            Failure::Unreachable { .. } => true,
            Failure::Refused { status, .. } => {
                [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS].contains(status)
            }
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Unreachable { url, reason } => write!(
                f,
                "no answer from {url} ({reason}); start a server with `dspyx serve`, or say where \
                 it is with DSPYX_URL or --dspyx-url"
            ),
            Failure::Refused { status, problem } => refusal(f, *status, problem),
        }
    }
}

/// A problem of the server in words, with what to do.
fn refusal(f: &mut fmt::Formatter<'_>, status: StatusCode, problem: &Value) -> fmt::Result {
    let text = |key: &str| problem.get(key).and_then(Value::as_str);
    let said = text("detail").or_else(|| text("title")).or_else(|| status.canonical_reason());
    write!(f, "{}", said.unwrap_or("the server refused").trim_end_matches('.'))?;
    let mut is_of_inputs = false;
    for error in problem.get("errors").and_then(Value::as_array).into_iter().flatten() {
        let part = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default();
        write!(f, "\n  {} {}", part("pointer"), part("message"))?;
        is_of_inputs |= part("pointer").starts_with("/inputs");
    }
    match status {
        StatusCode::UNAUTHORIZED => f.write_str(
            "; set DSPYX_TOKEN to a token of this server (`dspyx token create` makes one)",
        ),
        StatusCode::FORBIDDEN => {
            f.write_str("; `dspyx token create --scope …` makes a token that may do more")
        }
        StatusCode::UNPROCESSABLE_ENTITY if is_of_inputs => {
            f.write_str("; `dspyx programs show ID` tells the inputs (name:=JSON for non-texts)")
        }
        _ => Ok(()),
    }
}

impl std::error::Error for Failure {}

impl Client {
    /// A client of the configured server. Its token is the configured one; else one made with
    /// SECRET_KEY; else the one that a server on this machine has published.
    pub(crate) fn of(config: &Config) -> Result<Self> {
        let url = &config.server.url;
        let token = match (&config.server.token, &config.secret_key) {
            (Some(token), _) => Token::Given(token.clone()),
            (None, Some(key)) => Token::Given(own_token(key)?),
            (None, None) => local_port(url).map_or(Token::None, Token::Published),
        };
        Self::with(url, token)
    }

    /// A client that has asked nothing yet.
    pub(crate) fn new(url: &str, token: Option<Secret>) -> Result<Self> {
        Self::with(url, token.map_or(Token::None, Token::Given))
    }

    fn with(url: &str, token: Token) -> Result<Self> {
        // It fails only if there is a provider already, which will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            .build()?;
        Ok(Self { http, url: url.trim_end_matches('/').to_owned(), token })
    }

    /// Where the server is.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Reads what is waited for: tries again while the server restarts.
    pub(crate) async fn get_patiently(&self, path: &str) -> Result<Value> {
        patiently(async || self.get(path).await).await
    }

    /// Reads.
    pub(crate) async fn get(&self, path: &str) -> Result<Value> {
        body(self.send(self.request(Method::GET, path)).await?).await
    }

    /// Does something.
    pub(crate) async fn post(&self, path: &str, value: &Value) -> Result<Value> {
        self.post_named(path, value, None).await
    }

    /// Does something, and waits for the end of it for so many seconds.
    pub(crate) async fn post_waiting(
        &self,
        path: &str,
        value: &Value,
        seconds: u64,
    ) -> Result<Value> {
        let request = self.json(Method::POST, path, value)?;
        body(self.send(request.header("prefer", format!("wait={seconds}"))).await?).await
    }

    /// Does something that has a name, by which a repeated request is known.
    pub(crate) async fn post_named(
        &self,
        path: &str,
        value: &Value,
        idempotency_key: Option<&str>,
    ) -> Result<Value> {
        let mut request = self.json(Method::POST, path, value)?;
        if let Some(key) = idempotency_key {
            request = request.header("idempotency-key", key);
        }
        body(self.send(request).await?).await
    }

    /// Puts a text, of a program file.
    pub(crate) async fn put_text(&self, path: &str, text: String, kind: &str) -> Result<Value> {
        let request = self.request(Method::PUT, path).header(header::CONTENT_TYPE, kind);
        body(self.send(request.body(text)).await?).await
    }

    /// Sends lines of JSON, which may take as long as they are.
    pub(crate) async fn post_lines(&self, path: &str, lines: Vec<u8>) -> Result<Value> {
        let request = self.request(Method::POST, path).timeout(STREAM_TIMEOUT);
        let request = request.header(header::CONTENT_TYPE, "application/x-ndjson");
        body(self.send(request.body(lines)).await?).await
    }

    /// Removes something.
    pub(crate) async fn delete(&self, path: &str) -> Result<Value> {
        body(self.send(self.request(Method::DELETE, path)).await?).await
    }

    /// Reads a streamed answer, however long it takes; the pieces come from [`Response::chunk`].
    pub(crate) async fn stream(&self, path: &str) -> Result<Response> {
        self.send(self.request(Method::GET, path).timeout(STREAM_TIMEOUT)).await
    }

    /// The same, trying again while the server restarts.
    pub(crate) async fn stream_patiently(&self, path: &str) -> Result<Response> {
        patiently(async || self.stream(path).await).await
    }

    /// Follows the events of an execution behind one that was seen, trying again while the server
    /// restarts.
    pub(crate) async fn follow_patiently(&self, path: &str, after: &str) -> Result<Response> {
        let follow = async || {
            let request = self.request(Method::GET, path).timeout(STREAM_TIMEOUT);
            let request = request.header(header::ACCEPT, "text/event-stream");
            let seen = (!after.is_empty()).then_some(("last-event-id", after));
            self.send(seen.into_iter().fold(request, |it, (name, id)| it.header(name, id))).await
        };
        patiently(follow).await
    }

    /// Sends a part of a batch's items, with its digest, trying again while the server restarts.
    pub(crate) async fn put_part(&self, path: &str, lines: Vec<u8>) -> Result<Value> {
        let digest = format!("sha-256=:{}:", BASE64.encode(Sha256::digest(&lines)));
        let send = async || {
            let request = self.request(Method::PUT, path).header("content-digest", &digest);
            let request = request.header(header::CONTENT_TYPE, "application/x-ndjson");
            body(self.send(request.body(lines.clone())).await?).await
        };
        patiently(send).await
    }

    /// Does something that may be repeated, trying again while the server restarts.
    pub(crate) async fn post_patiently(&self, path: &str, value: &Value) -> Result<Value> {
        patiently(async || self.post(path, value).await).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{}{path}", self.url, api::PREFIX));
        match self.token() {
            Some(token) => request.bearer_auth(token.reveal()),
            None => request,
        }
    }

    /// The token to show now.
    fn token(&self) -> Option<Secret> {
        match &self.token {
            Token::None => None,
            Token::Given(token) => Some(token.clone()),
            Token::Published(port) => local::find(*port),
        }
    }

    /// Whether a request showed the token of a server that has started again since.
    fn has_changed(&self, shown: Option<&HeaderValue>) -> bool {
        let now = self.token().map(|it| format!("Bearer {}", it.reveal()));
        shown.map(HeaderValue::as_bytes) != now.as_deref().map(str::as_bytes)
    }

    fn json(&self, method: Method, path: &str, value: &Value) -> Result<RequestBuilder> {
        let request = self.request(method, path).header(header::CONTENT_TYPE, "application/json");
        Ok(request.body(serde_json::to_vec(value)?))
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response> {
        let unreachable = |reason| Failure::Unreachable { url: self.url.clone(), reason };
        let request = request.build()?;
        let shown = request.headers().get(header::AUTHORIZATION).cloned();
        let response = self.http.execute(request).await;
        let response = response.map_err(|error| unreachable(reason(&error)))?;
        let status = response.status();
        if status == StatusCode::UNAUTHORIZED && self.has_changed(shown.as_ref()) {
            return Err(unreachable("it has started again".to_owned()).into());
        }
        if status.is_success() {
            return Ok(response);
        }
        let bytes = response.bytes().await.unwrap_or_default();
        let problem = serde_json::from_slice(&bytes).unwrap_or_default();
        Err(Failure::Refused { status, problem }.into())
    }
}

/// Tries again what fails because the server restarts, or takes no more for now.
async fn patiently<T>(what: impl AsyncFn() -> Result<T>) -> Result<T> {
    let policy = ConstantBuilder::new().with_delay(READ_PAUSE).with_max_times(READ_TRIES);
    let passing =
        |it: &anyhow::Error| it.downcast_ref::<Failure>().is_some_and(Failure::is_passing);
    (async || what().await).retry(policy).when(passing).await
}

/// A token for this command alone, of one who holds the key anyway.
fn own_token(key: &SecretKey) -> Result<Secret> {
    let (subject, now) = (config::user(), Utc::now());
    let token = token::mint(key, &subject, &Scope::ALL, OWN_TOKEN_TTL, now)?;
    Ok(Secret::new(&token))
}

/// The port of a server on this machine.
fn local_port(url: &str) -> Option<u16> {
    let url = Url::parse(url).ok()?;
    let host = url.host_str()?.trim_matches(['[', ']']);
    let here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|it| it.is_loopback());
    here.then(|| url.port_or_known_default()).flatten()
}

/// The body of an answer; null if it has none.
async fn body(response: Response) -> Result<Value> {
    let bytes = response.bytes().await.context("the answer was cut off")?;
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&bytes).context("the answer is not JSON: is this a dspyx server?")
}

/// The innermost cause, which is the one that tells.
fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    if error.is_timeout() { "it took too long".to_owned() } else { cause.to_string() }
}

/// A part of a path that may hold anything.
pub(crate) fn escape(part: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~@".contains(&byte);
    part.bytes()
        .map(|it| if keep(it) { char::from(it).to_string() } else { format!("%{it:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_problem_is_told_with_what_to_do() {
        let problem = json!({"title": "Invalid inputs", "detail": "Missing required input fields",
            "errors": [{"pointer": "/inputs/text", "message": "is required"}]});
        let failure = Failure::Refused { status: StatusCode::UNPROCESSABLE_ENTITY, problem };
        let text = failure.to_string();
        assert!(text.contains("/inputs/text is required"), "{text}");
        assert!(text.contains("dspyx programs show"), "{text}");

        let problem = json!({"errors": [{"pointer": "/via", "message": "cannot be provider"}]});
        let failure = Failure::Refused { status: StatusCode::UNPROCESSABLE_ENTITY, problem };
        assert!(!failure.to_string().contains("dspyx programs show"), "{failure}");
    }

    #[test]
    fn only_servers_of_this_machine_are_local() {
        assert_eq!(local_port("http://127.0.0.1:8001"), Some(8001));
        assert_eq!(local_port("http://[::1]:9"), Some(9));
        assert_eq!(local_port("http://localhost"), Some(80));
        assert_eq!(local_port("http://example.com:8001"), None);
    }

    #[test]
    fn parts_of_paths_are_escaped() {
        assert_eq!(escape("a@1.0.0"), "a@1.0.0");
        assert_eq!(escape("../é?"), "..%2F%C3%A9%3F");
    }

    #[tokio::test]
    async fn no_server_is_told_with_what_to_do() {
        let client = Client::new("http://127.0.0.1:1", None).unwrap();
        let error = client.get("/health").await.unwrap_err().to_string();
        assert!(error.contains("dspyx serve") && error.contains("DSPYX_URL"), "{error}");
    }
}

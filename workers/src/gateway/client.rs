//! One HTTP request to a model's endpoint, bounded in time and size.

use std::{error::Error, time::Duration};

use chrono::Utc;
use dspy::{Listener, LmError, LmReply};
use reqwest::{
    Client, ClientBuilder, NoProxy, Proxy, Response,
    header::{CONTENT_TYPE, HeaderValue},
    redirect,
};

use rustls::{ClientConfig, RootCertStore};
use tracing::warn;

use super::{
    GatewayConfig, SetupError, embed, provider::Route, reply, send::Expected, stream, supply::Told,
};

/// The longest error page read: enough to quote.
pub(super) const ERROR_BYTES_MAX: usize = 64 * 1024;

/// What a request came to, if not to a reply.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// What went wrong.
    pub(crate) error: LmError,
    /// How long the endpoint asks to wait.
    pub(crate) wait: Option<Duration>,
}

impl From<LmError> for Refusal {
    fn from(error: LmError) -> Self {
        Self { error, wait: None }
    }
}

/// A client with its own pool of connections.
pub(super) fn make(config: &GatewayConfig) -> Result<Client, SetupError> {
    build(|| builder(config))
}

/// A client made as `configure` says, also where there are no certificates.
pub(crate) fn build(
    configure: impl Fn() -> Result<ClientBuilder, SetupError>,
) -> Result<Client, SetupError> {
    // Fails only if the process has chosen one already, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    configure()?.build().or_else(|error| {
        // A bare container has none. Models over plain HTTP and the offline one work all the same.
        warn!("https endpoints cannot be asked: {}; install ca-certificates", chain(&error));
        let failed = |error: reqwest::Error| SetupError::Client(chain(&error));
        configure()?.tls_backend_preconfigured(trusting_nobody()).build().map_err(failed)
    })
}

fn builder(config: &GatewayConfig) -> Result<ClientBuilder, SetupError> {
    let builder = Client::builder()
        .user_agent(concat!("dspyx/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(config.connect_timeout)
        .read_timeout(config.read_timeout)
        // A redirected POST would lose its body or carry the key elsewhere.
        .redirect(redirect::Policy::none())
        .no_proxy();
    let Some(address) = &config.proxy else { return Ok(builder) };
    let loopback = NoProxy::from_string("localhost,127.0.0.0/8,::1");
    let proxy = Proxy::all(address).map_err(|_| SetupError::Address(address.clone()))?;
    Ok(builder.proxy(proxy.no_proxy(loopback)))
}

fn trusting_nobody() -> ClientConfig {
    let roots = RootCertStore::empty();
    ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()
}

/// One request to an endpoint.
pub(super) struct Sending<'a> {
    pub(super) route: &'a Route<'a>,
    pub(super) body: Vec<u8>,
    /// The model as the program names it.
    pub(super) name: &'a str,
    pub(super) timeout: Duration,
    /// The longest reply.
    pub(super) bytes_max: usize,
    /// Who wants to hear the reply as it comes, if anybody does.
    pub(super) listener: Option<&'a Listener<'a>>,
    pub(super) expected: Expected,
}

/// Sends a request and reads the answer, and what the endpoint tells of its limits.
pub(super) async fn send(
    client: &Client,
    mut sending: Sending<'_>,
) -> (Told, Result<LmReply, Refusal>) {
    let mut body = std::mem::take(&mut sending.body);
    if sending.listener.is_some() {
        body = stream::asking(body);
    }
    match request(client, sending.route, body, sending.timeout).await {
        Ok(response) => {
            let told = Told::read(response.headers(), Utc::now());
            (told, answer(response, &sending).await)
        }
        Err(error) => (Told::default(), Err(error.into())),
    }
}

async fn request(
    client: &Client,
    route: &Route<'_>,
    body: Vec<u8>,
    timeout: Duration,
) -> Result<Response, LmError> {
    let mut request = client
        .post(&route.url)
        .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .timeout(timeout)
        .body(body);
    if let Some((header, key)) = &route.key {
        let text = "the key of the model's endpoint holds characters that no key can have";
        let mut key =
            HeaderValue::from_str(key).map_err(|_| LmError::Configuration(text.to_owned()))?;
        key.set_sensitive(true);
        request = request.header(*header, key);
    }
    request.send().await.map_err(|error| failed(&error))
}

async fn answer(response: Response, sending: &Sending<'_>) -> Result<LmReply, Refusal> {
    let Sending { route, name, bytes_max, .. } = *sending;
    let (status, headers) = (response.status(), response.headers().clone());
    if status.is_success() {
        if let Some(listener) = sending.listener.filter(|_| stream::is_stream(&response)) {
            return Ok(stream::read(response, name, bytes_max, listener).await?);
        }
        let body = read(response, bytes_max).await?;
        let too_long = || format!("the model's answer is longer than {bytes_max} bytes");
        let body = body.ok_or_else(|| LmError::InvalidResponse(too_long()))?;
        return Ok(match sending.expected {
            Expected::Message { .. } => reply::read(&body, name)?,
            Expected::Vectors { count } => embed::read(&body, name, count)?,
        });
    }
    // An error page that cannot be read is an error all the same.
    let body = read(response, ERROR_BYTES_MAX).await.ok().flatten().unwrap_or_default();
    let wait = reply::retry_after(&headers, Utc::now());
    let error = reply::error_of(status, wait, &redacted(&body, route));
    Err(Refusal { error, wait })
}

/// The body, or none if it is too long.
pub(super) async fn read(
    mut response: Response,
    bytes_max: usize,
) -> Result<Option<Vec<u8>>, LmError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failed(&error))? {
        if body.len() + chunk.len() > bytes_max {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// An error page without the key: some endpoints quote it.
pub(super) fn redacted(body: &[u8], route: &Route<'_>) -> String {
    let text = String::from_utf8_lossy(body);
    match &route.key {
        Some((_, key)) => text.replace(key.strip_prefix("Bearer ").unwrap_or(key), "[key]"),
        None => text.into_owned(),
    }
}

pub(super) fn failed(error: &reqwest::Error) -> LmError {
    let host = error.url().and_then(|url| url.host_str()).unwrap_or("the model's endpoint");
    if error.is_builder() {
        return LmError::Configuration(format!("cannot ask {host}: {}", chain(error)));
    }
    if error.is_timeout() {
        let what = if error.is_connect() { "no connection to" } else { "no answer from" };
        return LmError::Timeout(format!("{what} {host} in time"));
    }
    let what = if error.is_connect() { "cannot connect to" } else { "lost the connection to" };
    LmError::Transport(format!("{what} {host}: {}", chain(error)))
}

/// The innermost reason, which is the one that says something.
pub(crate) fn chain(error: &reqwest::Error) -> String {
    let mut reason: &dyn Error = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    reason.to_string()
}

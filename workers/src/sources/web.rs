//! Requests to the hosts of sources, bounded in time and size. A token goes to its own host only.

use std::{path::Path, time::Duration};

use reqwest::{
    Client, RequestBuilder, Response, StatusCode, Url,
    header::{ACCEPT, CONTENT_TYPE, LOCATION},
};
use serde_json::Value;
use tokio::time;

use super::{SourceError, budget::Budget, landing::Landing};
use crate::Gateway;

/// How long an answer may take to begin, and each part of it to come.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// The longest answer that is no file.
const ANSWER_BYTES_MAX: usize = 32 << 20;
/// The longest error that is looked into.
const ERROR_BYTES_MAX: usize = 64 << 10;
/// The longest part of an error that is quoted.
const QUOTE_CHARS_MAX: usize = 300;
/// How often a request is sent on.
const REDIRECTS_MAX: usize = 5;

/// A host of sources, and who asks there.
#[derive(Clone)]
pub(crate) struct Host {
    /// Its name, for people: `MLflow`.
    pub(super) name: &'static str,
    /// Its address.
    pub(super) base: Url,
    /// What is shown to it.
    pub(super) key: Option<Key>,
    /// The variable that names its address.
    pub(super) variable: &'static str,
    /// What to do where it lets nobody in.
    pub(super) key_hint: &'static str,
}

/// What is shown to a host.
#[derive(Clone)]
pub(crate) enum Key {
    /// A user and a password.
    User(String, String),
    /// A token.
    Token(String),
}

/// What a request came to, if not to an answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The host has no such thing; and what it says to that.
    Missing(StatusCode, String),
    /// It answers with another status that means failure.
    Answered(StatusCode, SourceError),
    /// There is no answer, or none that can be read.
    Other(SourceError),
}

impl Failure {
    /// The error; of what is missing, with these words.
    pub(super) fn or(self, missing: impl FnOnce(&str) -> String) -> SourceError {
        match self {
            Self::Missing(_, said) => SourceError::Refused(missing(&said)),
            Self::Answered(_, error) | Self::Other(error) => error,
        }
    }

    /// The status of the answer.
    pub(crate) fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Missing(status, _) | Self::Answered(status, _) => Some(*status),
            Self::Other(_) => None,
        }
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        Self::Other(error)
    }
}

impl Host {
    /// A host at an address, in which a user and a password may stand.
    pub(super) fn new(
        name: &'static str,
        address: &str,
        variable: &'static str,
        key_hint: &'static str,
    ) -> Result<Self, SourceError> {
        let is_http = |it: &Url| matches!(it.scheme(), "http" | "https") && it.has_host();
        let base = Url::parse(address).ok().filter(is_http).ok_or_else(|| {
            // The address itself may hold a password.
            let text = format!("{variable} is no http address of {name}; set it to one");
            SourceError::Refused(text)
        })?;
        Ok(Self { name, base, key: None, variable, key_hint })
    }

    /// The address, for people and as a name.
    pub(crate) fn address(&self) -> String {
        let path = self.base.path().trim_end_matches('/');
        format!("{}{path}", self.base.origin().ascii_serialization())
    }

    /// The address of something there, by the parts of its path.
    pub(crate) fn at<'a>(&self, parts: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(parts);
        }
        url
    }
}

/// Connections to hosts.
#[derive(Clone)]
pub(crate) struct Web(pub(super) Client);

impl Web {
    /// The connections of a gateway.
    pub(crate) fn of(gateway: &Gateway) -> Self {
        Self(gateway.client().clone())
    }

    /// Sends JSON to an address, and gives the body of the answer.
    pub(crate) async fn post(
        &self,
        host: &Host,
        url: Url,
        body: &Value,
        headers: &[(&'static str, &str)],
    ) -> Result<Vec<u8>, Failure> {
        let request = self.0.post(url.clone()).header(CONTENT_TYPE, "application/json");
        let request = headers.iter().fold(request, |it, (name, value)| it.header(*name, *value));
        let response = sent(host, &url, request.body(body.to_string())).await?;
        whole(host, answered(host, response).await?).await
    }

    /// Puts a file at an address.
    pub(crate) async fn put(&self, host: &Host, url: Url, body: Vec<u8>) -> Result<(), Failure> {
        let response = sent(host, &url, self.0.put(url.clone()).body(body)).await?;
        answered(host, response).await.map(drop)
    }

    /// The JSON at an address.
    pub(crate) async fn json(&self, host: &Host, url: Url) -> Result<Value, Failure> {
        let body = self.body(host, url, "application/json").await?;
        let odd = || {
            let text = format!("what answers at {} is not {}", host.address(), host.name);
            SourceError::Refused(format!("{text}: see {}", host.variable))
        };
        Ok(serde_json::from_slice(&body).map_err(|_| odd())?)
    }

    /// The text at an address.
    pub(super) async fn text(&self, host: &Host, url: Url, kind: &str) -> Result<String, Failure> {
        let body = self.body(host, url, kind).await?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    async fn body(&self, host: &Host, url: Url, accept: &str) -> Result<Vec<u8>, Failure> {
        whole(host, self.get(host, url, accept).await?).await
    }

    /// Writes what is at an address into a file, of which the host may have said how long it is.
    pub(super) async fn save(
        &self,
        host: &Host,
        url: Url,
        path: &Path,
        expected: Option<u64>,
        budget: &mut Budget,
    ) -> Result<(), Failure> {
        let mut response = self.get(host, url, "*/*").await?;
        let mut landing = Landing::new(path, budget).await?;
        while let Some(chunk) = chunk(host, &mut response).await? {
            landing.take(&chunk).await?;
        }
        Ok(landing.close(expected, host.name).await?)
    }

    /// The answer, also of where the request is sent on to; elsewhere without the token.
    async fn get(&self, host: &Host, url: Url, accept: &str) -> Result<Response, Failure> {
        let mut url = url;
        for _ in 0..=REDIRECTS_MAX {
            let request = self.0.get(url.clone()).header(ACCEPT, accept);
            let response = sent(host, &url, request).await?;
            if !response.status().is_redirection() {
                return answered(host, response).await;
            }
            let location = response.headers().get(LOCATION).and_then(|it| it.to_str().ok());
            let next = location.and_then(|it| url.join(it).ok());
            let nowhere = || SourceError::Refused(format!("{} sends on to nowhere", host.name));
            url = next.ok_or_else(nowhere)?;
        }
        Err(SourceError::Refused(format!("{} sends on and on", host.name)).into())
    }
}

/// Sends a request, with what is shown to its host.
async fn sent(host: &Host, url: &Url, request: RequestBuilder) -> Result<Response, SourceError> {
    let request = match host.key.as_ref().filter(|_| is_at(url, host)) {
        Some(Key::User(user, password)) => request.basic_auth(user, Some(password)),
        Some(Key::Token(token)) => request.bearer_auth(token),
        None => request,
    };
    let sent = time::timeout(SILENCE_MAX, request.send()).await;
    sent.map_err(|_| silent(host))?.map_err(|it| unreachable(host, &it))
}

/// The body of an answer.
async fn whole(host: &Host, mut response: Response) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = chunk(host, &mut response).await? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            let text = format!("{} answers more than {ANSWER_BYTES_MAX} bytes", host.name);
            return Err(SourceError::Refused(text).into());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn is_at(url: &Url, host: &Host) -> bool {
    url.origin() == host.base.origin()
}

async fn chunk(host: &Host, response: &mut Response) -> Result<Option<Vec<u8>>, SourceError> {
    let next = time::timeout(SILENCE_MAX, response.chunk()).await.map_err(|_| silent(host))?;
    let cut = |it: &reqwest::Error| {
        let why = crate::gateway::innermost(it);
        SourceError::Unavailable(format!("what {} sent was cut off: {why}", host.name))
    };
    Ok(next.map_err(|it| cut(&it))?.map(|it| it.to_vec()))
}

async fn answered(host: &Host, mut response: Response) -> Result<Response, Failure> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let none_left = response.headers().get("x-ratelimit-remaining").is_some_and(|it| it == "0");
    let mut body = Vec::new();
    while body.len() < ERROR_BYTES_MAX
        && let Ok(Some(chunk)) = chunk(host, &mut response).await
    {
        body.extend_from_slice(&chunk);
    }
    let said = quote(&body, host);
    let (name, address, number) = (host.name, host.address(), status.as_u16());
    match status {
        StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS if none_left => {
            let text = format!("{name} answers no more requests for now; {}", host.key_hint);
            Err(Failure::Answered(status, SourceError::Unavailable(text)))
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            let text = format!("{name} at {address} refuses it ({number}); {}", host.key_hint);
            Err(Failure::Answered(status, SourceError::Refused(text)))
        }
        StatusCode::BAD_REQUEST
        | StatusCode::NOT_FOUND
        | StatusCode::GONE
        | StatusCode::UNPROCESSABLE_ENTITY => Err(Failure::Missing(status, said)),
        _ => {
            let text = format!("{name} at {address} answers {number}: {said}");
            Err(Failure::Answered(status, SourceError::Unavailable(text)))
        }
    }
}

fn silent(host: &Host) -> SourceError {
    SourceError::Unavailable(format!("{} at {} does not answer", host.name, host.address()))
}

fn unreachable(host: &Host, error: &reqwest::Error) -> SourceError {
    let (name, address, why) = (host.name, host.address(), crate::gateway::innermost(error));
    let hint = format!("see {}", host.variable);
    SourceError::Unavailable(format!("cannot reach {name} at {address}: {why}; {hint}"))
}

/// What an error says: its `message`, or its beginning; without what was shown to the host.
fn quote(body: &[u8], host: &Host) -> String {
    let text = String::from_utf8_lossy(body);
    let json: Option<Value> = serde_json::from_slice(body).ok();
    let message = json.as_ref().and_then(|it| it.get("message").or_else(|| it.get("error")));
    let message = message.and_then(Value::as_str).unwrap_or(text.trim());
    let message = match &host.key {
        Some(Key::User(_, secret) | Key::Token(secret)) => message.replace(secret, "[key]"),
        None => message.to_owned(),
    };
    message.chars().take(QUOTE_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(address: &str) -> Result<Host, SourceError> {
        Host::new("MLflow", address, "MLFLOW_TRACKING_URI", "set a token")
    }

    #[test]
    fn a_password_in_an_address_is_not_shown() {
        let host = host("http://ann:p%40ss@127.0.0.1:5000/base/").unwrap();

        assert_eq!(host.address(), "http://127.0.0.1:5000/base");
        assert_eq!(host.at(["x"]).password(), Some("p%40ss"), "but sent");
    }

    #[test]
    fn an_address_that_is_none_is_not_quoted() {
        for address in ["sqlite:///x.db", "file:/tmp", "ann:secret@host", "http://"] {
            let error = host(address).err().unwrap().to_string();
            assert!(error.contains("MLFLOW_TRACKING_URI") && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn parts_of_a_path_stay_parts() {
        let host = host("https://h/api").unwrap();
        let url = host.at(["repos", "a", "b", "commits", "feature/x y"]);
        assert_eq!(url.as_str(), "https://h/api/repos/a/b/commits/feature%2Fx%20y");
    }
}

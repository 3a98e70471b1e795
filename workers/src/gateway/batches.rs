//! A provider's own batch endpoint: files of requests that it answers within a day, at a lower
//! price. It knows nothing of our batches.
//!
//! Source: OpenAI's API reference, `/v1/files` and `/v1/batches`
//! (<https://platform.openai.com/docs/api-reference/batch>).

use std::time::Duration;

use chrono::Utc;
use dspy::LmError;
use reqwest::{
    Client, Method, RequestBuilder, Response,
    header::{CONTENT_TYPE, HeaderValue},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    batch_file::{Lines, PATH},
    client::{ERROR_BYTES_MAX, Refusal, failed, read},
    provider::Route,
    reply,
};

/// The longest answer that is no file.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How many of the newest files or batches are looked through for one that was made before.
const LOOKED_THROUGH: usize = 100;

/// The key of a batch's metadata that holds our name for it.
const NAME: &str = "dspyx";

/// How long a provider may take for a batch: the only time that the protocol knows.
const WINDOW: &str = "24h";

/// Where a provider takes batches.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct BatchEndpoint {
    base: String,
    key: Option<(&'static str, String)>,
}

/// Keys are never shown.
impl std::fmt::Debug for BatchEndpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchEndpoint").field("base", &self.base).finish_non_exhaustive()
    }
}

impl From<&Route<'_>> for BatchEndpoint {
    fn from(route: &Route<'_>) -> Self {
        let base = route.url.trim_end_matches("/chat/completions").to_owned();
        Self { base, key: route.key.clone() }
    }
}

/// A batch as the provider tells of it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ProviderBatch {
    /// Its name.
    pub(crate) id: String,
    /// Where it stands, in the provider's words.
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) output_file_id: Option<String>,
    #[serde(default)]
    pub(crate) error_file_id: Option<String>,
    #[serde(default)]
    pub(crate) request_counts: Option<RequestCounts>,
    #[serde(default)]
    errors: Option<Errors>,
    #[serde(default)]
    metadata: Option<Value>,
}

/// How far one is.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RequestCounts {
    pub(crate) total: u64,
    pub(crate) completed: u64,
    pub(crate) failed: u64,
}

#[derive(Clone, Debug, Deserialize)]
struct Errors {
    #[serde(default)]
    data: Vec<Value>,
}

#[derive(Deserialize)]
struct Page<T> {
    data: Vec<T>,
}

#[derive(Deserialize)]
struct File {
    id: String,
    #[serde(default)]
    bytes: u64,
    #[serde(default)]
    filename: String,
}

impl ProviderBatch {
    /// Whether nothing more comes of it.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.status.as_str(), "completed" | "failed" | "expired" | "cancelled")
    }

    /// Why the provider did not take it; none if it did.
    pub(crate) fn refusal(&self) -> Option<String> {
        if self.status != "failed" {
            return None;
        }
        let mut data = self.errors.iter().flat_map(|it| &it.data);
        let said = data.find_map(|it| it["message"].as_str());
        Some(said.unwrap_or("without saying why").to_owned())
    }
}

impl BatchEndpoint {
    /// The one at an address that asks for no key.
    #[cfg(test)]
    pub(super) fn open(base: &str) -> Self {
        Self { base: base.to_owned(), key: None }
    }

    /// Its address.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Sends a file of requests, and gives its name there.
    pub(crate) async fn upload(
        &self,
        client: &Client,
        name: &str,
        lines: Vec<u8>,
        timeout: Duration,
    ) -> Result<String, Refusal> {
        let (body, content_type) = form(name, lines);
        let request = self.request(client, Method::POST, "/files")?;
        let request = request.header(CONTENT_TYPE, content_type).timeout(timeout).body(body);
        let file: File = self.answer(request).await?;
        Ok(file.id)
    }

    /// A file of that name and size that was sent before, if it is there.
    pub(crate) async fn find_file(&self, client: &Client, name: &str, bytes: usize) -> Found {
        let path = format!("/files?purpose=batch&limit={LOOKED_THROUGH}");
        let files: Vec<File> = self.list(client, &path).await?;
        let is_it = |it: &File| it.filename == name && it.bytes == bytes as u64;
        Ok(files.into_iter().find(is_it).map(|it| it.id))
    }

    /// Has the requests of a file answered.
    pub(crate) async fn create(
        &self,
        client: &Client,
        name: &str,
        file: &str,
    ) -> Result<String, Refusal> {
        let body = json!({
            "input_file_id": file,
            "endpoint": PATH,
            "completion_window": WINDOW,
            "metadata": { NAME: name },
        });
        let request = self.request(client, Method::POST, "/batches")?;
        let request = request
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header("idempotency-key", name)
            .body(body.to_string());
        let batch: ProviderBatch = self.answer(request).await?;
        Ok(batch.id)
    }

    /// A batch of that name that was made before, if it is there.
    pub(crate) async fn find_batch(&self, client: &Client, name: &str) -> Found {
        let path = format!("/batches?limit={LOOKED_THROUGH}");
        let batches: Vec<ProviderBatch> = self.list(client, &path).await?;
        let is_it = |it: &ProviderBatch| it.metadata.as_ref().is_some_and(|it| it[NAME] == name);
        Ok(batches.into_iter().find(is_it).map(|it| it.id))
    }

    /// How a batch stands.
    pub(crate) async fn read(&self, client: &Client, id: &str) -> Result<ProviderBatch, Refusal> {
        self.answer(self.request(client, Method::GET, &format!("/batches/{id}"))?).await
    }

    /// Calls a batch off; the provider does so by and by.
    pub(crate) async fn cancel(&self, client: &Client, id: &str) -> Result<ProviderBatch, Refusal> {
        self.answer(self.request(client, Method::POST, &format!("/batches/{id}/cancel"))?).await
    }

    /// Begins to read a file.
    pub(crate) async fn content(&self, client: &Client, file: &str) -> Result<Lines, Refusal> {
        let path = format!("/files/{file}/content");
        Ok(Lines::of(self.send(self.request(client, Method::GET, &path)?).await?))
    }

    fn request(
        &self,
        client: &Client,
        method: Method,
        path: &str,
    ) -> Result<RequestBuilder, LmError> {
        let request = client.request(method, format!("{}{path}", self.base));
        let Some((header, key)) = &self.key else { return Ok(request) };
        let text = "the key of the model's endpoint holds characters that no key can have";
        let mut key =
            HeaderValue::from_str(key).map_err(|_| LmError::Configuration(text.to_owned()))?;
        key.set_sensitive(true);
        Ok(request.header(*header, key))
    }

    /// The newest of a list. A server that has no lists has none to find anything in.
    async fn list<T: DeserializeOwned>(
        &self,
        client: &Client,
        path: &str,
    ) -> Result<Vec<T>, Refusal> {
        match self.answer::<Page<T>>(self.request(client, Method::GET, path)?).await {
            Ok(page) => Ok(page.data),
            Err(Refusal { error: LmError::Unsupported(_), .. }) => Ok(Vec::new()),
            Err(refusal) => Err(refusal),
        }
    }

    async fn answer<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Refusal> {
        let response = self.send(request).await?;
        let body = read(response, ANSWER_BYTES_MAX).await?.unwrap_or_default();
        let strange = |error| {
            let base = &self.base;
            LmError::InvalidResponse(format!("{base} does not answer as batches do: {error}"))
        };
        Ok(serde_json::from_slice(&body).map_err(strange)?)
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Refusal> {
        let response = request.send().await.map_err(|error| failed(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let wait = reply::retry_after(response.headers(), Utc::now());
        let body = read(response, ERROR_BYTES_MAX).await.ok().flatten().unwrap_or_default();
        let text = String::from_utf8_lossy(&body).into_owned();
        let text = match &self.key {
            Some((_, key)) => text.replace(key.strip_prefix("Bearer ").unwrap_or(key), "[key]"),
            None => text,
        };
        Err(Refusal { error: reply::error_of(status, wait, &text), wait })
    }
}

/// What was found, if it is there.
type Found = Result<Option<String>, Refusal>;

/// A file as a form, and what kind of form.
fn form(name: &str, lines: Vec<u8>) -> (Vec<u8>, String) {
    let boundary = format!("dspyx-{}", Uuid::new_v4().simple());
    let head = format!(
        "--{boundary}\r\ncontent-disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n\
         --{boundary}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
         content-type: application/jsonl\r\n\r\n"
    );
    // In place: a file is large, and a copy of it as large again.
    let mut body = lines;
    body.splice(0..0, head.into_bytes());
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    (body, format!("multipart/form-data; boundary={boundary}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_not_shown() {
        let key = Some(("authorization", "Bearer secret".to_owned()));
        let at = BatchEndpoint { base: "https://x/v1".to_owned(), key };
        assert!(!format!("{at:?}").contains("secret"));
    }
}

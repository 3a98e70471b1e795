//! Texts turned into vectors by an endpoint of the OpenAI protocol. Such calls go the way of an
//! execution's calls of models: its journal, its budgets, the endpoint's pace, the retries.

use async_trait::async_trait;
use dspy::{DummyEmbedder, Embedder, LmEndpoint, LmError, LmReply};
use programs::EmbedderConfig;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    Call,
    provider::{self, Endpoint, Route},
    reply::Tokens,
    send::Sent,
};
use crate::telemetry::{Asked, Work};

/// The most texts of one request, as in the package.
const BATCH: usize = 200;

/// The models of embeddings of one execution.
pub struct Embeddings<'a> {
    call: &'a Call<'a>,
    models: &'a [EmbedderConfig],
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Item>,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    usage: Option<Tokens>,
}

#[derive(Deserialize)]
struct Item {
    index: usize,
    embedding: Vec<f32>,
}

impl<'a> Call<'a> {
    /// The models of embeddings that a program names, asked on the same account.
    pub fn embeddings(&'a self, models: &'a [EmbedderConfig]) -> Embeddings<'a> {
        Embeddings { call: self, models }
    }
}

#[async_trait]
impl Embedder for Embeddings<'_> {
    async fn embed(&self, model: &str, texts: &[String]) -> Result<Vec<Vec<f32>>, LmError> {
        if model.starts_with("dummy/") {
            return DummyEmbedder.embed(model, texts).await;
        }
        let mut vectors = Vec::with_capacity(texts.len());
        for batch in texts.chunks(BATCH) {
            vectors.extend(vectors_of(&self.ask(model, batch).await?)?);
        }
        if vectors.windows(2).any(|it| it[0].len() != it[1].len()) {
            let text = "the vectors of the model of embeddings are of several lengths";
            return Err(LmError::InvalidResponse(text.to_owned()));
        }
        Ok(vectors)
    }
}

impl Embeddings<'_> {
    async fn ask(&self, model: &str, texts: &[String]) -> Result<LmReply, LmError> {
        let config = self.models.iter().find(|it| it.model == model);
        let config = config.ok_or_else(|| {
            LmError::Configuration(format!("the program has no model of embeddings `{model}`"))
        })?;
        let request = Map::from_iter([("input".to_owned(), texts.into())]);
        self.call.ask_for_vectors((model, &config.endpoint), &request).await
    }
}

impl Call<'_> {
    /// The reply that says the vectors which a request of the OpenAI protocol asks for, as JSON.
    /// The model is asked where those of the program are.
    pub(crate) async fn embed(
        &self,
        model: &str,
        request: &Map<String, Value>,
    ) -> Result<LmReply, LmError> {
        self.ask_for_vectors((model, &self.lm.endpoint), request).await
    }

    /// The same at an endpoint. No other model can do the work: vectors of two are not alike.
    async fn ask_for_vectors(
        &self,
        (model, endpoint): (&str, &LmEndpoint),
        request: &Map<String, Value>,
    ) -> Result<LmReply, LmError> {
        let route = || {
            let endpoint = Endpoint::of(endpoint, self.origin);
            provider::route(model, endpoint, self.gateway.signpost()).map(Route::for_embeddings)
        };
        let asked = || {
            let server = route().ok().and_then(|it| it.server());
            Asked { model, server, work: Work::Embeddings }
        };
        let answer = async {
            let route = route()?;
            let request = (request, count(request.get("input")));
            self.account_for(&Sent::for_vectors(self.gateway, &route, model, request)).await
        };
        self.counted(self.told(asked, answer).await)
    }
}

/// How many texts an input is: a list of them, or of lists of tokens; else one.
fn count(input: Option<&Value>) -> usize {
    let list = input.and_then(Value::as_array);
    list.filter(|it| !it.first().is_some_and(Value::is_number)).map_or(1, Vec::len)
}

/// Reads the body of a successful answer: a reply that says the vectors of so many texts, as JSON,
/// in the order of these.
pub(super) fn read(body: &[u8], model: &str, count: usize) -> Result<LmReply, LmError> {
    let answer: Answer = serde_json::from_slice(body).map_err(|error| none_in(&error))?;
    let mut items = answer.data;
    items.sort_by_key(|it| it.index);
    let is_odd = |(i, it): (usize, &Item)| it.index != i || it.embedding.is_empty();
    if items.len() != count || (0..).zip(&items).any(is_odd) {
        let text = format!("the answer does not hold one vector for each of {count} texts");
        return Err(LmError::InvalidResponse(text));
    }
    let vectors: Vec<_> = items.into_iter().map(|it| it.embedding).collect();
    Ok(LmReply {
        text: Some(serde_json::to_string(&vectors).map_err(|error| none_in(&error))?),
        usage: answer.usage.unwrap_or_default().into(),
        model: model.to_owned(),
        served_by: answer.model,
        ..LmReply::default()
    })
}

/// The vectors that a reply says.
pub(crate) fn vectors_of(reply: &LmReply) -> Result<Vec<Vec<f32>>, LmError> {
    let said = reply.text.as_deref().unwrap_or_default();
    serde_json::from_str(said).map_err(|error| none_in(&error))
}

fn none_in(error: &serde_json::Error) -> LmError {
    LmError::InvalidResponse(format!("the answer holds no embeddings: {error}"))
}

//! Embeddings against an endpoint that does the wrong thing.

#![expect(clippy::unwrap_used, reason = "a test may fail so")]

use std::time::Duration;

use dspy::{Embedder, LmEndpoint, LmError};
use programs::{EmbedderConfig, LmConfig, Origin};
use serde_json::{Value, json};
use testkit::{Reply, StubLm};
use tokio::time::Instant;
use workers::{Gateway, GatewayConfig, Keys, Tally};

fn gateway() -> Gateway {
    let config = GatewayConfig {
        retry_base: Duration::from_millis(10),
        retry_jitter: false,
        keys: Keys::new(|name| (name == "OPENAI_API_KEY").then(|| "secret-key".to_owned())),
        ..GatewayConfig::default()
    };
    Gateway::new(config).unwrap()
}

fn answer(vectors: &[(usize, Vec<f32>)]) -> Reply {
    let data: Vec<Value> = vectors
        .iter()
        .map(|(index, it)| json!({"object": "embedding", "index": index, "embedding": it}))
        .collect();
    let usage = json!({"prompt_tokens": 3, "total_tokens": 3});
    let body = json!({"object": "list", "data": data, "usage": usage});
    Reply::Status(200, Vec::new(), body.to_string())
}

async fn embed(
    lm: &StubLm,
    origin: Origin,
    texts: &[String],
    tally: &Tally,
) -> Result<Vec<Vec<f32>>, LmError> {
    let model = "openai/text-embedding-3-small".to_owned();
    let endpoint = LmEndpoint { api_base: Some(lm.url()), api_key_env: None };
    let models = [EmbedderConfig { model, endpoint }];
    let (gateway, until) = (gateway(), Instant::now() + Duration::from_secs(20));
    let lm = LmConfig::default();
    let call = gateway.call(&lm, origin, tally).until(until);
    call.embeddings(&models).embed(&models[0].model, texts).await
}

fn texts(count: usize) -> Vec<String> {
    (0..count).map(|n| n.to_string()).collect()
}

#[tokio::test]
async fn vectors_come_in_the_order_of_their_texts() {
    let lm = StubLm::new(answer(&[(1, vec![0.0, 1.0]), (0, vec![1.0, 0.0])]));
    let tally = Tally::default();

    let vectors = embed(&lm, Origin::File, &texts(2), &tally).await.unwrap();

    assert_eq!(vectors, [[1.0, 0.0], [0.0, 1.0]]);
    let call = lm.requests().remove(0);
    assert_eq!((&*call.path, &*call.authorization), ("/v1/embeddings", "Bearer secret-key"));
    assert_eq!(call.body, json!({"model": "text-embedding-3-small", "input": ["0", "1"]}));
    assert_eq!(tally.used()["openai/text-embedding-3-small"].usage.total_tokens, 3);
}

#[tokio::test]
async fn many_texts_are_sent_in_batches() {
    let lm = StubLm::new(Reply::Empty);
    for size in [200, 200, 50] {
        let vectors: Vec<_> = (0..size).map(|it| (it, vec![1.0])).collect();
        lm.then(answer(&vectors));
    }

    let vectors = embed(&lm, Origin::File, &texts(450), &Tally::default()).await.unwrap();

    assert_eq!((vectors.len(), lm.calls()), (450, 3));
}

#[tokio::test]
async fn passing_faults_are_asked_again_and_others_are_not() {
    for (fault, calls) in [(Reply::error(503), 2), (Reply::Cut, 2), (Reply::error(401), 1)] {
        let lm = StubLm::new(answer(&[(0, vec![1.0])]));
        lm.then(fault.clone());

        let result = embed(&lm, Origin::File, &texts(1), &Tally::default()).await;

        assert_eq!((result.is_ok(), lm.calls()), (calls == 2, calls), "{fault:?}");
    }
}

#[tokio::test]
async fn an_answer_that_is_not_a_vector_for_each_text_is_refused() {
    let answers = [
        answer(&[(0, vec![1.0])]),
        answer(&[(0, vec![1.0]), (0, vec![1.0])]),
        answer(&[(0, vec![1.0]), (1, vec![])]),
        answer(&[(0, vec![1.0]), (1, vec![1.0, 2.0])]),
        Reply::Garbage,
        Reply::Status(200, Vec::new(), "{}".to_owned()),
    ];
    for wrong in answers {
        let lm = StubLm::new(wrong.clone());

        let error = embed(&lm, Origin::File, &texts(2), &Tally::default()).await.unwrap_err();

        assert!(matches!(error, LmError::InvalidResponse(_)), "{wrong:?}: {error:?}");
    }
}

#[tokio::test]
async fn a_registered_program_has_no_key_sent_where_it_likes() {
    let lm = StubLm::new(answer(&[(0, vec![1.0])]));

    let error = embed(&lm, Origin::Registered, &texts(1), &Tally::default()).await.unwrap_err();

    assert!(error.to_string().contains("TRUSTED_BASES"), "{error}");
    assert_eq!(lm.calls(), 0);
}

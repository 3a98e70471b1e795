//! The gateway against an endpoint that does the wrong thing.

#![expect(clippy::unwrap_used, reason = "a test may fail so")]

#[path = "gateway/streams.rs"]
mod streams;

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use dspy::{Lm, LmEndpoint, LmError, LmReply, LmRequest, LmSettings, Message, Role};
use programs::{LmConfig, Origin};
use serde_json::json;
use testkit::{Reply, StubLm};
use workers::{Gateway, GatewayConfig, Keys, Tally};

fn config(base: &str) -> GatewayConfig {
    GatewayConfig {
        api_base: Some(base.to_owned()),
        retry_base: Duration::from_millis(20),
        retry_jitter: false,
        read_timeout: Duration::from_secs(5),
        keys: Keys::new(|name| (name == "LM_API_KEY").then(|| "secret-key".to_owned())),
        ..GatewayConfig::default()
    }
}

fn gateway(lm: &StubLm) -> Gateway {
    Gateway::new(config(&lm.url())).unwrap()
}

fn request(model: &str) -> LmRequest {
    LmRequest {
        messages: vec![Message::text(Role::User, "hi".to_owned())],
        settings: LmSettings { model: Some(model.to_owned()), ..LmSettings::default() },
        response_format: None,
    }
}

async fn ask(gateway: &Gateway) -> Result<LmReply, LmError> {
    gateway.complete(&request("openai/stub")).await
}

async fn ask_within(gateway: &Gateway, limit: Duration) -> Result<LmReply, LmError> {
    let (lm, tally) = (LmConfig::default(), Tally::default());
    let deadline = tokio::time::Instant::now() + limit;
    let call = gateway.call(&lm, Origin::File, &tally).until(deadline);
    call.complete(&request("openai/stub")).await
}

#[tokio::test]
async fn a_call_is_a_chat_completion_with_its_key() {
    let lm = StubLm::new(Reply::Text("hello".to_owned()));

    let reply = ask(&gateway(&lm)).await.unwrap();

    assert_eq!((reply.text.as_deref(), &*reply.model), (Some("hello"), "openai/stub"));
    assert_eq!((reply.usage.prompt_tokens, reply.usage.completion_tokens), (7, 5));
    let call = lm.requests().remove(0);
    assert_eq!((&*call.path, &*call.authorization), ("/v1/chat/completions", "Bearer secret-key"));
    let expected = json!({"model": "stub", "messages": [{"role": "user", "content": "hi"}]});
    assert_eq!(call.body, expected);
}

#[tokio::test]
async fn the_offline_model_needs_no_endpoint() {
    let gateway = Gateway::new(config("http://127.0.0.1:1/v1")).unwrap();

    gateway.complete(&request("dummy/model")).await.unwrap();

    assert_eq!(gateway.metrics().lm_requests.get(), 0);
}

#[test]
fn a_program_without_a_model_is_asked_as_the_default_model_can_be() {
    let model = Some("openai/gpt-4o-mini".to_owned());
    let known = Gateway::new(GatewayConfig { model, ..config("http://127.0.0.1:1/v1") }).unwrap();
    let unknown = Gateway::new(config("http://127.0.0.1:1/v1")).unwrap();
    let lm = LmConfig::default();
    let of = |gateway: &Gateway| {
        gateway.call(&lm, Origin::File, &Tally::default()).capabilities("").response_schema
    };

    assert_eq!((of(&known), of(&unknown)), (true, false));
}

#[tokio::test]
async fn passing_faults_are_asked_again() {
    let faults = [
        Reply::error(500),
        Reply::error(503),
        Reply::error(408),
        Reply::error(429),
        Reply::Cut,
        Reply::CutMidway,
    ];
    for fault in faults {
        let lm = StubLm::new(Reply::Text("hello".to_owned()));
        lm.then(fault.clone()).then(fault.clone());
        let gateway = gateway(&lm);

        let reply = ask(&gateway).await;

        assert!(reply.is_ok(), "{fault:?}: {reply:?}");
        assert_eq!((lm.calls(), gateway.metrics().lm_retries.get()), (3, 2), "{fault:?}");
    }
}

#[tokio::test]
async fn what_stays_wrong_is_asked_four_times() {
    let lm = StubLm::new(Reply::error(500));
    let gateway = gateway(&lm);
    let begun = Instant::now();

    let error = ask(&gateway).await.unwrap_err();

    assert_eq!(error.to_string(), "the model's endpoint answered 500: out of order");
    assert_eq!((error.code(), lm.calls()), ("server", 4));
    assert!(begun.elapsed() >= Duration::from_millis(20 + 40 + 80), "{:?}", begun.elapsed());
    assert_eq!(gateway.metrics().lm_errors.get(), 1);
}

#[tokio::test]
async fn what_would_go_wrong_again_is_asked_once() {
    let quota = json!({"error": {"message": "pay", "code": "insufficient_quota"}}).to_string();
    let cases = [
        (Reply::error(400), "invalid_request"),
        (Reply::error(401), "auth"),
        (Reply::error(402), "billing"),
        (Reply::error(403), "auth"),
        (Reply::error(404), "unsupported_model"),
        (Reply::error(413), "invalid_request"),
        (Reply::error(422), "invalid_request"),
        (Reply::Status(429, vec![], quota), "billing"),
        (Reply::Garbage, "provider"),
        (Reply::Empty, "provider"),
    ];
    for (reply, code) in cases {
        let lm = StubLm::new(reply.clone());

        let error = ask(&gateway(&lm)).await.unwrap_err();

        assert_eq!((error.code(), lm.calls()), (code, 1), "{reply:?}: {error}");
    }
}

#[tokio::test]
async fn retry_after_is_obeyed_by_all_calls_to_the_endpoint() {
    let lm = StubLm::new(Reply::Text("hello".to_owned()));
    lm.then(Reply::too_many(1));
    let gateway = gateway(&lm);
    let begun = Instant::now();
    let other = async {
        testkit::until_true("the first call came", Duration::from_secs(5), async || {
            gateway.metrics().lm_rate_limited.get() == 1
        })
        .await;
        ask(&gateway).await.unwrap();
        begun.elapsed()
    };

    let (first, other) = tokio::join!(ask(&gateway), other);

    assert!(first.is_ok());
    assert!(begun.elapsed() >= Duration::from_secs(1) && other >= Duration::from_secs(1));
    assert_eq!(lm.calls(), 3);
}

#[tokio::test]
async fn a_wait_that_does_not_fit_the_deadline_is_told_instead() {
    let lm = StubLm::new(Reply::too_many(30));
    let gateway = gateway(&lm);
    let (begun, limit) = (Instant::now(), Duration::from_secs(2));

    let first = ask_within(&gateway, limit).await.unwrap_err();
    let second = ask_within(&gateway, limit).await.unwrap_err();

    let asked = Some(Duration::from_secs(30));
    assert!(matches!(first, LmError::RateLimited { retry_after, .. } if retry_after == asked));
    assert!(matches!(second, LmError::RateLimited { retry_after: Some(_), .. }), "{second:?}");
    assert_eq!(lm.calls(), 1, "the second call knew without asking");
    assert!(begun.elapsed() < limit);
}

#[tokio::test]
async fn an_endpoint_that_says_nothing_is_given_up() {
    let lm = StubLm::new(Reply::Nothing);
    let read_timeout = Duration::from_millis(100);
    let config = GatewayConfig { read_timeout, retries: 1, ..config(&lm.url()) };

    let error = ask(&Gateway::new(config).unwrap()).await.unwrap_err();

    assert_eq!(error, LmError::Timeout("no answer from 127.0.0.1 in time".to_owned()));
    assert_eq!(lm.calls(), 2);
}

#[tokio::test]
async fn no_call_outlives_the_deadline() {
    let lm = StubLm::new(Reply::Nothing);
    let begun = Instant::now();

    let error = ask_within(&gateway(&lm), Duration::from_millis(200)).await.unwrap_err();

    assert_eq!((error.code(), lm.calls()), ("timeout", 1));
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_is_a_transport_error() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = GatewayConfig { retries: 0, ..config(&format!("http://{free}/v1")) };

    let error = ask(&Gateway::new(config).unwrap()).await.unwrap_err();

    assert_eq!(error.code(), "transport");
    assert!(error.to_string().starts_with("cannot connect to 127.0.0.1: "), "{error}");
}

#[tokio::test]
async fn a_huge_answer_is_not_read_to_its_end() {
    let lm = StubLm::new(Reply::Text("x".repeat(100_000)));
    let config = GatewayConfig { response_bytes_max: 10_000, ..config(&lm.url()) };

    let error = ask(&Gateway::new(config).unwrap()).await.unwrap_err();

    let text = "the model's answer is longer than 10000 bytes";
    assert_eq!(error, LmError::InvalidResponse(text.to_owned()));
}

#[tokio::test]
async fn errors_never_show_the_key() {
    let body = json!({"error": {"message": "Incorrect API key: secret-key."}}).to_string();
    let lm = StubLm::new(Reply::Status(401, vec![], body));

    let error = ask(&gateway(&lm)).await.unwrap_err();

    assert_eq!(error.to_string(), "the model's endpoint answered 401: Incorrect API key: [key].");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let headers = vec![("location".to_owned(), "http://127.0.0.1:1/".to_owned())];
    let lm = StubLm::new(Reply::Status(307, headers, String::new()));

    assert_eq!(ask(&gateway(&lm)).await.unwrap_err().code(), "provider");
}

#[tokio::test]
async fn a_fallback_is_not_asked_at_the_endpoint_of_a_second_model() {
    let (first, second) =
        (StubLm::new(Reply::Text("first".to_owned())), StubLm::new(Reply::error(500)));
    let gateway = Gateway::new(GatewayConfig { retries: 0, ..config(&first.url()) }).unwrap();
    let fallbacks = vec!["openai/other".to_owned()];
    let settings = LmSettings { model: Some("openai/stub".to_owned()), ..LmSettings::default() };
    let at = |lm: &StubLm| LmEndpoint { api_base: Some(lm.url()), api_key_env: None };
    let lm = LmConfig { settings, endpoint: at(&first), fallbacks };
    let mut request = request("openai/local");
    request.settings.endpoint = Some(Box::new(at(&second)));
    let tally = Tally::default();

    let reply = gateway.call(&lm, Origin::File, &tally).complete(&request).await.unwrap();

    assert_eq!(reply.text.as_deref(), Some("first"));
    assert_eq!((first.calls(), second.calls()), (1, 1));
}

#[tokio::test]
async fn a_fallback_answers_what_the_model_cannot() {
    let lm = StubLm::new(Reply::Text("hello".to_owned()));
    lm.then(Reply::error(404));
    let gateway = gateway(&lm);
    let fallbacks = vec!["openai/other".to_owned()];
    let (config, tally) = (LmConfig { fallbacks, ..LmConfig::default() }, Tally::default());

    let call = gateway.call(&config, Origin::File, &tally);
    let reply = call.complete(&request("openai/stub")).await;

    assert_eq!(reply.unwrap().model, "openai/other");
    assert_eq!(tally.used().keys().collect::<Vec<_>>(), ["openai/other"]);
    assert_eq!(lm.requests()[1].body["model"], "other");
}

#[tokio::test]
async fn a_model_must_be_named_somewhere() {
    let lm = StubLm::new(Reply::Text("hello".to_owned()));
    let unnamed = LmRequest { settings: LmSettings::default(), ..request("") };

    let error = gateway(&lm).complete(&unnamed).await.unwrap_err();
    let model = Some("openai/usual".to_owned());
    let with_model = Gateway::new(GatewayConfig { model, ..config(&lm.url()) }).unwrap();

    assert_eq!(error.code(), "configuration");
    assert_eq!(with_model.complete(&unnamed).await.unwrap().model, "openai/usual");
}

#[test]
fn an_address_that_is_none_is_told_at_start() {
    assert!(Gateway::new(config("localhost:8000")).is_err());
}

#[test]
fn keys_do_not_show_in_debug_output() {
    assert!(!format!("{:?}", config("http://x/")).contains("secret"));
}

//! Replies that come in pieces: heard as they come, and the same in the end as whole ones.

use std::sync::{Arc, Mutex};

use dspy::{Asker, Listener, Lm, LmError, LmReply, Progress, Told};
use programs::{LmConfig, Origin};
use serde_json::json;
use testkit::{Midway, Reply, StubLm};
use workers::{Gateway, GatewayConfig, Tally};

use super::{Duration, config, gateway, request};

const TEXT: &str = "[[ ## answer ## ]]\nBecause it scatters.\n\n[[ ## completed ## ]]\n";

/// What was heard: the pieces of the answer, `|` where they were void.
type Heard = Arc<Mutex<String>>;

fn progress(heard: &Heard) -> Progress {
    let heard = Arc::clone(heard);
    Progress::new(move |told| match told {
        Told::Field { delta, .. } => *heard.lock().unwrap() += &delta,
        Told::Restart { .. } => *heard.lock().unwrap() += "|",
        Told::Outputs { .. } => {}
    })
}

async fn ask_aloud(gateway: &Gateway, heard: &Heard) -> Result<LmReply, LmError> {
    let (lm, tally) = (LmConfig::default(), Tally::default());
    let deadline = tokio::time::Instant::now() + Duration::from_secs(2);
    let call = gateway.call(&lm, Origin::File, &tally).until(deadline);
    let progress = progress(heard);
    let asked = Asker {
        adapter: "ChatAdapter".to_owned(),
        texts: vec!["answer".to_owned()],
        ..Asker::default()
    };
    call.complete_aloud(&request("openai/stub"), &Listener::new(&progress, asked)).await
}

fn streamed(midway: Midway) -> Reply {
    Reply::Stream(Some(TEXT.to_owned()), midway)
}

#[tokio::test]
async fn a_streamed_reply_is_heard_and_is_the_same_as_a_whole_one() {
    let lm = StubLm::new(streamed(Midway::GoesOn));
    let (gateway, heard) = (gateway(&lm), Heard::default());

    let aloud = ask_aloud(&gateway, &heard).await.unwrap();
    let silent = gateway.complete(&request("openai/stub")).await.unwrap();

    assert_eq!(aloud, silent);
    assert_eq!(*heard.lock().unwrap(), "Because it scatters.");
    let calls = lm.requests();
    assert_eq!(calls[0].body["stream_options"], json!({"include_usage": true}));
    assert_eq!(calls[1].body.get("stream"), None);
}

#[tokio::test]
async fn a_stream_that_breaks_is_asked_for_again_and_begins_anew() {
    for midway in [Midway::Cut, Midway::Ends, Midway::Error] {
        let lm = StubLm::new(streamed(Midway::GoesOn));
        lm.then(streamed(midway));
        let heard = Heard::default();

        let reply = ask_aloud(&gateway(&lm), &heard).await.unwrap();

        assert_eq!((reply.text.as_deref(), lm.calls()), (Some(TEXT), 2), "{midway:?}");
        let heard = heard.lock().unwrap();
        let (void, whole) = heard.split_once('|').unwrap();
        assert!(!void.is_empty() && whole.starts_with(void), "{midway:?}: {heard}");
        assert_eq!(whole, "Because it scatters.");
    }
}

#[tokio::test]
async fn nonsense_in_a_stream_is_no_reply_and_is_not_asked_for_again() {
    let lm = StubLm::new(streamed(Midway::Garbage));

    let error = ask_aloud(&gateway(&lm), &Heard::default()).await.unwrap_err();

    assert!(matches!(error, LmError::InvalidResponse(_)), "{error:?}");
    assert_eq!(lm.calls(), 1);
}

#[tokio::test]
async fn a_stream_that_stalls_ends_with_its_execution() {
    let lm = StubLm::new(streamed(Midway::Stall));

    let error = ask_aloud(&gateway(&lm), &Heard::default()).await.unwrap_err();

    assert!(matches!(error, LmError::Timeout(_)), "{error:?}");
}

#[tokio::test]
async fn an_endpoint_without_streams_works_too() {
    let lm = StubLm::new(Reply::Text(TEXT.to_owned()));
    let refusal = json!({"error": {"message": "stream_options is not supported"}}).to_string();

    let plain = ask_aloud(&gateway(&lm), &Heard::default()).await.unwrap();
    lm.then(Reply::Status(400, vec![], refusal));
    let refused = ask_aloud(&gateway(&lm), &Heard::default()).await.unwrap();

    assert_eq!((plain.text.as_deref(), &plain), (Some(TEXT), &refused));
    assert_eq!(lm.calls(), 3);
    assert_eq!(lm.requests()[2].body.get("stream"), None);
}

#[tokio::test]
async fn a_stream_that_is_too_long_is_refused() {
    let lm = StubLm::new(Reply::Stream(Some("x".repeat(1001)), Midway::GoesOn));
    let config = GatewayConfig { response_bytes_max: 1000, ..config(&lm.url()) };

    let error = ask_aloud(&Gateway::new(config).unwrap(), &Heard::default()).await.unwrap_err();

    assert!(error.to_string().contains("longer than 1000 bytes"), "{error}");
}

//! What Python programs tell while they run, by every adapter of DSPy's and by others.

use std::time::Duration;

use queue::State;
use serde_json::{Value, json};
use testkit::{Midway, Reply};

use super::{module::program, site::Site};

const ANSWER: &str = "Because small things scatter blue light more than they scatter red.";

/// A program whose predictor asks in an adapter's format.
fn asking(adapter: &str, call: &str) -> Site {
    let name = if call.contains("acall") { "async def aforward" } else { "def forward" };
    let text = format!(
        "class Own(dspy.ChatAdapter):\n    pass\n\n\n\
         class P(dspy.Module):\n    def __init__(self):\n        super().__init__()\n        \
         self.ask = dspy.Predict('question -> answer, score: int')\n\n    \
         {name}(self, question: str = 'why?'):\n        \
         with dspy.context(adapter={adapter}):\n            return {call}\n"
    );
    program(&text, "")
}

/// Runs it aloud, and gives what it told: names of events, and their data.
async fn told(site: &Site) -> Vec<(String, Value)> {
    let worker = site.start();
    let id = site.submit(|it| (it.spec.program, it.spec.stream) = ("p".to_owned(), true)).await;
    site.until(id, State::Succeeded).await;
    let news = site.queue.follow(id, None, Duration::ZERO).await.unwrap();
    worker.end().await;
    let read = |data: &str| serde_json::from_str(data).unwrap();
    news.into_iter().map(|(_, it)| (it.event, read(&it.data))).collect()
}

fn text(told: &[(String, Value)], call: u64) -> String {
    let of = told.iter().filter(|(event, it)| event == "field" && it["call"] == call);
    of.map(|(_, it)| it["delta"].as_str().unwrap()).collect()
}

fn chat(answer: &str) -> String {
    format!("[[ ## answer ## ]]\n{answer}\n\n[[ ## score ## ]]\n7\n\n[[ ## completed ## ]]\n")
}

fn streamed(text: String) -> Reply {
    Reply::Stream(Some(text), Midway::GoesOn)
}

#[tokio::test]
async fn texts_are_told_by_every_adapter_and_in_both_kinds_of_python() {
    let json = json!({"answer": ANSWER, "score": 7}).to_string();
    let xml = format!("<answer>\n{ANSWER}\n</answer>\n<score>\n7\n</score>");
    let sync = "self.ask(question=question)";
    let cases = [
        ("dspy.ChatAdapter()", sync, chat(ANSWER)),
        ("None", "await self.ask.acall(question=question)", chat(ANSWER)),
        ("dspy.JSONAdapter()", sync, json),
        ("dspy.XMLAdapter()", "await self.ask.acall(question=question)", xml),
        ("Own()", sync, chat(ANSWER)),
    ];
    for (adapter, call, reply) in cases {
        let site = asking(adapter, call);
        site.lm.usually(streamed(reply));

        let told = told(&site).await;

        assert_eq!(text(&told, 1), ANSWER, "{adapter}: {told:#?}");
        let outputs = json!({"answer": ANSWER, "score": 7});
        let last = json!({"predictor": "ask", "call": 1, "outputs": outputs});
        assert_eq!(told.last(), Some(&("outputs".to_owned(), last)), "{adapter}");
        assert_eq!(site.lm.requests()[0].body["stream"], true);
    }
}

#[tokio::test]
async fn each_of_several_completions_is_a_call_of_its_own() {
    let site = asking("dspy.ChatAdapter()", "self.ask(question=question, config={'n': 2})");
    site.lm.then(streamed(chat("One."))).then(streamed(chat("Two.")));

    let told = told(&site).await;

    assert_eq!([text(&told, 1), text(&told, 2)], ["One.", "Two."], "{told:#?}");
    let calls = told.iter().filter(|(event, _)| event == "outputs");
    let answers: Vec<_> = calls.map(|(_, it)| (&it["call"], &it["outputs"]["answer"])).collect();
    assert_eq!(json!(answers), json!([[1, "One."], [2, "Two."]]));
}

#[tokio::test]
async fn a_call_without_a_predictor_tells_nothing() {
    let site = asking("dspy.ChatAdapter()", "{'answer': dspy.settings.lm('hello')[0]}");
    site.lm.usually(streamed("Hello to you.".to_owned()));

    assert_eq!(told(&site).await, []);
    assert_eq!(site.lm.requests()[0].body.get("stream"), None);
}

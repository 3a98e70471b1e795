//! DSPy's modules as its documentation shows them: each runs as in a notebook.

use queue::State;
use serde_json::{Value, json};
use testkit::{Reply, StubLm};

use super::site::Site;

const MODULES: &str = include_str!("../../../examples/python/modules.py");

/// A site with one of the example's modules, whose model says these fields, reply after reply.
pub(super) fn site(name: &str, replies: &[Value]) -> Site {
    let site = Site::new(StubLm::new(Reply::error(400)));
    site.write_file("modules.py", MODULES);
    let source = format!("{{type: local, path: modules.py, class_name: {name}}}");
    site.write_file("p.yaml", &format!("name: p\ncache: false\nsource: {source}\n"));
    for reply in replies {
        site.lm.then(Reply::fields(reply));
    }
    site
}

/// Runs it once, and gives its outputs. Every reply must have been asked for.
pub(super) async fn outputs(site: &Site, inputs: Value, replies: &[Value]) -> Value {
    let worker = site.start();
    let Value::Object(inputs) = inputs else { panic!("an object") };
    let id = site.submit(|it| (it.spec.program, it.inputs) = ("p".to_owned(), inputs)).await;
    let ended = testkit::until("it ends", super::site::SOON, async || {
        let it = site.queue.execution(id).await.unwrap();
        it.state.is_terminal().then_some(it)
    })
    .await;
    let report = ended.report.unwrap();
    assert_eq!(ended.state, State::Succeeded, "{:?}", report.failure);
    assert_eq!(site.lm.calls(), replies.len());
    worker.end().await;
    Value::Object(report.outputs.unwrap())
}

/// The outputs of one of the example's modules with these replies.
async fn made(name: &str, inputs: Value, replies: &[Value]) -> Value {
    outputs(&site(name, replies), inputs, replies).await
}

#[tokio::test]
async fn an_agent_calls_python_functions() {
    let call = json!({"hill": "Snowdon"});
    let replies = [
        json!({"next_thought": "I look.", "next_tool_name": "height", "next_tool_args": call}),
        json!({"next_thought": "Done.", "next_tool_name": "finish", "next_tool_args": {}}),
        json!({"reasoning": "It says so.", "answer": "1,085 metres"}),
    ];

    let made = made("agent", json!({"question": "How high is Snowdon?"}), &replies).await;

    assert_eq!(made["answer"], "1,085 metres");
    assert_eq!(made["trajectory"]["observation_0"], "1,085 metres");
}

#[tokio::test]
async fn a_reward_in_python_chooses_and_advises() {
    let (long, short) = (
        json!({"reasoning": "Hm.", "answer": "far too long"}),
        json!({"reasoning": "Ah.", "answer": "short"}),
    );
    let question = json!({"question": "?"});

    let best = made("best", question.clone(), &[long.clone(), short.clone()]).await;
    let advice = json!({"discussion": "Long.", "advice": {"predict": "Be brief!"}});
    let replies = [long, advice, short];
    let site = site("refined", &replies);
    let refined = outputs(&site, question, &replies).await;

    assert_eq!((&best["answer"], &refined["answer"]), (&json!("short"), &json!("short")));
    let last = site.lm.requests().swap_remove(2).body["messages"].to_string();
    assert!(last.contains("Be brief!"), "{last}");
}

#[tokio::test]
async fn threads_of_a_program_belong_to_its_execution() {
    let summary = json!({"summary": "short"});
    let replies: Vec<Value> = (0..6).map(|_| summary.clone()).collect();

    let made = made("Summaries", json!({"texts": ["a", "b", "c", "d", "e", "f"]}), &replies).await;

    assert_eq!(made, json!({"summaries": vec!["short"; 6]}));
}

#[tokio::test]
async fn steps_with_code_between_them_are_run() {
    let replies = [
        json!({"reasoning": "First.", "query": "bees"}),
        json!({"reasoning": "Read.", "note": "They fly."}),
        json!({"reasoning": "More.", "query": "honey"}),
        json!({"reasoning": "Read.", "note": "It is sweet."}),
    ];
    let site = site("Hop", &replies);

    let made = outputs(&site, json!({"claim": "Bees make honey."}), &replies).await;

    assert_eq!(made, json!({"notes": ["They fly.", "It is sweet."]}));
    let third = site.lm.requests().swap_remove(2).body["messages"].to_string();
    assert!(third.contains("They fly."), "{third}");
}

#[tokio::test]
async fn models_of_pydantic_come_out_as_objects() {
    let people = json!([{"name": "Ann", "role": "editor"}]);

    let made = made("extract", json!({"page": "By Ann."}), &[json!({"people": people})]).await;

    assert_eq!(made, json!({ "people": people }));
}

#[tokio::test]
async fn a_program_asks_other_models_at_the_same_time() {
    let replies = [json!({"answer": "yes"}), json!({"answer": "yes"})];
    let site = site("Both", &replies);

    let made = outputs(&site, json!({"question": "?"}), &replies).await;

    assert_eq!(made, json!({"answers": ["yes", "yes"]}));
    let mut models: Vec<String> =
        site.lm.requests().iter().map(|it| it.body["model"].to_string()).collect();
    models.sort();
    assert_eq!(models, ["\"one\"", "\"two\""]);
}

#[tokio::test]
async fn several_completions_are_compared() {
    let try_of = |answer: &str| json!({"reasoning": "So.", "answer": answer});
    let replies =
        [try_of("yes"), try_of("yes"), try_of("no"), json!({"rationale": "All.", "answer": "ok"})];

    let made = made("Vote", json!({"question": "?"}), &replies).await;

    assert_eq!(made, json!({"common": "yes", "compared": "ok"}));
}

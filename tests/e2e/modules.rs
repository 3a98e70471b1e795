//! DSPy's modules as a user runs them, by the examples: what the model is asked, in which order,
//! and what comes out.

use std::path::Path;

use serde_json::{Value, json};
use testkit::Reply;

use crate::site::{Site, Store};

/// A site with an example that asks the stub, and as it is under the name `offline`.
async fn site_with(store: Store, example: &str) -> Site {
    let site = store.site().await.with("OPENAI_API_KEY", "of-the-stub");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/programs");
    let text = std::fs::read_to_string(folder.join(example).with_extension("yaml")).unwrap();
    let model = format!("dummy/{example}");
    assert!(text.contains(&model), "{text}");
    site.write_program(example, &text.replace(&model, "openai/stub"));
    let name = format!("name: {example}\n");
    site.write_program("offline", &text.replace(&name, "name: offline\n"));
    site
}

/// What the model says next: these fields, as it was told to write them.
pub(crate) fn says(site: &Site, fields: &Value) {
    site.lm.then(Reply::fields(fields));
}

/// Runs it, and gives its outputs.
async fn outputs(site: &Site, program: &str, inputs: &Value) -> Value {
    let body = json!({"program_id": program, "inputs": inputs});
    site.succeeded(&site.submit(&body).await).await["outputs"].clone()
}

/// What the model was asked in a call: its last message.
fn asked(site: &Site, call: usize) -> String {
    let body = site.lm.requests().swap_remove(call).body;
    body["messages"].as_array().unwrap().last().unwrap()["content"].to_string()
}

pub(crate) async fn chain_is_repeated_until_it_is_good(store: Store) {
    let site = site_with(store, "writer").await;
    let up = site.up().await;
    says(&site, &json!({"text": "Bees fly."}));
    says(&site, &json!({"criticism": "Too short!", "score": 3}));
    says(&site, &json!({"text": "Bees fly far."}));
    says(&site, &json!({"criticism": "Good.", "score": 8}));

    let made = outputs(&site, "writer", &json!({"topic": "bees"})).await;

    assert_eq!(made, json!({"text": "Bees fly far.", "score": 8}));
    assert_eq!(site.lm.calls(), 4);
    assert!(asked(&site, 2).contains("Too short!"), "{}", asked(&site, 2));
    assert!(asked(&site, 3).contains("Bees fly far."), "{}", asked(&site, 3));
    site.check(up).await;
}

pub(crate) async fn map_runs_on_each_and_keeps_their_order(store: Store) {
    let site = site_with(store, "digest").await;
    let up = site.up().await;
    let documents: Vec<String> = (0..20).map(|it| format!("document {it}")).collect();

    let made = outputs(&site, "digest", &json!({"documents": documents})).await;
    // The offline model says another thing of each document, and the same of it each time.
    let summaries_of = async |documents: &[String]| {
        let made = outputs(&site, "offline", &json!({"documents": documents})).await;
        made["summaries"].as_array().unwrap().clone()
    };
    let all = summaries_of(&documents).await;
    for (document, summary) in documents.iter().zip(&all) {
        assert_eq!(&summaries_of(std::slice::from_ref(document)).await[0], summary, "{document}");
    }
    assert!(all.windows(2).any(|it| it[0] != it[1]), "{all:?}");

    assert_eq!(made["summaries"].as_array().unwrap().len(), 20, "{made}");
    assert_eq!(site.lm.calls(), 21);
    let mut seen: Vec<String> = (0..20).map(|it| asked(&site, it)).collect();
    seen.sort_by_key(|it| documents.iter().rposition(|document| it.contains(document)));
    for (asked, document) in seen.iter().zip(&documents) {
        assert!(asked.contains(document), "{asked}");
    }
    site.check(up).await;
}

pub(crate) async fn judge_has_an_answer_tried_again_with_advice(store: Store) {
    let site = site_with(store, "grader").await;
    let up = site.up().await;
    says(&site, &json!({"answer": "It is."}));
    says(&site, &json!({"reasoning": "It says nothing.", "score": 2}));
    says(&site, &json!({"discussion": "Vague.", "advice": {"self": "Name the cause!"}}));
    says(&site, &json!({"answer": "Air scatters blue light."}));
    says(&site, &json!({"reasoning": "It names the cause.", "score": 9}));

    let made = outputs(&site, "grader", &json!({"question": "Why is the sky blue?"})).await;

    assert_eq!(made, json!({"answer": "Air scatters blue light."}));
    assert!(asked(&site, 1).contains("It is."), "{}", asked(&site, 1));
    let last = site.lm.requests().swap_remove(3).body["messages"].to_string();
    assert!(last.contains("Name the cause!"), "{last}");
    site.check(up).await;
}

pub(crate) async fn request_may_choose_a_part_of_a_program(store: Store) {
    let site = site_with(store, "grader").await;
    let up = site.up().await;
    says(&site, &json!({"reasoning": "Right.", "score": 10}));
    let inputs = json!({"question": "1 + 1?", "answer": "2"});

    let made = outputs(&site, "grader#grade", &inputs).await;

    assert_eq!(made, json!({"reasoning": "Right.", "score": 10}));
    let unknown = json!({"program_id": "grader#grad", "inputs": inputs});
    let answer = site.http.post("/execute", &unknown).await.unwrap();
    assert_eq!(answer.status, 404, "{}", answer.body);
    assert!(answer.body.contains("grade"), "{}", answer.body);
    site.check(up).await;
}

pub(crate) async fn best_of_several_attempts_is_taken(store: Store) {
    let site = site_with(store, "haiku").await;
    let up = site.up().await;
    says(&site, &json!({"reasoning": "I try.", "haiku": "About nothing."}));
    says(&site, &json!({"reasoning": "I see.", "haiku": "Snow, snow, and more snow."}));

    let made = outputs(&site, "haiku", &json!({"topic": "snow"})).await;

    assert_eq!(made["haiku"], "Snow, snow, and more snow.");
    let temperatures: Vec<Value> =
        site.lm.requests().iter().map(|it| it.body["temperature"].clone()).collect();
    assert_eq!(temperatures, [1.0, 1.0]);
    site.check(up).await;
}

pub(crate) async fn nearest_examples_are_shown(store: Store) {
    let site = site_with(store, "triage").await;
    let up = site.up().await;
    embeds(&site, &[[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]]);
    embeds(&site, &[[1.0, 0.0]]);
    says(&site, &json!({"team": "billing"}));

    let made = outputs(&site, "triage", &json!({"message": "You took my money"})).await;

    assert_eq!(made, json!({"team": "billing"}));
    let paths: Vec<String> = site.lm.requests().into_iter().map(|it| it.path).collect();
    assert_eq!(paths, ["/v1/embeddings", "/v1/embeddings", "/v1/chat/completions"]);
    let shown = site.lm.requests().swap_remove(2).body["messages"].to_string();
    for near in ["My invoice is wrong", "I was charged twice"] {
        assert!(shown.contains(near), "{shown}");
    }
    assert!(!shown.contains("The page does not load"), "{shown}");
    site.check(up).await;
}

/// What the endpoint makes of the next texts.
pub(crate) fn embeds(site: &Site, vectors: &[[f64; 2]]) {
    let data: Vec<Value> = (0..).zip(vectors).map(|(index, it)| vector(index, it)).collect();
    let body = json!({
        "object": "list", "data": data, "model": "embedder-1",
        "usage": {"prompt_tokens": 3, "total_tokens": 3},
    });
    site.lm.then(Reply::Status(200, Vec::new(), body.to_string()));
}

fn vector(index: usize, embedding: &[f64; 2]) -> Value {
    json!({"object": "embedding", "index": index, "embedding": embedding})
}

pub(crate) async fn picture_reaches_the_model(store: Store) {
    let site = site_with(store, "photo").await;
    let up = site.up().await;
    says(&site, &json!({"caption": "Ein Hund.", "seen_at": "2024-02-29"}));
    let inputs = json!({"picture": "https://example.org/dog.png", "language": "German"});

    let made = outputs(&site, "photo", &inputs).await;

    assert_eq!(made, json!({"caption": "Ein Hund.", "seen_at": "2024-02-29"}));
    let body = site.lm.requests().swap_remove(0).body;
    let parts = body["messages"][1]["content"].as_array().unwrap();
    let picture = json!({"type": "image_url", "image_url": {"url": "https://example.org/dog.png"}});
    assert!(parts.contains(&picture), "{parts:#?}");
    let a_path = json!({"program_id": "photo", "inputs": {"picture": "/etc/passwd"}});
    let answer = site.http.post("/execute", &a_path).await.unwrap();
    assert_eq!(answer.status, 422, "{}", answer.body);
    assert_eq!(site.lm.calls(), 1);
    site.check(up).await;
}

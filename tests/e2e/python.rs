//! Programs that are Python: run by the real DSPy, in processes of their own.

use serde_json::{Value, json};
use testkit::Reply;

use crate::site::{Site, Store};

/// A module of a user's own, with two predictors and a little Python between them.
pub(crate) const REVIEWER: &str = r#"
import dspy


class Review(dspy.Signature):
    """Review a draft."""

    draft: str = dspy.InputField()
    score: int = dspy.OutputField(desc="0 to 10")


class Reviewer(dspy.Module):
    """Drafts an answer, and reviews it."""

    def __init__(self):
        super().__init__()
        self.write = dspy.ChainOfThought("question -> draft")
        self.review = dspy.Predict(Review)

    def forward(self, question: str, loud: bool = False):
        print("asked", question)
        draft = self.write(question=question).draft
        score = self.review(draft=draft).score
        return dspy.Prediction(draft=draft.upper() if loud else draft, score=score)
"#;

pub(crate) const PROGRAM: &str = "
name: reviewer
version: 1.0.0
lm: {model: openai/stub, temperature: 0.5}
cache: false
timeout: 60
source: {type: local, path: reviewer.py, class_name: Reviewer}
";

/// A site with a Python program beside the others.
pub(crate) async fn site(store: Store) -> Site {
    let site = store.site().await.with_python();
    site.write("programs/reviewer.py", REVIEWER);
    site.write("programs/reviewer.yaml", PROGRAM);
    site
}

pub(crate) async fn python_program_gives_outputs(store: Store) {
    let site = site(store).await;
    let up = site.up().await;
    let inputs = json!({ "question": "why?", "loud": true });

    let path = site.submit(&json!({ "program_id": "reviewer", "inputs": inputs })).await;
    let record = site.succeeded(&path).await;

    assert_eq!(record["outputs"], json!({ "draft": "A DRAFT", "score": 42 }));
    let requests = site.lm.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests.iter().all(|it| it.authorization == "Bearer of-the-stub"));
    assert_eq!(requests[0].body["temperature"], json!(0.5));
    assert_eq!(record["metadata"]["usage"]["openai/stub"]["total_tokens"], json!(24));
    site.check(up).await;
}

pub(crate) async fn python_program_is_traced_as_a_native_one(store: Store) {
    let site = site(store).await;
    let up = site.up().await;
    let inputs = json!({ "question": "why so?" });
    let body = json!({ "program_id": "reviewer", "inputs": inputs, "mode": "debug" });

    let record = site.succeeded(&site.submit(&body).await).await;

    let steps = &record["metadata"]["debug_trace"]["steps"];
    let names: Vec<_> = steps.as_array().unwrap().iter().map(|it| &it["predictor"]).collect();
    assert_eq!(names, [&json!("write.predict"), &json!("review")]);
    assert_eq!(steps[0]["adapter"], "ChatAdapter");
    assert_eq!(steps[0]["outputs"], json!({ "reasoning": "a reasoning", "draft": "a draft" }));
    assert!(steps[0]["request"]["messages"].to_string().contains("why so?"), "{steps:#}");
    assert_eq!(steps[1]["reply"]["usage"]["total_tokens"], json!(12));
    assert_eq!(record["metadata"]["output"], json!(["asked why so?"]));
    site.check(up).await;
}

/// A program that both runtimes can run, and its twin in Python.
const NATIVE: &str = "
name: twin
lm: {model: openai/stub, temperature: 0.5}
cache: false
signatures:
  answer:
    description: Answer.
    inputs: {question: str}
    outputs: {answer: str, score: int}
    module: chain_of_thought
";
const PYTHON: &str = r#"
import dspy


class Answer(dspy.Signature):
    """Answer."""

    question: str = dspy.InputField()
    answer: str = dspy.OutputField()
    score: int = dspy.OutputField()


program = dspy.ChainOfThought(Answer)
"#;
const TWIN: &str = "
name: python-twin
lm: {model: openai/stub, temperature: 0.5}
cache: false
source: {type: local, path: twin.py}
";

pub(crate) async fn both_runtimes_leave_the_same_record(store: Store) {
    let site = store.site().await.with_python();
    site.write_program("twin", NATIVE);
    site.write("programs/twin.py", PYTHON);
    site.write_program("python-twin", TWIN);
    let up = site.up().await;
    // The second is not readable, and asked for again as JSON; so is the third, which fails.
    let replies =
        ["", "Hm.", "{\"reasoning\": \"So.\", \"answer\": \"é\", \"score\": 3}", "?", "?"];
    let mut twins = Vec::new();
    for program in ["twin", "python-twin"] {
        for reply in replies {
            let text = Reply::Text(reply.to_owned());
            site.lm.then(if reply.is_empty() { Reply::Fitting } else { text });
        }
        let mut records = Vec::new();
        for question in ["why?", "how?", "what?"] {
            let body = json!({
                "program_id": program, "inputs": {"question": question}, "mode": "debug",
                "max_retries": 0,
            });
            records.push(told(&site.ended(&site.submit(&body).await).await));
        }
        twins.push(records);
    }

    let (native, python) = (&twins[0], &twins[1]);
    assert_eq!(native[0]["status"], "succeeded", "{:#}", native[0]);
    assert_eq!(native[1]["outputs"]["answer"], "é", "{:#}", native[1]);
    assert_eq!(native[2]["error_kind"], "parse_error", "{:#}", native[2]);
    for (here, there) in native.iter().zip(python) {
        assert_eq!(here, there, "{here:#}\n{there:#}");
    }
    site.check(up).await;
}

/// What a record says of its execution, without names and times.
fn told(record: &Value) -> Value {
    let mut steps = record["metadata"]["debug_trace"]["steps"].clone();
    for step in steps.as_array_mut().into_iter().flatten() {
        step.as_object_mut().unwrap().retain(|name, _| !name.ends_with("_ms"));
    }
    json!({
        "status": record["status"], "outputs": record["outputs"], "error": record["error"],
        "error_kind": record["error_kind"], "usage": record["metadata"]["usage"], "steps": steps,
    })
}

pub(crate) async fn python_batch_is_done(store: Store) {
    let site = site(store).await.with("MAX_WORKERS", "64");
    site.lm.usually(Reply::Fitting);
    let up = site.up().await;
    let inputs: Vec<_> = (0..1000).map(|it| json!({ "question": it.to_string() })).collect();
    let body = json!({ "program_id": "reviewer", "inputs_list": inputs });

    let answer = site.http.post("/execute/batch", &body).await.unwrap();
    assert_eq!(answer.status, 202, "{}", answer.body);
    let path = format!("/batch/{}", answer.json()["batch_id"].as_str().unwrap());
    let batch = site.ended(&path).await;

    assert_eq!(batch["counts"]["succeeded"], json!(1000), "{batch:#}");
    assert_eq!(site.lm.calls(), 2000);
    site.check(up).await;
}

pub(crate) async fn python_inputs_are_checked_before_they_wait(store: Store) {
    let site = site(store).await;
    let up = site.up().await;
    let known = |it: &serde_json::Value| {
        let programs = it["programs"].as_array().into_iter().flatten();
        let mut of_ours = programs.filter(|it| it["program_id"] == "reviewer");
        of_ours.next().is_some_and(|it| it["input_schema"]["required"] == json!(["question"]))
    };
    site.until("/programs", known).await;

    let bad = json!({ "program_id": "reviewer", "inputs": { "question": 5, "loudly": true } });
    let answer = site.http.post("/execute", &bad).await.unwrap();

    assert_eq!(answer.status, 422, "{}", answer.body);
    let errors = answer.json()["errors"].to_string();
    assert!(errors.contains("/inputs/question") && errors.contains("/inputs/loudly"), "{errors}");
    assert_eq!(site.lm.calls(), 0);
    site.check(up).await;
}

pub(crate) async fn changed_python_program_is_known_before_it_is_run(store: Store) {
    let site = site(store).await;
    let up = site.up().await;
    let knows = |name: &'static str| {
        move |it: &serde_json::Value| it["input_schema"]["required"] == json!([name])
    };
    site.until("/programs/reviewer", knows("question")).await;

    for name in ["why", "whence", "whither"] {
        site.write(
            "programs/reviewer.py",
            &REVIEWER.replace("question: str", &format!("{name}: str")),
        );
        site.until("/programs/reviewer", knows(name)).await;
    }

    site.check(up).await;
}

pub(crate) async fn python_program_without_types_takes_any_object(store: Store) {
    let site = site(store).await;
    let text = "import dspy\n\nclass Any(dspy.Module):\n    \
                def forward(self, **all):\n        return {'all': all}\n";
    site.write("programs/any.py", text);
    site.write_program("any", "name: any\nsource: {type: local, path: any.py}\n");
    let up = site.up().await;
    site.until("/programs/any", |it| it["input_schema"].is_object()).await;

    let inputs = json!({ "a": [1, {"b": null}], "with a blank": 2.5 });
    let path = site.submit(&json!({ "program_id": "any", "inputs": inputs })).await;

    assert_eq!(site.succeeded(&path).await["outputs"]["all"], inputs);
    site.check(up).await;
}

pub(crate) async fn python_execution_of_a_killed_runner_runs_again(store: Store) {
    let site = site(store).await;
    site.lm.then(Reply::Fitting).then(Reply::Nothing);
    let mut up = site.up().await;
    let body = json!({ "program_id": "reviewer", "inputs": { "question": "?" } });
    let path = site.submit(&body).await;
    site.until_calls(2).await;

    up.crash_runner(&site).await;

    let record = site.succeeded(&path).await;
    assert_eq!(record["attempts"].as_array().unwrap().len(), 1, "a loss uses no attempt");
    assert_eq!(site.lm.calls(), 3, "the first step was paid for");
    assert_eq!(record["metadata"]["usage"]["openai/stub"]["total_tokens"], 24);
    site.check(up).await;
}

pub(crate) async fn python_that_came_over_http_is_not_run(store: Store) {
    let site = site(store).await;
    let up = site.up().await;
    let text = "name: evil\nsource: {type: local, path: /etc/passwd}\n";
    let yaml = [("content-type", "application/yaml")];
    let sent = site.http.send("PUT", "/programs/evil", &yaml, text.as_bytes()).await.unwrap();
    assert!(sent.status < 300, "{}", sent.body);

    let body = json!({ "program_id": "evil", "inputs": {} });
    let answer = site.http.post("/execute", &body).await.unwrap();

    assert!((400..500).contains(&answer.status), "{} {}", answer.status, answer.body);
    assert!(answer.body.contains("registered over HTTP"), "{}", answer.body);
    site.check(up).await;
}

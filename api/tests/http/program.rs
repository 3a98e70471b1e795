//! What can be run.

use serde_json::json;

use crate::site::Site;

const SUM: &str = "
name: sum
version: 2.0.0
lm: {model: dummy/sum}
signatures:
  add: {inputs: {a: int, b: int}, outputs: {sum: int}}
";

#[tokio::test]
async fn programs_tell_what_they_take_and_who_can_run_them() {
    let site = Site::new().await;

    let list = site.get("/programs").await.json();

    let program = &list["programs"][0];
    assert_eq!((&program["program_id"], &program["version"]), (&json!("mail"), &json!("1.2.0")));
    assert_eq!((&program["runtime"], &program["workers"]), (&json!("native"), &json!(1)));
    assert_eq!(program["signatures"][0]["name"], "draft");
    assert_eq!(program["input_schema"]["required"], json!(["recipient", "subject"]));
    assert_eq!(program["output_schema"]["properties"]["body"]["type"], "string");
    assert_eq!(site.get("/programs/mail@1.2.0").await.json(), *program);
}

#[tokio::test]
async fn unknown_program_is_told_in_the_promised_words() {
    let site = Site::new().await;
    for method in ["GET", "DELETE"] {
        let reply = site.call(method, "/programs/xyz").send().await;
        let problem = reply.problem(404, "program-not-found");
        assert_eq!(problem["detail"], "Model xyz not found in registry");
    }
}

#[tokio::test]
async fn registered_program_can_be_run_replaced_and_removed() {
    let site = Site::new().await;
    let put = |text: &str| {
        site.call("PUT", "/programs/sum").body("application/yaml", text.to_owned()).send()
    };

    let created = put(SUM).await;
    assert_eq!((created.status, &created.json()["version"]), (201, &json!("2.0.0")));
    assert_eq!(created.header("location"), "/api/v1/dspy/programs/sum");
    assert_eq!(put(&SUM.replace("2.0.0", "2.1.0")).await.status, 200);
    assert_eq!(site.get("/programs/sum").await.json()["version"], "2.1.0");

    let run = json!({"program_id": "sum", "inputs": {"a": 1, "b": 2}});
    assert_eq!(site.post("/execute", run.clone()).await.status, 202);

    assert_eq!(site.call("DELETE", "/programs/sum").send().await.status, 204);
    site.post("/execute", run).await.problem(404, "program-not-found");
}

#[tokio::test]
async fn program_is_taken_as_json_too() {
    let site = Site::new().await;
    let program = json!({
        "name": "sum", "version": "1.0.0", "lm": {"model": "dummy/sum"},
        "signatures": {"add": {"inputs": {"a": "int"}, "outputs": {"sum": "int"}}},
    });
    let reply = site.call("PUT", "/programs/sum").json(&program).send().await;
    assert_eq!(reply.status, 201, "{}", reply.text());
}

#[tokio::test]
async fn program_registered_elsewhere_is_known_here() {
    let site = Site::new().await;
    site.queue.put_program("sum", SUM).await.unwrap();
    let run = json!({"program_id": "sum", "inputs": {"a": 1, "b": 2}});
    assert_eq!(site.post("/execute", run).await.status, 202);
}

#[tokio::test]
async fn program_that_cannot_be_loaded_is_refused_with_its_place() {
    let site = Site::new().await;
    let put = |id: &str, text: String| {
        site.call("PUT", &format!("/programs/{id}")).body("application/yaml", text).send()
    };
    let broken = SUM.replace("signatures:", "signaturs:");
    let problem = put("sum", broken).await.problem(422, "validation");
    assert!(problem["detail"].as_str().unwrap().contains("sum:5:1"), "{problem}");
    put("other", SUM.to_owned()).await.problem(422, "validation");
    put("sum@1.0.0", SUM.to_owned()).await.problem(422, "validation");
    put("sum", "x".repeat(2_000_000)).await.problem(413, "body-too-large");
    let text = site.call("PUT", "/programs/sum").body("text/html", SUM).send().await;
    text.problem(415, "unsupported-media-type");
    assert_eq!(site.get("/programs").await.json()["programs"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn program_of_a_file_cannot_be_removed() {
    let site = Site::new().await;
    site.call("DELETE", "/programs/mail").send().await.problem(409, "conflict");
}

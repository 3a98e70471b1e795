//! Programs of a real MLflow: by version, by alias, by run; when it is away; when it has others.

use serde_json::{Value, json};
use testkit::{Artifacts, MlflowServer, Page, Reply, S3Server, StubWeb};

use crate::site::{Site, Store};

/// Logs two versions of a program, as pickle and as DSPy saves it, with a key of a model in both.
const TWO_VERSIONS: &str = r#"
import json, dspy, mlflow

class QA(dspy.Module):
    """Answers."""

    def __init__(self, words):
        super().__init__()
        self.ask = dspy.ChainOfThought(dspy.Signature("question -> answer", words))

    def forward(self, question: str):
        return self.ask(question=question)

dspy.configure(lm=dspy.LM("openai/stub", api_key="sk-of-the-notebook", temperature=0.25))
with mlflow.start_run() as run:
    mlflow.dspy.log_model(
        QA("Be first."), name="model", registered_model_name="qa", pip_requirements=["dspy"]
    )
    mlflow.dspy.log_model(
        QA("Be second."), name="other", registered_model_name="qa", pip_requirements=["dspy"],
        use_dspy_model_save=True,
    )
mlflow.MlflowClient().set_registered_model_alias("qa", "champion", 1)
print(json.dumps(run.info.run_id))
"#;

/// Moves the alias on.
const MOVE: &str = "
import mlflow
mlflow.MlflowClient().set_registered_model_alias('qa', 'champion', 2)
print('null')
";

/// Logs a model that is none of DSPy, and a program that needs a package that is not there.
const ODD: &str = r#"
import json, os, sys, dspy, mlflow

class Echo(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[str]) -> list[str]:
        return model_input

os.makedirs("absent")
open("absent/absent_thing.py", "w").write("")
open("needy.py", "w").write(
    "import absent_thing, dspy\nclass Needy(dspy.Module):\n"
    "    def forward(self):\n        return {}\n"
)
sys.path[:0] = ["absent", "."]
import needy

with mlflow.start_run():
    mlflow.pyfunc.log_model(
        name="echo", python_model=Echo(), registered_model_name="echo", pip_requirements=["mlflow"]
    )
    mlflow.dspy.log_model(
        needy.Needy(), name="needy", registered_model_name="needy", code_paths=["needy.py"],
        pip_requirements=["dspy", "absent-thing==1.0"],
    )
print("null")
"#;

/// What may be run of it: all but `secret`.
const ALLOWED: &str = "mlflow:models:/qa,mlflow:models:/echo,mlflow:models:/needy,mlflow:runs:/*";

/// A site whose programs may be fetched from a server.
async fn site(store: Store, mlflow: &MlflowServer) -> Site {
    let site = store.site().await.with_python();
    site.with("MLFLOW_TRACKING_URI", &mlflow.url())
        .with("SOURCES_REFRESH", "1s")
        .with("MAX_RETRIES", "0")
        .with("PYTHON_ALLOW", ALLOWED)
}

fn program(site: &Site, name: &str, uri: &str) {
    site.write_program(name, &format!("name: {name}\nsource: {{type: mlflow, uri: '{uri}'}}\n"));
}

async fn submit(site: &Site, program: &str, question: &str) -> String {
    let inputs = json!({ "question": question });
    site.submit(&json!({ "program_id": program, "inputs": inputs })).await
}

/// Runs a program, and gives what the model was told last.
async fn told(site: &Site, program: &str, question: &str) -> String {
    let path = submit(site, program, question).await;
    let record = site.succeeded(&path).await;
    assert_eq!(record["outputs"]["answer"], "a answer", "{record:#}");
    site.lm.requests().last().unwrap().body["messages"].to_string()
}

/// Runs a program that has no inputs and must fail, and gives why.
async fn failure(site: &Site, program: &str) -> String {
    let path = site.submit(&json!({ "program_id": program, "inputs": {} })).await;
    let record = site.ended(&path).await;
    assert_eq!(record["status"], "failed", "{record:#}");
    record["error"].to_string()
}

/// Waits until workers run a revision of a program, and gives what is told of it.
async fn until_revision(site: &Site, program: &str, revision: &str) -> Value {
    let path = format!("/programs/{program}");
    let is_it = |it: &Value| {
        let found = it["revision"].as_str().unwrap_or_default();
        found.starts_with(revision) && it["input_schema"]["required"] == json!(["question"])
    };
    site.until(&path, is_it).await
}

pub(crate) async fn mlflow_model_is_run_by_version_alias_and_run(store: Store) {
    let mlflow = MlflowServer::started().await;
    let run = mlflow.run(TWO_VERSIONS);
    let site = site(store, &mlflow).await;
    program(&site, "first", "models:/qa/1");
    program(&site, "newest", "models:/qa/latest");
    program(&site, "alias", "models:/qa@champion");
    program(&site, "run", &format!("runs:/{}/model", run.as_str().unwrap()));
    let mut up = site.up().await;

    for (name, words) in [
        ("first", "Be first."),
        ("newest", "Be second."),
        ("alias", "Be first."),
        ("run", "Be first."),
    ] {
        let messages = told(&site, name, name).await;
        assert!(messages.contains(words), "{name}: {messages}");
    }

    let requests = site.lm.requests();
    assert!(requests.iter().all(|it| it.authorization == "Bearer of-the-stub"));
    assert!(requests.iter().all(|it| it.body["temperature"] == json!(0.25)));
    let known = until_revision(&site, "alias", "models:/qa/1 (m-").await;
    assert_eq!(known["source"], "mlflow:models:/qa@champion");
    assert_eq!(known["description"], "");
    let log = up.runner().log();
    assert!(!log.contains("sk-of-the-notebook") && log.contains("holds an endpoint or a key"));
    site.check(up).await;
}

pub(crate) async fn mlflow_model_in_a_bucket_is_run(store: Store) {
    let bucket = S3Server::started().await;
    let port = bucket.port();
    for artifacts in [Artifacts::BehindServer(port), Artifacts::InBucket(port)] {
        let mlflow = MlflowServer::started_keeping(artifacts).await;
        let run = mlflow.run(TWO_VERSIONS);
        let site = site(store, &mlflow).await;
        let site = match artifacts {
            Artifacts::InBucket(_) => with_bucket(site, &format!("http://127.0.0.1:{port}")),
            Artifacts::Folder | Artifacts::BehindServer(_) => site,
        };
        program(&site, "newest", "models:/qa/2");
        program(&site, "alias", "models:/qa@champion");
        program(&site, "run", &format!("runs:/{}/model", run.as_str().unwrap()));
        let up = site.up().await;

        for (name, words) in
            [("newest", "Be second."), ("alias", "Be first."), ("run", "Be first.")]
        {
            let messages = told(&site, name, name).await;
            assert!(messages.contains(words), "{artifacts:?}: {name}: {messages}");
        }

        site.check(up).await;
    }
}

/// A site that may look into buckets at an address.
fn with_bucket(site: Site, address: &str) -> Site {
    site.with("MLFLOW_S3_ENDPOINT_URL", address)
        .with("AWS_ACCESS_KEY_ID", "a")
        .with("AWS_SECRET_ACCESS_KEY", "of no meaning to this server")
}

pub(crate) async fn mlflow_model_in_a_bucket_says_why_it_is_not_read(store: Store) {
    let bucket = S3Server::started().await;
    let mlflow = MlflowServer::started_keeping(Artifacts::InBucket(bucket.port())).await;
    mlflow.run(TWO_VERSIONS);
    let closed = StubWeb::new();
    let site = with_bucket(site(store, &mlflow).await, &closed.url());
    program(&site, "qa", "models:/qa/1");
    let denied = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
    closed.put_everywhere(Page::status(403, denied));
    let up = site.up().await;

    let why = failure(&site, "qa").await;
    site.check(up).await;

    assert!(why.contains("s3://payloads/mlflow") && why.contains("lets nobody in"), "{why}");
    assert!(why.contains("AWS_ACCESS_KEY_ID"), "{why}");
    assert!(!why.contains("of no meaning"), "{why}");
}

pub(crate) async fn mlflow_alias_is_followed_while_work_goes_on(store: Store) {
    let mlflow = MlflowServer::started().await;
    mlflow.run(TWO_VERSIONS);
    let site = site(store, &mlflow).await;
    program(&site, "qa", "models:/qa@champion");
    let up = site.up().await;
    until_revision(&site, "qa", "models:/qa/1").await;
    assert!(told(&site, "qa", "same").await.contains("Be first."));
    site.lm.then(Reply::Fitting.at_gate());
    let running = submit(&site, "qa", "long").await;
    site.until_calls(2).await;

    mlflow.run(MOVE);
    until_revision(&site, "qa", "models:/qa/2").await;

    let messages = told(&site, "qa", "same").await;
    assert!(
        messages.contains("Be second."),
        "an old result is none of the new version: {messages}"
    );
    assert_eq!(site.lm.calls(), 3);
    site.lm.open_gate();
    let record = site.succeeded(&running).await;
    assert_eq!(record["attempts"].as_array().map(Vec::len), Some(1), "{record:#}");
    assert!(site.lm.requests()[1].body["messages"].to_string().contains("Be first."));
    site.check(up).await;
}

pub(crate) async fn mlflow_may_be_away_and_come_back(store: Store) {
    let mut mlflow = MlflowServer::stopped();
    let site = site(store, &mlflow).await;
    program(&site, "qa", "models:/qa@champion");
    let mut up = site.up().await;
    let inputs = json!({ "program_id": "qa", "inputs": { "question": "?" } });

    let record = site.ended(&site.submit(&inputs).await).await;
    let why = record["error"].to_string();
    assert!(why.contains("cannot be fetched: cannot reach MLflow at http://127.0.0.1"), "{why}");
    assert!(why.contains("MLFLOW_TRACKING_URI"), "{why}");
    let shown = |it: &Value| it["problem"].as_str().is_some_and(|it| it.contains("reach MLflow"));
    site.until("/programs/qa", shown).await;

    mlflow.start().await;
    mlflow.run(TWO_VERSIONS);
    assert!(told(&site, "qa", "now").await.contains("Be first."));

    mlflow.stop();
    up.crash_runner(&site).await;
    assert!(told(&site, "qa", "and after a restart").await.contains("Be first."));
    site.check(up).await;
}

pub(crate) async fn mlflow_says_what_it_has_not(store: Store) {
    let mlflow = MlflowServer::started().await;
    mlflow.run(ODD);
    let site = site(store, &mlflow).await;
    let cases = [
        ("echo", "models:/echo/1", "models:/echo/1 (m-"),
        ("needy", "models:/needy/1", "install 'absent-thing==1.0'"),
        ("nothing", "models:/qa/7", "MLflow has no models:/qa/7"),
        ("nobody", "models:/echo@champion", "MLflow has no models:/echo@champion"),
        ("runaway", "runs:/0123/model", "MLflow has no runs:/0123/model"),
    ];
    for (name, uri, _) in cases {
        program(&site, name, uri);
    }
    program(&site, "forbidden", "models:/secret/1");
    let up = site.up().await;

    for (name, _, words) in cases {
        let why = failure(&site, name).await;
        assert!(why.contains(words), "{name}: {why}");
    }
    let flavors = failure(&site, "echo").await;
    assert!(flavors.contains("its flavors are python_function"), "{flavors}");
    let body = json!({ "program_id": "forbidden", "inputs": {} });
    let answer = site.http.post("/execute", &body).await.unwrap();
    assert!((400..500).contains(&answer.status), "{}", answer.body);
    assert!(answer.body.contains("`mlflow:models:/secret/1` in PYTHON_ALLOW"), "{}", answer.body);
    site.check(up).await;
}

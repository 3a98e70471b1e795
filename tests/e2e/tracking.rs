//! Executions and batches as MLflow's own client finds them there: runs, parameters, metrics,
//! traces, tables; when the server is away, and when a worker dies.

use std::path::Path;

use serde_json::{Value, json};
use testkit::{MLFLOW_PASSWORD, MLFLOW_USER, McpServer, MlflowServer, Reply};

use crate::{
    site::{Site, Store},
    tools,
};

/// What the experiment holds: its runs, and the spans of each run's traces.
const READ: &str = r#"
import json, mlflow
client = mlflow.MlflowClient()
experiment = client.get_experiment_by_name("tested")
def spans(trace):
    names = {s.span_id: s.name for s in trace.data.spans}
    return [
        {"name": s.name, "type": s.span_type, "below": names.get(s.parent_id), "inputs": s.inputs,
         "outputs": s.outputs, "signature": s.attributes.get("signature"),
         "status": s.status.status_code.value, "ns": s.end_time_ns - s.start_time_ns}
        for s in trace.data.spans
    ]
def traces(run):
    found = client.search_traces(
        locations=[experiment.experiment_id], filter_string=f"attributes.run_id = '{run}'"
    )
    return [
        {"spans": spans(t), "state": t.info.state.value, "tags": t.info.tags,
         "usage": t.info.token_usage}
        for t in found
    ]
runs = client.search_runs([experiment.experiment_id]) if experiment else []
print(json.dumps([
    {"id": r.info.run_id, "name": r.info.run_name, "status": r.info.status,
     "params": r.data.params, "metrics": r.data.metrics, "tags": r.data.tags,
     "traces": traces(r.info.run_id)}
    for r in runs
]))
"#;

/// The program that autolog and we are to see alike.
const PROGRAM: &str = r#"
import dspy

class QA(dspy.Module):
    def __init__(self):
        super().__init__()
        self.ask = dspy.ChainOfThought("question -> answer")

    def forward(self, question: str):
        return self.ask(question=question)
"#;

/// The same with an agent, whose tools do what those of the tests' server do.
const AGENT: &str = r#"
import dspy

def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b

def fail() -> str:
    """Fails."""
    raise RuntimeError("it is broken")

class Helper(dspy.Module):
    def __init__(self):
        super().__init__()
        self.guess = dspy.Predict("question -> answer")
        self.agent = dspy.ReAct("question -> answer", tools=[add, fail], max_iters=6)

    def forward(self, question: str):
        self.guess(question=question)
        return self.agent(question=question)
"#;

/// Runs programs under the real `mlflow.dspy.autolog`, and tells the spans that this makes.
const AUTOLOG: &str = r#"
import json, mlflow
SOURCE
SIGNATURE = "question -> answer"
mlflow.set_experiment("of autolog")
mlflow.dspy.autolog()
lm = dspy.LM("openai/stub", api_base="URL", api_key="x", cache=False)
shapes = []
with dspy.context(lm=lm):
    for program in PROGRAMS:
        program(question="?")
        mlflow.flush_trace_async_logging()
        trace = mlflow.get_trace(mlflow.get_last_active_trace_id())
        names = {s.span_id: s.name for s in trace.data.spans}
        shapes.append([
            [s.name, s.span_type, names.get(s.parent_id), s.attributes.get("signature")]
            for s in trace.data.spans
        ])
print(json.dumps(shapes))
"#;

const ASKED: &str = "
name: asked
version: 1.0.0
lm: {model: openai/stub}
cache: false
retries: {max: 0}
signatures:
  ask: {inputs: [question], outputs: [answer], module: chain_of_thought}
";

async fn site(store: Store, mlflow: &MlflowServer) -> Site {
    let site = store.site().await.with_python();
    let site = site.with("MLFLOW_TRACKING_URI", &mlflow.url());
    let site = site.with("MLFLOW_EXPERIMENT_NAME", "tested").with("MLFLOW_BATCH_RUNS_MAX", "2");
    site.write_program("asked", ASKED);
    site.write("programs/qap.py", PROGRAM);
    let file = "name: qap\nversion: 1.0.0\ncache: false\nlm: {model: openai/stub}\n\
                source: {type: local, path: qap.py, class_name: QA}\n";
    site.write_program("qap", file);
    site
}

async fn until_recorded(site: &Site, count: u64) -> Value {
    site.until("/stats", |it| {
        let told = &it["outbox"]["tracking"];
        told["sent"] == count && told["waiting"] == 0
    })
    .await
}

/// The run of an execution or a batch, by a tag.
fn of<'a>(runs: &'a Value, tag: &str, value: &str) -> &'a Value {
    let mut found = runs.as_array().unwrap().iter().filter(|it| it["tags"][tag] == value);
    let run = found.next().unwrap_or_else(|| panic!("{tag} {value} is in {runs:#}"));
    assert!(found.next().is_none(), "{value} is there twice");
    run
}

fn id(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

/// The shapes of the traces that autolog makes of some programs.
fn autolog(mlflow: &MlflowServer, site: &Site, source: &str, programs: &str) -> Value {
    let script = AUTOLOG.replace("SOURCE", source).replace("URL", &site.lm.url());
    mlflow.run(&script.replace("PROGRAMS", &format!("[{programs}]")))
}

/// The shape of a trace as autolog's is told.
fn shape(run: &Value) -> Value {
    let spans = run["traces"][0]["spans"].as_array().unwrap();
    spans.iter().map(|it| json!([it["name"], it["type"], it["below"], it["signature"]])).collect()
}

pub(crate) async fn executions_are_recorded_in_mlflow(store: Store) {
    let mlflow = MlflowServer::started().await;
    let site = site(store, &mlflow).await;
    let up = site.up().await;
    let ask = async |program: &str, more: Value| {
        let mut body = json!({ "program_id": program, "inputs": { "question": "Why?" } });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        site.submit(&body).await
    };
    let native = ask("asked", json!({ "metadata": { "team": "blue" } })).await;
    let python = ask("qap", json!({})).await;
    for path in [&native, &python] {
        site.succeeded(path).await;
    }
    site.lm.then(Reply::error(400));
    let failed = ask("asked", json!({})).await;
    assert_eq!(site.ended(&failed).await["status"], "failed");
    let stats = until_recorded(&site, 3).await;
    assert_eq!(stats["mlflow_tracking"], true);

    let runs = mlflow.run(READ);

    let run = of(&runs, "execution_id", id(&native));
    assert_eq!(run["status"], "FINISHED");
    let params = &run["params"];
    assert_eq!((&params["program_name"], &params["mode"]), (&json!("asked"), &json!("normal")));
    assert_eq!(
        (&params["input_keys"], &params["output_answer"]),
        (&json!("[\"question\"]"), &json!("a answer"))
    );
    assert_eq!(run["metrics"]["success"], 1.0);
    assert!(run["metrics"]["execution_time"].as_f64().unwrap() > 0.0);
    let tags = &run["tags"];
    assert_eq!((&tags["owner"], &tags["metadata.team"]), (&json!("alice"), &json!("blue")));
    let record = site.succeeded(&native).await;
    assert_eq!(record["metadata"]["mlflow_run_id"], run["id"]);
    assert_eq!(record["metadata"]["debug_trace"], Value::Null);
    let bad = of(&runs, "execution_id", id(&failed));
    assert_eq!((&bad["status"], &bad["metrics"]["success"]), (&json!("FAILED"), &json!(0.0)));
    assert_eq!(bad["tags"]["error_kind"], "lm_error");
    assert_eq!(bad["traces"][0]["state"], "ERROR");

    let trace = &run["traces"][0];
    assert_eq!((&trace["state"], run["traces"].as_array().unwrap().len()), (&json!("OK"), 1));
    assert_eq!(trace["tags"]["execution_id"], id(&native));
    assert_eq!(trace["usage"]["total_tokens"], 12);
    let root = &trace["spans"][0];
    assert_eq!(root["inputs"], json!({ "question": "Why?" }));
    assert_eq!(root["outputs"]["answer"], "a answer");
    let expected = autolog(&mlflow, &site, PROGRAM, "QA(), dspy.ChainOfThought(SIGNATURE)");
    assert_eq!(shape(of(&runs, "execution_id", id(&python))), expected[0]);
    assert_eq!(shape(run), expected[1]);
    site.check(up).await;
}

pub(crate) async fn agents_are_traced_as_autolog_does(store: Store) {
    let mlflow = MlflowServer::started().await;
    let site = site(store, &mlflow).await;
    let server = McpServer::in_folder(Path::new(&site.path(".")));
    let tools = format!("{{mcp: {{command: {}}}}}", server.command());
    site.write_program("agent", &tools::agent(&tools));
    site.write("programs/helper.py", AGENT);
    let file = "name: helper\nversion: 1.0.0\ncache: false\nlm: {model: openai/stub}\n\
                source: {type: local, path: helper.py, class_name: Helper}\n";
    site.write_program("helper", file);
    let up = site.up().await;
    let turns = || {
        tools::wants(&site, "add", &json!({ "a": 20, "b": 22 }));
        tools::wants(&site, "fail", &json!({}));
        tools::wants(&site, "finish", &json!({}));
        site.lm.then(Reply::Fitting);
    };
    let run = async |program: &str| {
        let body = json!({ "program_id": program, "inputs": { "question": "Why?" } });
        let path = site.submit(&body).await;
        site.succeeded(&path).await;
        path
    };

    turns();
    let native = run("agent").await;
    site.lm.then(Reply::Fitting);
    turns();
    let python = run("helper").await;
    until_recorded(&site, 2).await;

    let agent = "dspy.ReAct(SIGNATURE, tools=[add, fail])";
    turns();
    let of_agent = autolog(&mlflow, &site, AGENT, agent);
    site.lm.then(Reply::Fitting);
    turns();
    let of_helper = autolog(&mlflow, &site, AGENT, "Helper()");
    let runs = mlflow.run(READ);
    assert_eq!(shape(of(&runs, "execution_id", id(&native))), of_agent[0]);
    let run = of(&runs, "execution_id", id(&python));
    assert_eq!(shape(run), of_helper[0]);
    let spans = run["traces"][0]["spans"].as_array().unwrap();
    let tools = spans.iter().filter(|it| it["type"] == "TOOL");
    let told: Vec<_> = tools.map(|it| json!([it["inputs"], it["outputs"], it["status"]])).collect();
    let added = json!([{ "a": 20, "b": 22 }, 42, "OK"]);
    assert_eq!(told, [added, json!([{}, null, "ERROR"])]);
    site.check(up).await;
}

pub(crate) async fn batch_is_recorded_as_one_run_and_its_items(store: Store) {
    let mlflow = MlflowServer::started().await;
    let site = site(store, &mlflow).await;
    let up = site.up().await;
    let path = site.ask_many(5).await;
    site.ended(&path).await;
    until_recorded(&site, 1).await;

    let runs = mlflow.run(READ);

    let batch = of(&runs, "batch", id(&path));
    assert_eq!((&batch["status"], &batch["params"]["items"]), (&json!("FINISHED"), &json!("5")));
    let metrics = &batch["metrics"];
    assert_eq!((&metrics["items_ended"], &metrics["success"]), (&json!(5.0), &json!(1.0)));
    let nested: Vec<_> = runs.as_array().unwrap().iter().collect();
    let nested = nested.iter().filter(|it| it["tags"]["mlflow.parentRunId"] == batch["id"]);
    assert_eq!(nested.count(), 2);
    let item = of(&runs, "execution_id", &format!("{}-1", id(&path)));
    assert_eq!(item["traces"][0]["spans"][0]["name"], "Predict.forward");
    let record = site.succeeded(&format!("/execution/{}-1", id(&path))).await;
    assert_eq!(record["metadata"]["mlflow_run_id"], item["id"]);
    let table = mlflow.run(
        "import json, mlflow\nmlflow.set_experiment('tested')\n\
         print(mlflow.load_table('items.json').to_json(orient='records'))",
    );
    let table = table.as_array().unwrap();
    assert_eq!((table.len(), &table[4]["index"]), (5, &json!(4)), "{table:#?}");
    assert_eq!((&table[4]["status"], &table[4]["success"]), (&json!("succeeded"), &json!(true)));
    site.check(up).await;
}

pub(crate) async fn mlflow_may_be_away_and_nothing_is_lost(store: Store) {
    let mut mlflow = MlflowServer::stopped();
    let site = site(store, &mlflow).await;
    let mut up = site.up().await;
    let mut paths = vec![site.ask("before").await, site.ask("before too").await];
    for path in &paths {
        site.succeeded(path).await;
    }
    up.runner().until_says("Failed to initialize MLflow tracking", crate::site::SOON).await;

    mlflow.start().await;
    until_recorded(&site, 2).await;
    mlflow.stop();
    paths.push(site.ask("while it is away").await);
    site.succeeded(&paths[2]).await;
    mlflow.start().await;
    until_recorded(&site, 3).await;

    let runs = mlflow.run(READ);
    assert_eq!(runs.as_array().unwrap().len(), 3, "{runs:#}");
    for path in &paths {
        assert_eq!(of(&runs, "execution_id", id(path))["status"], "FINISHED");
    }
    let log = up.runner().log();
    assert!(log.matches("Failed to initialize MLflow tracking").count() <= 2, "{log}");
    site.check(up).await;
}

pub(crate) async fn experiment_that_is_deleted_meanwhile_is_restored(store: Store) {
    let mlflow = MlflowServer::started().await;
    let site = site(store, &mlflow).await;
    let up = site.up().await;
    let before = site.ask("before").await;
    until_recorded(&site, 1).await;

    mlflow.run(
        "import mlflow\nclient = mlflow.MlflowClient()\n\
         client.delete_experiment(client.get_experiment_by_name('tested').experiment_id)\nprint(1)",
    );
    let after = site.ask("after").await;
    until_recorded(&site, 2).await;

    let runs = mlflow.run(READ);
    for path in [&before, &after] {
        let run = of(&runs, "execution_id", id(path));
        assert_eq!(
            (&run["status"], &run["traces"][0]["state"]),
            (&json!("FINISHED"), &json!("OK"))
        );
    }
    site.check(up).await;
}

pub(crate) async fn runs_in_mlflow_outlive_a_killed_worker(store: Store) {
    let mut mlflow = MlflowServer::stopped();
    let site = site(store, &mlflow).await;
    let mut up = site.up().await;
    let mut paths = Vec::new();
    for n in 0..5 {
        paths.push(site.ask(&n.to_string()).await);
    }
    for path in &paths {
        site.succeeded(path).await;
    }

    up.crash_runner(&site).await;
    mlflow.start().await;
    until_recorded(&site, 5).await;

    let runs = mlflow.run(READ);
    for path in &paths {
        let run = of(&runs, "execution_id", id(path));
        assert_eq!(run["traces"][0]["state"], "OK", "{run:#}");
    }
    site.check(up).await;
}

pub(crate) async fn mlflow_that_wants_a_password_is_shown_one(store: Store) {
    let mlflow = MlflowServer::started_with_password().await;
    let stranger = site(store, &mlflow).await;
    let mut up = stranger.up().await;
    let path = stranger.ask("by nobody").await;
    stranger.succeeded(&path).await;
    up.runner().until_says("MLFLOW_TRACKING_USERNAME", crate::site::SOON).await;
    let site = site(store, &mlflow).await.with("MLFLOW_TRACKING_USERNAME", MLFLOW_USER);
    let site = site.with("MLFLOW_TRACKING_PASSWORD", MLFLOW_PASSWORD);
    let shown = site.up().await;

    let path = site.ask("by the user").await;
    site.succeeded(&path).await;
    until_recorded(&site, 1).await;

    let runs = mlflow.run(READ);
    assert_eq!(runs.as_array().unwrap().len(), 1, "{runs:#}");
    let run = of(&runs, "execution_id", id(&path));
    assert_eq!((&run["status"], &run["traces"][0]["state"]), (&json!("FINISHED"), &json!("OK")));
    site.check(shown).await;
    stranger.check(up).await;
}

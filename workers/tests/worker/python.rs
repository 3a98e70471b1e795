//! Python programs, by the real DSPy: what they may do, and how their processes come and go.

use std::time::{Duration, Instant};

use queue::State;
use serde_json::json;
use testkit::Reply;

use super::module::{HEAD, outputs, program, site, submit};

#[tokio::test]
async fn a_module_of_ones_own_is_run_with_its_model_asked_by_the_worker() {
    let site = site("return self.ask(question=question + '!')");
    let worker = site.start();

    let outputs = outputs(&site, json!({"question": "why"})).await;

    assert_eq!(json!(outputs), json!({"answer": "a answer"}));
    let asked = site.lm.requests()[0].body["messages"].to_string();
    assert!(asked.contains("why!"), "{asked}");
    worker.end().await;
}

#[tokio::test]
async fn an_async_module_runs_many_executions_at_once_in_one_process() {
    let text = "class P(dspy.Module):\n    async def aforward(self, question: str = '?'):\n        \
                await dspy.Predict('question -> answer').acall(question=question)\n        \
                return dspy.Prediction(pid=os.getpid())\n";
    let mut site = program(text, "");
    site.config.slots = 32;
    site.lm.usually(Reply::Fitting.at_gate());
    let worker = site.start();

    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(submit(&site, json!({})).await);
    }
    site.until_called(20).await;
    site.lm.open_gate();
    let mut pids = Vec::new();
    for id in ids {
        let report = site.until(id, State::Succeeded).await.report.unwrap();
        pids.push(report.outputs.unwrap()["pid"].clone());
    }

    pids.dedup();
    assert_eq!(pids.len(), 1, "{pids:?}");
    worker.end().await;
}

#[tokio::test]
async fn settings_that_an_execution_changes_are_its_own() {
    let site = site(
        "before = dspy.settings.lm.model\n\
         dspy.configure(lm=dspy.LM('openai/other'))\n\
         self.ask(question=question)\n\
         return {'before': before, 'after': dspy.settings.lm.model}",
    );
    let worker = site.start();

    for _ in 0..2 {
        let outputs = outputs(&site, json!({})).await;
        assert_eq!(json!(outputs), json!({"before": "openai/stub", "after": "openai/other"}));
    }

    assert_eq!(site.lm.requests()[1].body["model"], "other");
    worker.end().await;
}

#[tokio::test]
async fn a_process_that_grows_is_replaced_before_it_is_too_large() {
    let mut site = site(
        "P.kept = [*getattr(P, 'kept', []), os.urandom(20 << 20)]\nreturn {'pid': os.getpid()}",
    );
    site.python.memory_bytes_max = 400 << 20;
    site.python.processes = 1;
    let worker = site.start();
    let first = outputs(&site, json!({})).await;

    let changed = async || outputs(&site, json!({})).await != first;
    testkit::until_true("another process", Duration::from_secs(60), changed).await;
    worker.end().await;
}

#[tokio::test]
async fn a_process_is_replaced_after_so_many_executions() {
    let mut site = site("return {'pid': os.getpid()}");
    site.python.executions_max = 3;
    site.python.processes = 1;
    let worker = site.start();
    let first = outputs(&site, json!({})).await;

    let changed = async || outputs(&site, json!({})).await != first;
    testkit::until_true("another process", super::site::SOON, changed).await;
    worker.end().await;
}

#[tokio::test]
async fn a_program_that_starts_threads_at_import_is_loaded_by_each_process() {
    let text = "threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\n\n\n\
                class P(dspy.Module):\n    def forward(self):\n        return {'fine': True}\n";
    let site = program(text, "");
    let worker = site.start();

    assert_eq!(json!(outputs(&site, json!({})).await), json!({"fine": true}));
    worker.end().await;
}

#[tokio::test]
async fn a_program_that_keeps_state_runs_one_execution_at_a_time() {
    let mut site = site(
        "self.now = question\nself.ask(question=question)\nreturn {'kept': self.now == question}",
    );
    site.config.slots = 16;
    site.python.processes = 1;
    let worker = site.start();

    let mut ids = Vec::new();
    for n in 0..12 {
        ids.push(submit(&site, json!({"question": n.to_string()})).await);
    }

    for id in ids {
        let report = site.until(id, State::Succeeded).await.report.unwrap();
        assert_eq!(json!(report.outputs), json!({"kept": true}));
    }
    worker.end().await;
}

#[tokio::test]
async fn a_cancelled_execution_stops_although_its_model_hangs() {
    let site = site("return self.ask(question=question)");
    let worker = site.start();
    outputs(&site, json!({})).await;
    site.lm.then(Reply::Nothing);
    let id = submit(&site, json!({})).await;
    site.until_called(2).await;

    let began = Instant::now();
    site.queue.cancel(id).await.unwrap();

    site.until(id, State::Cancelled).await;
    outputs(&site, json!({})).await;
    assert!(began.elapsed() < Duration::from_secs(10));
    worker.end().await;
}

#[tokio::test]
async fn no_secret_of_the_worker_is_in_a_programs_environment() {
    let mut site = site("return dict(os.environ)");
    site.python.environment.push(("MINE".to_owned(), "shown".to_owned()));
    let worker = site.start();

    let seen = outputs(&site, json!({})).await;

    assert_eq!(seen["MINE"], "shown");
    // Clients want one, and this one is none.
    assert_eq!(seen["OPENAI_API_KEY"], "the gateway has it");
    let known = ["PATH", "HOME", "MINE", "LC_CTYPE", "OPENAI_API_KEY"];
    let ours = ["LITELLM_LOCAL_MODEL_COST_MAP", "MALLOC_ARENA_MAX"];
    let pythons = ["PYTHONFAULTHANDLER", "PYTHONUNBUFFERED"];
    let expected = [&known[..], &ours, &pythons].concat();
    let others: Vec<_> = seen.keys().filter(|it| !expected.contains(&it.as_str())).collect();
    assert!(others.is_empty(), "{others:?}");
    worker.end().await;
}

#[tokio::test]
async fn running_work_outlives_a_change_of_the_program() {
    let site = site("return {'version': 1, 'answer': self.ask(question=question).answer}");
    let worker = site.start();
    outputs(&site, json!({})).await;
    site.lm.then(Reply::Fitting.at_gate());
    let id = submit(&site, json!({})).await;
    site.until_called(2).await;

    let text = "class P(dspy.Module):\n    def forward(self):\n        return {'version': 2}\n";
    site.write_python("p", &format!("{HEAD}{text}"), "");
    let changed = async || outputs(&site, json!({})).await["version"] == 2;
    testkit::until_true("the new version", Duration::from_secs(60), changed).await;
    site.lm.open_gate();

    let report = site.until(id, State::Succeeded).await.report.unwrap();
    assert_eq!(report.outputs.unwrap()["version"], 1);
    worker.end().await;
}

#[tokio::test]
async fn processes_with_nothing_to_do_end_and_come_back() {
    let mut site = site("return {'pid': os.getpid()}");
    site.python.idle_max = Duration::from_millis(100);
    let worker = site.start();
    let first = outputs(&site, json!({})).await;

    let gone = || worker.metrics.python_processes.get() == 0;
    testkit::until_true("no process is left", super::site::SOON, async || gone()).await;
    let second = outputs(&site, json!({})).await;

    assert_ne!(first["pid"], second["pid"]);
    worker.end().await;
}

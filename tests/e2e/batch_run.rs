//! From a file of inputs to a file of outputs, with one command, whatever comes between.

use std::{fs, time::Duration};

use serde_json::{Value, json};
use testkit::Reply;

use crate::site::{SOON, Site, Store};

/// Writes so many questions.
fn questions(site: &Site, count: usize) {
    let line =
        |n: usize| json!({ "custom_id": format!("q{n}"), "inputs": { "question": n.to_string() } });
    let lines: String = (0..count).map(|n| line(n).to_string() + "\n").collect();
    site.write("in.jsonl", &lines);
}

/// The outcomes that are in a file, to its last whole line.
fn outcomes(site: &Site, name: &str) -> Vec<Value> {
    let text = fs::read_to_string(site.path(name)).unwrap_or_default();
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    whole.map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn assert_in_order(outcomes: &[Value], count: u64) {
    let indexes: Vec<u64> = outcomes.iter().map(|it| it["index"].as_u64().unwrap()).collect();
    assert_eq!(indexes, (0..count).collect::<Vec<u64>>());
}

const RUN: [&str; 7] = ["batch", "run", "in.jsonl", "--program", "qa", "-o", "out.jsonl"];

pub(crate) async fn file_becomes_a_file(store: Store) {
    let site = store.site().await;
    let up = site.up().await;
    questions(&site, 300);

    let (content, said) = site.run(&RUN).await;

    assert!(content, "{said}");
    let all = outcomes(&site, "out.jsonl");
    assert_in_order(&all, 300);
    assert!(all.iter().all(|it| it["status"] == "succeeded" && it["outputs"]["score"] == 42));
    assert_eq!(all[7]["custom_id"], "q7");
    assert!(said.contains("300 outcomes in out.jsonl") && said.contains("tokens"), "{said}");
    assert!(!fs::exists(site.path("out.jsonl.run")).unwrap(), "nothing is left to do");
    assert_eq!(site.lm.calls(), 300);
    site.check(up).await;
}

/// Without a server, the command brings its own.
pub(crate) async fn killed_run_goes_on(store: Store) {
    let site = store.site().await.with("DSPYX_URL", "").with("LEASE", "1s");
    site.lm.usually(Reply::Fitting.after(Duration::from_millis(20)));
    questions(&site, 400);

    for wanted in [50, 150] {
        let mut run = site.start(&RUN);
        let there = async || (outcomes(&site, "out.jsonl").len() >= wanted).then_some(());
        run.until("some outcomes are written", 2 * SOON, there).await;
        run.kill();
    }
    let (content, said) = site.run(&RUN).await;

    assert!(content, "{said}");
    let all = outcomes(&site, "out.jsonl");
    assert_in_order(&all, 400);
    assert!(all.iter().all(|it| it["status"] == "succeeded"));
    let calls = site.lm.calls();
    assert!(calls <= 400 + 2 * 8, "only what ran when it was killed runs twice: {calls}");
}

pub(crate) async fn interrupted_run_goes_on(store: Store) {
    let site = store.site().await.with("DSPYX_URL", "");
    site.lm.usually(Reply::Fitting.after(Duration::from_millis(20)));
    questions(&site, 300);
    let mut run = site.start(&RUN);
    let there = async || (!outcomes(&site, "out.jsonl").is_empty()).then_some(());
    run.until("the first outcomes are written", 2 * SOON, there).await;

    run.terminate();

    let status = run.end(SOON).await;
    assert!(!status.success() && run.log().contains("the same command goes on"), "{}", run.log());
    let (content, said) = site.run(&RUN).await;
    assert!(content, "{said}");
    assert_in_order(&outcomes(&site, "out.jsonl"), 300);
    assert_eq!(site.lm.calls(), 300, "what ran could end");
}

pub(crate) async fn what_failed_runs_again_by_the_same_command(store: Store) {
    let site = store.site().await;
    for _ in 0..3 {
        site.lm.then(Reply::error(400));
    }
    let up = site.up().await;
    questions(&site, 70);

    let (content, said) = site.run(&RUN).await;
    assert!(!content && said.contains("3 of 70 items did not succeed"), "{said}");
    assert!(said.contains("3 × lm_error"), "{said}");
    let failed: Vec<Value> = outcomes(&site, "out.jsonl");
    assert_eq!(failed.iter().filter(|it| it["error_kind"] == "lm_error").count(), 3);
    let (content, said) = site.run(&RUN).await;

    assert!(content && said.contains("3 items that did not succeed run again"), "{said}");
    let all = outcomes(&site, "out.jsonl");
    assert_in_order(&all, 70);
    assert!(all.iter().all(|it| it["status"] == "succeeded"));
    assert_eq!(site.lm.calls(), 73);
    site.check(up).await;
}

pub(crate) async fn restarted_server_is_waited_for(store: Store) {
    let site = store.site().await.with("LEASE", "1s");
    site.lm.usually(Reply::Fitting.after(Duration::from_millis(20)));
    let mut up = site.up().await;
    questions(&site, 300);
    let mut run = site.start(&RUN);
    let there = async || (outcomes(&site, "out.jsonl").len() >= 20).then_some(());
    run.until("some outcomes are written", 2 * SOON, there).await;

    up.crash_api(&site).await;

    assert!(run.end(2 * SOON).await.success(), "{}", run.log());
    assert_in_order(&outcomes(&site, "out.jsonl"), 300);
    site.check(up).await;
}

#[tokio::test]
async fn restarted_server_with_a_key_of_its_own_is_waited_for() {
    let site = Store::Sqlite.site().await.with("LEASE", "1s").with("SECRET_KEY", "");
    let folder = site.path("run");
    let site = site.with("XDG_RUNTIME_DIR", &folder);
    site.lm.usually(Reply::Fitting.after(Duration::from_millis(20)));
    let mut server = site.start(&["serve"]);
    site.until_healthy(&mut server).await;
    questions(&site, 300);
    let mut run = site.start(&RUN);
    let there = async || (outcomes(&site, "out.jsonl").len() >= 20).then_some(());
    run.until("some outcomes are written", 2 * SOON, there).await;

    server.kill();
    let mut again = site.start(&["serve"]);
    site.until_healthy(&mut again).await;

    assert!(run.end(2 * SOON).await.success(), "{}", run.log());
    assert_in_order(&outcomes(&site, "out.jsonl"), 300);
}

#[tokio::test]
async fn table_becomes_a_table() {
    let site = Store::Sqlite.site().await.with("DSPYX_URL", "");
    site.write("in.csv", "custom_id,question,times\na,one,1\nb,\"two, three\",\nc,four,many\n");
    let run = ["batch", "run", "in.csv", "--program", "qa", "-o"];

    let (content, said) = site.run(&[&run[..], &["out.csv"]].concat()).await;
    let (_, again) = site.run(&[&run[..], &["out.parquet"]].concat()).await;

    assert!(!content && said.contains("1 of 3 items did not succeed"), "{said}");
    let table = fs::read_to_string(site.path("out.csv")).unwrap();
    let rows: Vec<&str> = table.lines().collect();
    assert_eq!(rows[0], "index,custom_id,status,answer,score,error,error_kind");
    assert!(rows[1].starts_with("0,a,succeeded,") && rows[2].starts_with("1,b,succeeded,"));
    assert!(
        rows[3].starts_with("2,c,failed,,,") && rows[3].ends_with(",validation"),
        "{}",
        rows[3]
    );
    assert_eq!(site.lm.calls(), 4, "{again}");
    assert!(fs::read(site.path("out.parquet")).unwrap().starts_with(b"PAR1"), "{again}");
}

#[tokio::test]
async fn wrong_run_is_refused_in_words() {
    let site = Store::Sqlite.site().await.with("DSPYX_URL", "");
    questions(&site, 1);
    site.write("empty.jsonl", "\n\n");
    site.write("there.jsonl", "precious");
    for (args, why) in [
        (["none.jsonl", "qa", "out.jsonl"], "cannot read none.jsonl"),
        (["in.xlsx", "qa", "out.jsonl"], "in.xlsx is none of the files that can be read"),
        (["in.jsonl", "qa", "out.xml"], "out.xml is none of the files that can be written"),
        (["in.jsonl", "qa", "there.jsonl"], "there.jsonl is there, and not of a run"),
        (["in.jsonl", "none", "out.jsonl"], "Model none not found in registry"),
        (["empty.jsonl", "qa", "out.jsonl"], "there are no inputs in empty.jsonl"),
    ] {
        let [inputs, program, output] = args;
        let (content, said) =
            site.run(&["batch", "run", inputs, "--program", program, "-o", output]).await;
        assert!(!content && said.contains(why), "{args:?}: {said}");
    }
    assert_eq!(fs::read_to_string(site.path("there.jsonl")).unwrap(), "precious");
    assert!(!fs::exists(site.path("out.jsonl")).unwrap(), "what was refused leaves nothing");
    let (content, said) = site.run(&RUN).await;
    assert!(content, "the corrected command runs: {said}");
    assert_eq!(site.lm.calls(), 1);
}

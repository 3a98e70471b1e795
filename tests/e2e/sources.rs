//! Programs of the Hugging Face hub and of GitHub, which servers of the tests stand in for.

use std::process::Command;

use serde_json::{Value, json};
use testkit::{Page, StubWeb, python};

use crate::site::{SOON, Site, Store};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const NEXT: &str = "89abcdef0123456789abcdef0123456789abcdef";

/// A program that says which it is, with a helper beside it.
fn code(word: &str) -> String {
    const OWN: &str = "import dspy
from helper import loud


class Own(dspy.Module):
    def __init__(self):
        super().__init__()
        self.ask = dspy.Predict('question -> answer')

    def forward(self, question: str):
        answer = self.ask(question=question).answer
        return {'word': 'WORD', 'answer': loud(answer)}
";
    OWN.replace("WORD", word)
}

const HELPER: &str = "def loud(text):\n    return text.upper()\n";

/// A site that asks these servers.
async fn site(store: Store, web: &StubWeb) -> Site {
    let site = store.site().await.with_python();
    site.with("HF_ENDPOINT", &web.url())
        .with("GITHUB_API_URL", &format!("{}/api/v3", web.url()))
        .with("HF_TOKEN", "hf_secret")
        .with("GITHUB_TOKEN", "ghp_secret")
        .with("SOURCES_REFRESH", "1s")
        .with("MAX_RETRIES", "0")
        .with("PYTHON_ALLOW", "huggingface:org/*,github:org/programs")
}

fn program(site: &Site, name: &str, source: &str) {
    let text = format!("name: {name}\nlm: openai/stub\ncache: false\nsource: {source}\n");
    site.write_program(name, &text);
}

async fn run(site: &Site, name: &str) -> Value {
    let body = json!({ "program_id": name, "inputs": { "question": "?" } });
    site.ended(&site.submit(&body).await).await
}

async fn outputs(site: &Site, name: &str) -> Value {
    let record = run(site, name).await;
    assert_eq!(record["status"], "succeeded", "{record:#}");
    record["outputs"].clone()
}

async fn failure(site: &Site, name: &str) -> String {
    let record = run(site, name).await;
    assert_eq!(record["status"], "failed", "{record:#}");
    record["error"].to_string()
}

/// Puts a repository of the hub up, whose branch `main` is at a commit.
fn put_hub(web: &StubWeb, repository: &str, commit: &str, files: &[(&str, &str)]) {
    let siblings = files.iter().map(|(name, it)| json!({ "rfilename": name, "size": it.len() }));
    let info = json!({ "sha": commit, "siblings": siblings.collect::<Vec<_>>() }).to_string();
    for (revision, query) in [("main", ""), (commit, "?blobs=true")] {
        let path = format!("/api/models/{repository}/revision/{revision}{query}");
        web.put(&path, Page::new(info.clone()));
    }
    for (name, text) in files {
        web.put(&format!("/{repository}/resolve/{commit}/{name}"), Page::new(*text));
    }
}

/// An archive as GitHub makes them, with such files; made by Python's own library.
fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let listed = folder.path().join("files.json");
    std::fs::write(&listed, json!(files).to_string()).unwrap();
    let script = "import io, json, sys, tarfile\n\
                  out = tarfile.open(fileobj=sys.stdout.buffer, mode='w|gz')\n\
                  for name, text in json.load(open(sys.argv[1])):\n    \
                  it = tarfile.TarInfo(name)\n    it.size = len(text.encode())\n    \
                  out.addfile(it, io.BytesIO(text.encode()))\n\
                  out.close()\n";
    let made = Command::new(python()).args(["-c", script]).arg(&listed).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    made.stdout
}

/// Puts a commit of a repository of GitHub up, whose archive is at another host.
fn put_github(web: &StubWeb, other: &StubWeb, revision: &str, commit: &str, archive: Vec<u8>) {
    let base = "/api/v3/repos/org/programs";
    web.put(&format!("{base}/commits/{revision}"), Page::new(commit));
    let at = format!("/org/programs/legacy.tar.gz/{commit}");
    web.put(&format!("{base}/tarball/{commit}"), Page::elsewhere(&format!("{}{at}", other.url())));
    other.put(&at, Page::new(archive));
}

pub(crate) async fn hub_repository_is_run_and_followed(store: Store) {
    let (web, cdn) = (StubWeb::new(), StubWeb::new());
    let (first, second) = (code("first"), code("second"));
    put_hub(
        &web,
        "org/qa",
        COMMIT,
        &[("app/own.py", &first), ("app/helper.py", HELPER), ("weights.safetensors", "not for us")],
    );
    // Large files are elsewhere, and get no token.
    cdn.put("/blob", Page::new(first.clone()));
    let large = format!("/org/qa/resolve/{COMMIT}/app/own.py");
    web.put(&large, Page::elsewhere(&format!("{}/blob", cdn.url())));
    let site = site(store, &web).await;
    program(&site, "qa", "{type: huggingface, repo_id: org/qa, filename: app/own.py}");
    let mut up = site.up().await;

    assert_eq!(outputs(&site, "qa").await, json!({ "word": "first", "answer": "A ANSWER" }));
    let is_first = |it: &Value| it["revision"] == COMMIT;
    let known = site.until("/programs/qa", is_first).await;
    assert_eq!(known["source"], "huggingface:org/qa");

    put_hub(&web, "org/qa", NEXT, &[("app/own.py", &second), ("app/helper.py", HELPER)]);
    site.until("/programs/qa", |it| it["revision"] == NEXT).await;
    assert_eq!(outputs(&site, "qa").await["word"], "second");

    assert!(web.visits().iter().all(|it| it.authorization == "Bearer hf_secret"));
    assert!(cdn.visits().iter().all(|it| it.authorization.is_empty()) && cdn.visits().len() == 1);
    assert!(!web.paths().iter().any(|it| it.contains("weights")));
    assert!(!up.runner().log().contains("hf_secret"));
    site.check(up).await;
}

pub(crate) async fn github_repository_is_run_at_a_commit(store: Store) {
    let (web, codeload) = (StubWeb::new(), StubWeb::new());
    let own = code("tagged");
    let state = r#"{"ask": {"traces": [], "train": [], "demos": [], "signature": {"instructions":
        "Be compiled.", "fields": [{"prefix": "Question:", "description": "${question}"},
        {"prefix": "Answer:", "description": "${answer}"}]}, "lm": null},
        "metadata": {"dependency_versions": {}}}"#;
    let files = [
        ("org-programs-0123456/src/own.py", own.as_str()),
        ("org-programs-0123456/src/helper.py", HELPER),
        ("org-programs-0123456/compiled.json", state),
    ];
    put_github(&web, &codeload, "v1.0", COMMIT, archive(&files));
    let site = site(store, &web).await;
    let source = "{type: github, repo: org/programs, path: src/own.py, class_name: Own, \
                  state: compiled.json, revision: ";
    program(&site, "tag", &format!("{source}v1.0}}"));
    program(&site, "commit", &format!("{source}{COMMIT}}}"));
    web.put(&format!("/api/v3/repos/org/programs/commits/{COMMIT}"), Page::new(COMMIT));
    let mut up = site.up().await;

    for name in ["tag", "commit"] {
        assert_eq!(outputs(&site, name).await["word"], "tagged");
        let asked = site.lm.requests().last().unwrap().body["messages"].to_string();
        assert!(asked.contains("Be compiled."), "{asked}");
    }
    let known = site.until("/programs/tag", |it| it["revision"] == COMMIT).await;
    assert_eq!(known["source"], "github:org/programs@v1.0");

    let to_github = web.visits();
    assert!(to_github.iter().all(|it| it.authorization == "Bearer ghp_secret"), "{to_github:?}");
    assert!(codeload.visits().iter().all(|it| it.authorization.is_empty()));
    let fetched = codeload.visits().len();
    up.crash_runner(&site).await;
    assert_eq!(outputs(&site, "commit").await["word"], "tagged");
    assert_eq!(codeload.visits().len(), fetched, "what is here is not fetched again");
    assert!(!up.runner().log().contains("ghp_secret"));
    site.check(up).await;
}

/// Puts up what goes wrong in each way, and gives an archive that does not.
fn put_bad(web: &StubWeb, codeload: &StubWeb) -> Vec<u8> {
    let own = code("x");
    let good = archive(&[("top/own.py", &own), ("top/helper.py", HELPER)]);
    let evil = archive(&[("top/own.py", &own), ("top/../../../evil.py", "evil")]);
    let large = archive(&[("top/own.py", &"#".repeat(200_000))]);
    put_github(web, codeload, "evil", &commit("a"), evil);
    put_github(web, codeload, "large", &commit("b"), large);
    put_github(web, codeload, "cut", &commit("c"), Vec::new());
    put_github(web, codeload, "good", &commit("d"), good.clone());
    let cut = Page::new(good.clone()).cut_after(good.len() / 2);
    codeload.put(&format!("/org/programs/legacy.tar.gz/{}", commit("c")), cut);
    let refused = Page::status(401, r#"{"message": "Bad credentials ghp_secret"}"#);
    web.put("/api/v3/repos/org/programs/commits/private", refused);
    let limited = Page::status(403, "{}").with("x-ratelimit-remaining", "0");
    web.put("/api/v3/repos/org/programs/commits/limited", limited);
    put_hub(web, "org/short", COMMIT, &[("own.py", &own)]);
    web.put(&format!("/org/short/resolve/{COMMIT}/own.py"), Page::new("import"));
    good
}

fn commit(digit: &str) -> String {
    digit.repeat(40)
}

pub(crate) async fn what_cannot_be_fetched_is_said(store: Store) {
    let (web, codeload) = (StubWeb::new(), StubWeb::new());
    let good = put_bad(&web, &codeload);
    let site = site(store, &web).await.with("SOURCE_BYTES_MAX", "100000");
    let cases = [
        ("evil", "which leads out of it"),
        ("large", "it is larger than 100000 bytes; name a smaller `path` in it, or raise"),
        ("cut", "was cut off"),
        ("private", "GitHub at http://127.0.0.1"),
        ("limited", "answers no more requests for now; set GITHUB_TOKEN"),
        ("gone", "GitHub has no org/programs with a revision `gone`: Not Found"),
    ];
    for (name, _) in cases {
        let source =
            format!("{{type: github, repo: org/programs, path: own.py, revision: {name}}}");
        program(&site, name, &source);
    }
    let hub = "{type: huggingface, repo_id: org/";
    program(&site, "short", &format!("{hub}short, filename: own.py}}"));
    program(&site, "missing", &format!("{hub}short, path: other.py}}"));
    program(&site, "unset", &format!("{hub}short, path: own.py, token_env: MY_HF_TOKEN}}"));
    program(&site, "nobody", "{type: github, repo: org/programs, path: none.py, revision: good}");
    program(&site, "forbidden", "{type: github, repo: stranger/programs}");
    let mut up = site.up().await;

    let of_hub = [
        ("short", "Hugging Face sent 6 of the"),
        ("missing", "org/short has no `other.py`"),
        ("unset", "the variable MY_HF_TOKEN is not set"),
        ("nobody", "org/programs has no `none.py`"),
    ];
    for (name, words) in cases.into_iter().chain(of_hub) {
        let why = failure(&site, name).await;
        assert!(why.contains(words), "{name}: {why}");
        assert!(!why.contains("_secret"), "{name}: {why}");
    }
    let body = json!({ "program_id": "forbidden", "inputs": {} });
    let answer = site.http.post("/execute", &body).await.unwrap();
    assert!(answer.body.contains("`github:stranger/programs` in PYTHON_ALLOW"), "{}", answer.body);
    assert!(!web.paths().iter().any(|it| it.contains("stranger")));
    let log = up.runner().log();
    assert!(!log.contains("ghp_secret") && !log.contains("hf_secret"));
    // What was cut off is whole the next time.
    codeload.put(&format!("/org/programs/legacy.tar.gz/{}", commit("c")), Page::new(good));
    assert_eq!(outputs(&site, "cut").await["word"], "x");
    site.check(up).await;
}

pub(crate) async fn two_workers_share_what_is_fetched() {
    let (web, codeload) = (StubWeb::new(), StubWeb::new());
    let own = code("shared");
    let bytes = archive(&[("top/own.py", &own), ("top/helper.py", HELPER)]);
    put_github(&web, &codeload, "HEAD", COMMIT, bytes);
    let site = site(Store::Redis, &web).await;
    program(&site, "own", "{type: github, repo: org/programs, path: own.py}");
    let up = site.up().await;
    let mut other = site.worker().await;
    site.until_workers(2).await;
    site.until("/programs/own", |it| it["revision"] == COMMIT).await;
    other.until_says("fetched a program", SOON).await;

    let inputs: Vec<Value> = (0..40).map(|it| json!({ "question": it.to_string() })).collect();
    let body = json!({ "program_id": "own", "inputs_list": inputs });
    let answer = site.http.post("/execute/batch", &body).await.unwrap();
    let path = format!("/batch/{}", answer.json()["batch_id"].as_str().unwrap());
    let batch = site.ended(&path).await;

    assert_eq!(batch["counts"]["succeeded"], json!(40), "{batch:#}");
    let kept = std::fs::read_dir(site.path("sources/kept")).unwrap().count();
    let coming = std::fs::read_dir(site.path("sources/coming")).unwrap().count();
    assert_eq!((kept, coming), (1, 0));
    other.terminate();
    assert!(other.end(SOON).await.success());
    site.check(up).await;
}

//! A place of its own for a story: a folder, a store, a language model, and the program's processes
//! beside them.

use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{Http, Process, RedisServer, Reply, SmallDisk, StubLm, free_port, until};

/// What happens soon, happens within this, also on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(30);
const KEY: &str = "a key of at least thirty-two bytes, for tests only";
const BASE: &str = "/api/v1/dspy";
const PROGRAM: &str = env!("CARGO_BIN_EXE_dspyx");

/// Answers by the stub, and keeps nothing for others.
const QA: &str = "
name: qa
version: 1.0.0
lm: {model: openai/stub}
timeout: 60
retries: {max: 2, backoff: {initial: 0.1, factor: 2, max: 1, jitter: none}}
cache: false
signatures:
  answer:
    inputs: {question: str, times: {type: int, default: 1}}
    outputs: {answer: str, score: int}
";

/// The same, but for equal questions.
const CACHED: &str = "
name: cached
version: 1.0.0
lm: {model: openai/stub}
signatures:
  answer: {inputs: [question], outputs: [answer]}
";

/// As little work as can be.
const ECHO: &str = "
name: echo
version: 1.0.0
lm: {model: dummy/echo}
cache: false
signatures:
  echo: {inputs: [text], outputs: [reply]}
";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Store {
    Sqlite,
    Redis,
}

/// A site whose processes are not started yet.
pub(crate) struct Site {
    pub(crate) lm: StubLm,
    /// With alice's token for everything but other people's things.
    pub(crate) http: Http,
    pub(crate) redis: Option<RedisServer>,
    /// Where its file lies, if that is not the disk of all.
    pub(crate) disk: Option<SmallDisk>,
    env: Vec<(String, String)>,
    folder: TempDir,
}

/// The processes of a site: one that does all, or an API and a worker.
pub(crate) struct Up {
    pub(crate) api: Process,
    pub(crate) worker: Option<Process>,
}

impl Store {
    /// A site on this store. A Redis is one that keeps what it is told.
    pub(crate) async fn site(self) -> Site {
        let redis = (self == Store::Redis).then(RedisServer::with_aof);
        let url = redis.as_ref().map(RedisServer::url);
        Site { redis, ..Site::at(url).await }
    }
}

impl Site {
    /// A site on the Redis at a URL, or on a file.
    pub(crate) async fn at(redis_url: Option<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let programs = folder.path().join("programs");
        std::fs::create_dir(&programs).unwrap();
        for (name, text) in [("qa", QA), ("cached", CACHED), ("echo", ECHO)] {
            std::fs::write(programs.join(name).with_extension("yaml"), text).unwrap();
        }
        let (lm, port) = (StubLm::new(Reply::Fitting), free_port());
        let store = match redis_url {
            Some(url) => ("REDIS_URL", url),
            None => ("DATABASE_PATH", folder.path().join("queue.db").display().to_string()),
        };
        let env = [
            store,
            ("API_PORT", port.to_string()),
            ("DSPYX_URL", format!("http://127.0.0.1:{port}")),
            ("SECRET_KEY", KEY.to_owned()),
            ("PROGRAMS_DIR", programs.display().to_string()),
            ("SOURCES_DIR", folder.path().join("sources").display().to_string()),
            ("MAX_WORKERS", "8".to_owned()),
            ("LM_API_BASE", lm.url()),
            ("LM_API_KEY", "of-the-stub".to_owned()),
            ("LM_RETRIES", "0".to_owned()),
            ("SHUTDOWN_TIMEOUT", "10s".to_owned()),
        ];
        let env = env.map(|(name, value)| (name.to_owned(), value)).to_vec();
        let mut site =
            Self { lm, http: Http::new(port, BASE), redis: None, disk: None, env, folder };
        let token = site.token(&["--subject", "alice", "--scope", "execute,read,programs"]).await;
        site.http = site.http.with_token(&token);
        site
    }

    /// The same with another value of a setting.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.env.retain(|it| it.0 != name);
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with its file on a disk of so many megabytes. None where there can be none.
    pub(crate) async fn on_small_disk(self, megabytes: usize) -> Option<Self> {
        let folder = self.folder.path().join("disk");
        std::fs::create_dir(&folder).unwrap();
        let disk = Some(SmallDisk::over(&folder, megabytes).await?);
        let file = folder.join("queue.db").display().to_string();
        Some(Self { disk, ..self.with("DATABASE_PATH", &file) })
    }

    /// The same with the real DSPy for Python programs.
    #[must_use]
    pub(crate) fn with_python(self) -> Self {
        let python = testkit::python().display().to_string();
        self.with("DSPYX_PYTHON", &python)
    }

    /// Writes a file of the site's folder.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Starts a command of the program.
    pub(crate) fn start(&self, args: &[&str]) -> Process {
        let folder = self.folder.path();
        let Some(disk) = &self.disk else {
            return Process::start(PROGRAM, args, &self.env, folder);
        };
        let entered = disk.enter(PROGRAM);
        let words: Vec<&str> = entered.iter().map(String::as_str).chain(args.to_vec()).collect();
        Process::start(words[0], &words[1..], &self.env, folder)
    }

    /// Runs a command to its end, and gives whether it was content, and what it printed.
    pub(crate) async fn run(&self, args: &[&str]) -> (bool, String) {
        let mut process = self.start(args);
        let status = process.end(SOON).await;
        (status.success(), process.out() + &process.log())
    }

    /// Puts a program into the operator's folder.
    pub(crate) fn write_program(&self, name: &str, text: &str) {
        let path = self.folder.path().join("programs").join(name).with_extension("yaml");
        std::fs::write(path, text).unwrap();
    }

    /// The path of a file in the site's folder.
    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// A token.
    pub(crate) async fn token(&self, args: &[&str]) -> String {
        let (made, text) = self.run(&[&["token", "create"], args].concat()).await;
        assert!(made, "{text}");
        text.trim().to_owned()
    }

    /// A client for somebody else.
    pub(crate) async fn client(&self, subject: &str, scope: &str) -> Http {
        let token = self.token(&["--subject", subject, "--scope", scope]).await;
        self.http.with_token(&token)
    }

    /// Starts what the store asks for, and waits until it works.
    pub(crate) async fn up(&self) -> Up {
        let shared = self.env.iter().any(|it| it.0 == "REDIS_URL");
        let mut up = Up {
            api: self.start(&[if shared { "api" } else { "serve" }]),
            worker: shared.then(|| self.start(&["worker"])),
        };
        self.until_healthy(&mut up.api).await;
        self.until_workers(1).await;
        up
    }

    /// Starts another worker, and waits until it works.
    pub(crate) async fn worker(&self) -> Process {
        let mut worker = self.start(&["worker"]);
        worker.until_says("working with", SOON).await;
        worker
    }

    pub(crate) async fn until_healthy(&self, process: &mut Process) {
        let look = async || self.get("/health/ready").await.filter(|it| it.0 == 200);
        process.until("it is ready", SOON, look).await;
    }

    /// Waits until so many workers are alive.
    pub(crate) async fn until_workers(&self, count: usize) {
        self.until("/stats", |it| it["workers"].as_array().is_some_and(|all| all.len() == count))
            .await;
    }

    /// Gets a path; none while nobody answers.
    async fn get(&self, path: &str) -> Option<(u16, Value)> {
        let answer = self.http.get(path).await.ok()?;
        Some((answer.status, serde_json::from_str(&answer.body).unwrap_or(Value::Null)))
    }

    /// Asks until the answer is as wished.
    pub(crate) async fn until(&self, path: &str, wished: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let begun = std::time::Instant::now();
        while begun.elapsed() < 2 * SOON {
            if let Some((status, answer)) = self.get(path).await {
                if status == 200 && wished(&answer) {
                    return answer;
                }
                last = answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{path} is {last:#}");
    }

    /// Asks the program `qa`, and gives the execution's path.
    pub(crate) async fn ask(&self, question: &str) -> String {
        self.submit(&json!({ "program_id": "qa", "inputs": { "question": question } })).await
    }

    /// Submits what must be accepted, and gives the execution's path.
    pub(crate) async fn submit(&self, body: &Value) -> String {
        let answer = self.http.post("/execute", body).await.unwrap();
        assert_eq!(answer.status, 202, "{}", answer.body);
        format!("/execution/{}", answer.json()["execution_id"].as_str().unwrap())
    }

    /// Submits so many questions as a batch, and gives its path.
    pub(crate) async fn ask_many(&self, count: usize) -> String {
        let inputs: Vec<Value> = (0..count).map(|n| json!({ "question": n.to_string() })).collect();
        let body = json!({ "program_id": "qa", "inputs_list": inputs });
        let answer = self.http.post("/execute/batch", &body).await.unwrap();
        assert_eq!(answer.status, 202, "{}", answer.body);
        format!("/batch/{}", answer.json()["batch_id"].as_str().unwrap())
    }

    /// Waits until an execution or a batch has ended, and gives its record.
    pub(crate) async fn ended(&self, path: &str) -> Value {
        const OPEN: [&str; 7] =
            ["scheduled", "queued", "running", "uploading", "paused", "in_progress", "cancelling"];
        self.until(path, |it| it["status"].as_str().is_some_and(|state| !OPEN.contains(&state)))
            .await
    }

    /// Waits until an execution has succeeded. Panics with it if it ends otherwise.
    pub(crate) async fn succeeded(&self, path: &str) -> Value {
        let record = self.ended(path).await;
        assert_eq!(record["status"], "succeeded", "{record:#}");
        record
    }

    /// Waits until so many requests have come to the model.
    pub(crate) async fn until_calls(&self, count: usize) {
        let what = format!("{count} calls of the model");
        until(&what, SOON, async || (self.lm.calls() >= count).then_some(())).await;
    }

    /// How many executions ended, by the statistics: in all, and well.
    pub(crate) async fn totals(&self) -> (u64, u64) {
        let stats = self.until("/stats", |_| true).await;
        let count = |name: &str| stats["statistics"][name].as_u64().unwrap();
        (count("total_executions"), count("successful_executions"))
    }

    /// Everything ends as it is asked to, and every invariant was kept.
    pub(crate) async fn check(&self, mut up: Up) {
        up.stop().await;
        let (content, found) = self.run(&["doctor", "--json"]).await;
        assert!(content && found.contains("every invariant is kept"), "{found}");
    }
}

impl Up {
    /// The process that runs executions.
    pub(crate) fn runner(&mut self) -> &mut Process {
        self.worker.as_mut().unwrap_or(&mut self.api)
    }

    /// Kills the process that runs executions, and starts it again.
    pub(crate) async fn crash_runner(&mut self, site: &Site) {
        self.runner().kill();
        if let Some(worker) = &mut self.worker {
            *worker = site.worker().await;
        } else {
            self.api = site.start(&["serve"]);
            site.until_healthy(&mut self.api).await;
        }
    }

    /// Kills the process that answers requests, and starts it again.
    pub(crate) async fn crash_api(&mut self, site: &Site) {
        self.api.kill();
        self.api = site.start(&[if self.worker.is_some() { "api" } else { "serve" }]);
        site.until_healthy(&mut self.api).await;
    }

    /// Asks every process to end; each must do so, and be content.
    pub(crate) async fn stop(&mut self) {
        for process in self.worker.iter_mut().chain([&mut self.api]) {
            if process.ended().is_none() {
                process.terminate();
            }
            let status = process.end(SOON).await;
            assert!(status.success(), "{status}\n{}", process.log());
        }
    }
}

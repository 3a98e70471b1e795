//! One real server of MLflow on loopback, with SQLite behind it, and models that are logged there.

use std::{path::Path, process::Command, time::Duration};

use serde_json::Value;
use tempfile::TempDir;

use crate::{Http, free_port, python, server_child::ServerChild, wait::until_blocking};

/// How long it may take to start: it makes its database first.
const START_MAX: Duration = Duration::from_secs(120);
/// How long it may take to end.
const END_MAX: Duration = Duration::from_secs(20);

/// What the server and those who log to it are told by their environment.
const QUIET: [(&str, &str); 4] = [
    ("LITELLM_LOCAL_MODEL_COST_MAP", "True"),
    ("MLFLOW_DISABLE_TELEMETRY", "true"),
    ("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false"),
    ("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false"),
];

/// A real server of MLflow with a folder of its own, gone when dropped.
#[derive(Debug)]
pub struct MlflowServer {
    child: Option<ServerChild>,
    port: u16,
    folder: TempDir,
}

impl MlflowServer {
    /// The address of one that is not started yet.
    pub fn stopped() -> Self {
        Self { child: None, port: free_port(), folder: tempfile::tempdir().expect("a folder") }
    }

    /// Starts one, and waits until it answers.
    pub async fn started() -> Self {
        let mut server = Self::stopped();
        server.start().await;
        server
    }

    /// Starts it, and waits until it answers.
    pub async fn start(&mut self) {
        let folder = self.folder.path();
        let args = [
            "-m",
            "mlflow",
            "server",
            "--host",
            "127.0.0.1",
            "--port",
            &self.port.to_string(),
            "--workers",
            "1",
            "--backend-store-uri",
            &format!("sqlite:///{}", folder.join("mlflow.db").display()),
            "--serve-artifacts",
            "--artifacts-destination",
            &folder.join("artifacts").display().to_string(),
        ];
        let args = args.map(str::to_owned);
        let program = python().display().to_string();
        let child = ServerChild::start_politely(folder, "mlflow.log", &program, &args, &QUIET);
        self.child = Some(child);
        let http = Http::new(self.port, "");
        let alive = crate::until("MLflow answers", START_MAX, async || {
            if !self.child.as_mut().is_some_and(ServerChild::is_alive) {
                return Some(false);
            }
            http.get("/health").await.is_ok_and(|it| it.status == 200).then_some(true)
        });
        assert!(alive.await, "MLflow does not start:\n{}", self.log());
    }

    /// Ends it.
    pub fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        // Asked, it ends the processes that it has started.
        if child.is_alive() {
            child.signal("TERM");
            until_blocking("MLflow ends", END_MAX, || !child.is_alive());
        }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Runs a script that logs models there, with the real packages; what it prints last, as JSON.
    pub fn run(&self, script: &str) -> Value {
        let made = Command::new(python())
            .args(["-W", "ignore", "-c", script])
            .env("MLFLOW_TRACKING_URI", self.url())
            .envs(QUIET)
            .current_dir(self.folder.path())
            .output()
            .expect("a Python");
        let (out, err) =
            (String::from_utf8_lossy(&made.stdout), String::from_utf8_lossy(&made.stderr));
        assert!(made.status.success(), "{out}\n{err}");
        let last = out.lines().last().unwrap_or_default();
        serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {out}\n{err}"))
    }

    /// Its folder: the scripts run there, and everything is kept there.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("mlflow.log")).unwrap_or_default()
    }
}

impl Drop for MlflowServer {
    fn drop(&mut self) {
        self.stop();
    }
}

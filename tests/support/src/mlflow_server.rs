//! One real server of MLflow on loopback, with SQLite behind it, and models that are logged there.

use std::{
    fs::File,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{Http, free_port, python};

/// How long it may take to start: it makes its database first.
const START_MAX: Duration = Duration::from_secs(120);

/// The folder of a bucket of `S3Server` that it keeps artifacts in.
const BUCKET: &str = "s3://payloads/mlflow";

/// What the server and those who log to it are told by their environment.
const QUIET: [(&str, &str); 4] = [
    ("LITELLM_LOCAL_MODEL_COST_MAP", "True"),
    ("MLFLOW_DISABLE_TELEMETRY", "true"),
    ("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false"),
    ("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false"),
];

/// The user that a server with passwords begins with.
pub const MLFLOW_USER: &str = "admin";
/// What this user shows.
pub const MLFLOW_PASSWORD: &str = "a long password of tests";

/// Where a server keeps artifacts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Artifacts {
    /// In its folder, and hands them out.
    Folder,
    /// In a bucket at this port, and hands them out.
    BehindServer(u16),
    /// In a bucket at this port, where everybody must look themselves.
    InBucket(u16),
}

impl Artifacts {
    /// What whoever looks into the bucket is told by the environment.
    fn environment(self) -> Vec<(&'static str, String)> {
        let port = match self {
            Self::Folder => return Vec::new(),
            Self::BehindServer(port) | Self::InBucket(port) => port,
        };
        vec![
            ("MLFLOW_S3_ENDPOINT_URL", format!("http://127.0.0.1:{port}")),
            ("AWS_ACCESS_KEY_ID", "a".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "of no meaning to this server".to_owned()),
            ("AWS_DEFAULT_REGION", "us-east-1".to_owned()),
        ]
    }
}

/// A real server of MLflow with a folder of its own, gone when dropped.
#[derive(Debug)]
pub struct MlflowServer {
    child: Option<Child>,
    port: u16,
    folder: TempDir,
    wants_password: bool,
    artifacts: Artifacts,
}

impl MlflowServer {
    /// The address of one that is not started yet.
    pub fn stopped() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (port, artifacts) = (free_port(), Artifacts::Folder);
        Self { child: None, port, folder, wants_password: false, artifacts }
    }

    /// Starts one that keeps artifacts there.
    pub async fn started_keeping(artifacts: Artifacts) -> Self {
        let mut server = Self::stopped();
        server.artifacts = artifacts;
        server.start().await;
        server
    }

    /// Starts one that lets nobody in without a password.
    pub async fn started_with_password() -> Self {
        let mut server = Self::stopped();
        server.wants_password = true;
        server.start().await;
        server
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
        let log = File::create(folder.join("mlflow.log")).expect("a log file");
        // It ends its own processes when it is asked to, so it is asked if this one dies.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "TERM"])
            .arg(python())
            .args(["-m", "mlflow", "server", "--host", "127.0.0.1", "--workers", "1"])
            .args(["--port", &self.port.to_string()])
            .args(["--backend-store-uri", "sqlite:///mlflow.db"])
            .args(match self.artifacts {
                Artifacts::Folder => ["--artifacts-destination", "artifacts"].as_slice(),
                Artifacts::BehindServer(_) => &["--artifacts-destination", BUCKET],
                Artifacts::InBucket(_) => {
                    &["--no-serve-artifacts", "--default-artifact-root", BUCKET]
                }
            })
            .envs(self.artifacts.environment())
            .args(if self.wants_password { &["--app-name", "basic-auth"][..] } else { &[] })
            .env("MLFLOW_FLASK_SERVER_SECRET_KEY", "for tests alone")
            .env("MLFLOW_AUTH_ADMIN_PASSWORD", MLFLOW_PASSWORD)
            .envs(QUIET)
            .current_dir(folder)
            .process_group(0)
            .stdin(Stdio::null())
            .stderr(log.try_clone().expect("a second handle"))
            .stdout(log)
            .spawn();
        self.child = Some(child.expect("setpriv is installed"));
        let http = Http::new(self.port, "");
        let alive = crate::until("MLflow answers", START_MAX, async || {
            let ended = self.child.as_mut().map(|it| it.try_wait().expect("a child"));
            if ended != Some(None) {
                return Some(false);
            }
            http.get("/health").await.is_ok_and(|it| it.status == 200).then_some(true)
        });
        assert!(alive.await, "MLflow does not start:\n{}", self.log());
    }

    /// Kills it and the processes that it has started, as a power cut would.
    pub fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        // One that has ended already cannot be killed, which is as good.
        drop(Command::new("kill").args(["-KILL", "--", &format!("-{}", child.id())]).status());
        drop(child.wait());
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
            .envs(self.wants_password.then_some(("MLFLOW_TRACKING_USERNAME", MLFLOW_USER)))
            .envs(self.wants_password.then_some(("MLFLOW_TRACKING_PASSWORD", MLFLOW_PASSWORD)))
            .envs(match self.artifacts {
                Artifacts::Folder | Artifacts::BehindServer(_) => Vec::new(),
                Artifacts::InBucket(_) => self.artifacts.environment(),
            })
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

//! One real `redis-server` on loopback.

use std::{
    process::Command,
    sync::{OnceLock, mpsc},
    time::Duration,
};

use tempfile::TempDir;

use crate::{free_port, server_child::ServerChild, wait::until_blocking};

const START_MAX: Duration = Duration::from_secs(10);
/// How often another port is tried when somebody took the first.
const PORTS_TRIED: usize = 5;

/// A real `redis-server` on loopback with a folder of its own, gone when dropped.
#[derive(Debug)]
pub struct RedisServer {
    child: ServerChild,
    port: u16,
    args: Vec<String>,
    folder: TempDir,
}

impl RedisServer {
    /// Starts one that keeps nothing on disk.
    #[expect(clippy::new_without_default, reason = "it starts a process")]
    pub fn new() -> Self {
        Self::with_args(&["--save", "", "--appendonly", "no"])
    }

    /// Starts one that has every write on disk before it answers.
    pub fn with_aof() -> Self {
        Self::with_args(&["--save", "", "--appendonly", "yes", "--appendfsync", "always"])
    }

    /// Starts one with arguments of its own, and waits until it answers.
    pub fn with_args(args: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        for _ in 0..PORTS_TRIED {
            let port = free_port();
            let mut child = start(&folder, port, &args);
            if answers(&mut child, port) {
                return Self { child, port, args, folder };
            }
        }
        panic!("redis-server does not start:\n{}", log(&folder));
    }

    /// One for all tests of this process, started by the first that asks. Use names of your own.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<RedisServer> = OnceLock::new();
        SHARED.get_or_init(|| {
            // A child dies with the thread that started it, and a test's thread ends with the test.
            let (give, take) = mpsc::channel();
            std::thread::spawn(move || {
                give.send(RedisServer::new()).expect("somebody waits for it");
                loop {
                    std::thread::park();
                }
            });
            take.recv().expect("redis-server starts")
        })
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its port on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills it as a power cut would (`SIGKILL`).
    pub fn kill(&mut self) {
        self.child.kill();
    }

    /// Starts it again on the same port and folder, and waits until it answers.
    pub fn start_again(&mut self) {
        self.child.kill();
        self.child = start(&self.folder, self.port, &self.args);
        let back = answers(&mut self.child, self.port);
        assert!(back, "redis-server does not start again:\n{}", log(&self.folder));
    }

    /// Kills it, and starts it again.
    pub fn restart(&mut self) {
        self.kill();
        self.start_again();
    }

    /// Freezes it: connections stay, nothing is answered (`SIGSTOP`).
    pub fn pause(&self) {
        self.child.signal("STOP");
    }

    /// Lets it go on (`SIGCONT`).
    pub fn resume(&self) {
        self.child.signal("CONT");
    }

    /// What `redis-cli` prints for a command.
    pub fn cli(&self, args: &[&str]) -> String {
        cli(self.port, args)
    }
}

/// What `redis-cli` prints for a command to the server at a port; its error if there is none.
pub(crate) fn cli(port: u16, args: &[&str]) -> String {
    let output = Command::new("redis-cli").args(["-p", &port.to_string()]).args(args).output();
    String::from_utf8_lossy(&output.expect("redis-cli is installed").stdout).trim().to_owned()
}

fn start(folder: &TempDir, port: u16, args: &[String]) -> ServerChild {
    let fixed = ["--bind", "127.0.0.1", "--daemonize", "no", "--port", &port.to_string()];
    let args: Vec<String> =
        fixed.iter().map(ToString::to_string).chain(args.iter().cloned()).collect();
    ServerChild::start(folder.path(), "redis.log", "redis-server", &args)
}

/// Whether it answers in time; not, if it dies before.
fn answers(child: &mut ServerChild, port: u16) -> bool {
    until_blocking("redis-server answers", START_MAX, || {
        !child.is_alive() || cli(port, &["PING"]) == "PONG"
    });
    // Another server may have the port and answer instead of it.
    child.is_alive() && cli(port, &["PING"]) == "PONG"
}

fn log(folder: &TempDir) -> String {
    std::fs::read_to_string(folder.path().join("redis.log")).unwrap_or_default()
}

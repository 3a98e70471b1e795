//! The program itself, as a process that can be killed, frozen and read.

use std::{
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use tempfile::TempDir;

use crate::{server_child::signal, until};

/// A running copy of a program, killed when dropped, or with the thread that started it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: String,
    folder: TempDir,
}

impl Process {
    /// Starts a program in a folder, with these variables in its environment and hardly others.
    pub fn start(program: &str, args: &[&str], env: &[(String, String)], folder: &Path) -> Self {
        let logs = tempfile::tempdir().expect("a folder");
        let file = |name: &str| std::fs::File::create(logs.path().join(name)).expect("a log file");
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", program])
            .args(args)
            .env_clear()
            .envs(std::env::vars().filter(|(name, _)| KEPT.contains(&name.as_str())))
            .envs(env.iter().cloned())
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(file("out"))
            .stderr(file("err"))
            .spawn();
        Self { child: child.expect("setpriv is installed"), name: args.join(" "), folder: logs }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it printed so far.
    pub fn out(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("out")).unwrap_or_default()
    }

    /// What it wrote to its log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("err")).unwrap_or_default()
    }

    /// How it ended; none while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child")
    }

    /// Panics with its log if it has ended.
    pub fn assert_alive(&mut self) {
        if let Some(status) = self.ended() {
            panic!("`{}` has ended: {status}\n{}\n{}", self.name, self.out(), self.log());
        }
    }

    /// Looks again and again until there is something. Panics after `within`, and at once if the
    /// process ends.
    pub async fn until<T>(
        &mut self,
        what: &str,
        within: Duration,
        mut look: impl AsyncFnMut() -> Option<T>,
    ) -> T {
        until(what, within, async || {
            self.assert_alive();
            look().await
        })
        .await
    }

    /// Waits until it has printed or logged this. Panics after `within`, and if it ends before.
    pub async fn until_says(&mut self, text: &str, within: Duration) {
        let what = format!("`{}` says `{text}`", self.name);
        until(&what, within, async || {
            let said = self.out().contains(text) || self.log().contains(text);
            if !said {
                self.assert_alive();
            }
            said.then_some(())
        })
        .await;
    }

    /// Kills it at once, as a power cut would (`SIGKILL`), and waits until it is gone.
    pub fn kill(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }

    /// Asks it to end (`SIGTERM`).
    pub fn terminate(&self) {
        signal(self.pid(), "TERM");
    }

    /// Freezes it (`SIGSTOP`).
    pub fn freeze(&self) {
        signal(self.pid(), "STOP");
    }

    /// Lets it go on (`SIGCONT`).
    pub fn thaw(&self) {
        signal(self.pid(), "CONT");
    }

    /// Waits until it has ended by itself.
    pub async fn end(&mut self, within: Duration) -> ExitStatus {
        let what = format!("`{}` ends", self.name);
        until(&what, within, async || self.ended()).await
    }
}

/// What a program needs of the test's own environment.
const KEPT: [&str; 4] = ["PATH", "HOME", "TMPDIR", "LLVM_PROFILE_FILE"];

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- `{}` wrote:\n{}{}", self.name, self.out(), self.log());
        }
    }
}

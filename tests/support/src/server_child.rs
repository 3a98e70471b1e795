//! A child process that is a server of somebody else: it dies with the test.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
};

/// A running child, killed when dropped.
#[derive(Debug)]
pub(crate) struct ServerChild(Child);

impl ServerChild {
    /// Starts a program in a folder, its output in a file there. The child dies with the thread
    /// that starts it.
    pub(crate) fn start(folder: &Path, log: &str, program: &str, args: &[String]) -> Self {
        let log = std::fs::File::create(folder.join(log)).expect("a log file");
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", program])
            .args(args)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stderr(log.try_clone().expect("a second handle"))
            .stdout(log)
            .spawn();
        Self(child.expect("setpriv is installed"))
    }

    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(None))
    }

    /// Kills it as a power cut would, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }
}

impl Drop for ServerChild {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Sends a signal, by its name without `SIG`.
pub(crate) fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status();
    assert!(sent.expect("kill is installed").success(), "no process {pid} to send {name} to");
}

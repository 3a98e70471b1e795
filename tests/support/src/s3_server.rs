//! A server of S3's protocol on loopback (moto's), which keeps everything in memory.

use std::{
    fs::File,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;

use crate::{Http, free_port, python};

const START_MAX: Duration = Duration::from_secs(60);
/// Its only bucket.
const BUCKET: &str = "payloads";

/// A server of S3 with one bucket, gone when dropped.
#[derive(Debug)]
pub struct S3Server {
    child: Child,
    port: u16,
    folder: TempDir,
}

impl S3Server {
    /// Starts one, and waits until it has its bucket.
    pub async fn started() -> Self {
        let (port, folder) = (free_port(), tempfile::tempdir().expect("a folder"));
        let log = File::create(folder.path().join("s3.log")).expect("a log file");
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(python())
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stderr(log.try_clone().expect("a second handle"))
            .stdout(log)
            .spawn();
        let mut server = Self { child: child.expect("setpriv is installed"), port, folder };
        let http = Http::new(port, "");
        let made = crate::until("S3 answers", START_MAX, async || {
            if server.child.try_wait().expect("a child").is_some() {
                return Some(false);
            }
            let bucket = http.send("PUT", &format!("/{BUCKET}"), &[], b"").await;
            bucket.is_ok_and(|it| it.status == 200).then_some(true)
        });
        assert!(made.await, "S3 does not start:\n{}", server.log());
        server
    }

    /// The URL of its bucket, as `object_store` takes it.
    pub fn url(&self) -> String {
        format!("s3://{BUCKET}/dspyx")
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What lies in the bucket under `dspyx/`, as it lists it.
    pub async fn listing(&self) -> String {
        let path = format!("/{BUCKET}?list-type=2&prefix=dspyx/");
        Http::new(self.port, "").get(&path).await.expect("a listing").body
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("s3.log")).unwrap_or_default()
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        drop((self.child.kill(), self.child.wait()));
    }
}

//! The task of one source: brings it here, and looks whether it has become another.

use std::sync::Arc;

use programs::{Fetched, Finding, Registry, Source};
use tokio::{
    sync::{Notify, watch},
    time::{self, Duration, Instant},
};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{info, warn};

use super::{SourceError, fetch::Fetcher};
use crate::python::Findings;

/// The shortest time between two looks, however many ask.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// What the last look came to, and how many there were.
#[derive(Clone, Debug)]
struct Look {
    count: u64,
    result: Result<(), SourceError>,
}

/// Where the task of a source is asked. When the last copy is dropped, the task ends.
#[derive(Clone)]
pub(super) struct Desk {
    looks: watch::Receiver<Look>,
    hurry: Arc<Notify>,
    _running: Arc<DropGuard>,
}

/// The task's side of the desk.
pub(super) struct Post {
    looks: watch::Sender<Look>,
    hurry: Arc<Notify>,
    stop: CancellationToken,
}

/// The task of one source.
pub(super) struct Watch {
    pub(super) source: Source,
    pub(super) fetcher: Arc<Fetcher>,
    pub(super) registry: Registry,
    pub(super) findings: Findings,
    pub(super) changed: Arc<Notify>,
}

impl Desk {
    /// A desk, and the task's side of it.
    pub(super) fn new() -> (Self, Post) {
        let stop = CancellationToken::new();
        let untried = SourceError::Unavailable("it was not tried yet".to_owned());
        let (sender, looks) = watch::channel(Look { count: 0, result: Err(untried) });
        let hurry = Arc::new(Notify::new());
        let running = Arc::new(stop.clone().drop_guard());
        let desk = Self { looks, hurry: Arc::clone(&hurry), _running: running };
        (desk, Post { looks: sender, hurry, stop })
    }

    /// What a look comes to: the last one if it went well, else the next.
    pub(super) async fn look(mut self) -> Result<(), SourceError> {
        let last = self.looks.borrow_and_update().clone();
        if last.result.is_ok() {
            return Ok(());
        }
        self.hurry.notify_one();
        let next = self.looks.wait_for(|it| it.count > last.count).await;
        let gone = || SourceError::Unavailable("the worker stops".to_owned());
        next.map_err(|_| gone())?.result.clone()
    }
}

impl Watch {
    /// Looks again and again, until nobody asks any more.
    pub(super) async fn keep(self, post: Post) {
        let stop = post.stop.clone();
        stop.run_until_cancelled_owned(self.look_on(post)).await;
    }

    async fn look_on(self, post: Post) {
        let mut here = None;
        let mut failures = 0;
        for count in 1.. {
            let began = Instant::now();
            let mut result = self.fetcher.fetch(&self.source).await;
            if let (Err(SourceError::Unavailable(why)), None) = (&result, &here)
                && let Some(last) = self.fetcher.last(&self.source).await
            {
                let (source, revision) = (self.source.address(), &last.revision);
                warn!(source, revision, "runs what was fetched last: {why}");
                result = Ok(last);
            }
            let pause = self.fetcher.pause(&self.source, failures, result.is_ok());
            failures = if result.is_ok() { 0 } else { failures + 1 };
            let result = self.take(result, &mut here, failures);
            post.looks.send_replace(Look { count, result });
            tokio::select! {
                () = time::sleep(pause) => {}
                () = post.hurry.notified() => time::sleep_until(began + PAUSE_MIN).await,
            }
        }
    }

    /// Takes in what a look came to.
    fn take(
        &self,
        result: Result<Fetched, SourceError>,
        here: &mut Option<Fetched>,
        failures: u32,
    ) -> Result<(), SourceError> {
        let address = self.source.address().unwrap_or_default();
        let fetched = match result {
            Ok(fetched) => fetched,
            Err(error) if here.is_some() => {
                if failures == 1 {
                    warn!(source = address, "cannot look for another revision: {error}");
                }
                return Ok(());
            }
            Err(error) => {
                if failures == 1 {
                    warn!(source = address, "cannot fetch a program: {error}");
                }
                self.tell(&error);
                return Err(error);
            }
        };
        if here.as_ref() != Some(&fetched) {
            info!(source = address, revision = fetched.revision, "fetched a program");
            self.registry.place(&self.source, Some(fetched.clone()));
            *here = Some(fetched);
            self.changed.notify_one();
        }
        Ok(())
    }

    /// Tells why its programs cannot be run.
    fn tell(&self, error: &SourceError) {
        let programs = self.registry.list();
        for program in programs.iter().filter(|it| it.elsewhere() == Some(&self.source)) {
            let problem = Some(format!("the program cannot be fetched: {error}"));
            let digest = program.digest.clone();
            let finding = Finding { digest, revision: None, manifest: None, problem };
            if program.revision().is_none() {
                // Nobody wants it when the worker stops.
                let _gone = self.findings.send((program.pinned(), finding));
            }
        }
    }
}

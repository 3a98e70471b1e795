//! What the tasks of one running worker share.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use programs::Registry;
use queue::{Queue, WorkerId, WorkerInfo};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use crate::{
    Config, Gateway, Metrics, Spans, TrackingConfig, WebhookConfig, Worker,
    bells::Bells,
    python::{Findings, Python},
    refresh::Refresh,
    roster::Roster,
    sources::Sources,
    tools::Toolbox,
    tracking::Texts,
};

/// How the worker stands with the queue.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Standing {
    /// Its present incarnation.
    pub(crate) worker: WorkerId,
    /// Which one it is: they are counted from 0.
    pub(crate) incarnation: u64,
    /// Whether it may claim: it was heard of lately, and the queue is not paused.
    pub(crate) open: bool,
}

/// What the tasks of one running worker share.
pub(crate) struct Shift {
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) registry: Registry,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) toolbox: Toolbox,
    pub(crate) python: Python,
    pub(crate) sources: Sources,
    pub(crate) config: Config,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) roster: Roster,
    pub(crate) standing: watch::Sender<Standing>,
    pub(crate) alarm: Alarm,
    pub(crate) refresh: Refresh,
    pub(crate) webhooks: WebhookConfig,
    pub(crate) tracking: TrackingConfig,
    /// What traces name.
    pub(crate) texts: Texts,
    pub(crate) bells: Bells,
    /// Absent where nothing is traced.
    pub(crate) spans: Option<Spans>,
    host: String,
    started_at: DateTime<Utc>,
}

impl Shift {
    /// The beginning of one; nothing runs yet, and nothing may be claimed before the first beat.
    pub(crate) fn new(worker: Worker, findings: Findings) -> Self {
        let Worker { queue, registry, gateway, config, python, sources, .. } = worker;
        let (webhooks, tracking, spans) = (worker.webhooks, worker.tracking, worker.spans);
        let sources = Sources::new(sources, &gateway, registry.clone(), findings.clone());
        let python = Python::new(python, gateway.reach(), findings, gateway.metrics());
        let host = config.host.clone().unwrap_or_else(host);
        let worker = WorkerId::new(&host, std::process::id());
        let standing = Standing { worker, incarnation: 0, open: false };
        Self {
            queue,
            registry,
            metrics: gateway.metrics(),
            texts: Texts::new(gateway.metrics()),
            toolbox: Toolbox::new(Arc::clone(&gateway), config.allow_mcp_commands),
            gateway,
            python,
            sources,
            config,
            roster: Roster::default(),
            standing: watch::Sender::new(standing),
            alarm: Alarm::default(),
            refresh: Refresh::default(),
            webhooks,
            tracking,
            bells: Bells::default(),
            spans,
            host,
            started_at: Utc::now(),
        }
    }

    /// The worker's present incarnation.
    pub(crate) fn worker(&self) -> WorkerId {
        self.standing.borrow().worker.clone()
    }

    /// Goes on under another name, after others were told that this worker is dead.
    pub(crate) fn take_new_name(&self) {
        let worker = WorkerId::new(&self.host, std::process::id());
        self.standing.send_modify(|it| {
            *it = Standing { worker, incarnation: it.incarnation + 1, open: false };
        });
    }

    /// Whether a lease taken as that incarnation may still be held.
    pub(crate) fn is_current(&self, incarnation: u64) -> bool {
        self.standing.borrow().incarnation == incarnation
    }

    /// Keeps processes of the programs that there are now, and fetches what lies elsewhere.
    pub(crate) fn follow(&self) {
        let programs = self.registry.list();
        self.sources.follow(&programs);
        self.python.follow(&programs);
    }

    /// What the worker tells of itself.
    pub(crate) fn info(&self) -> WorkerInfo {
        let programs = self.registry.list();
        let runnable = programs.iter().filter(|it| it.runnable().is_ok());
        WorkerInfo {
            id: self.worker(),
            host: self.host.clone(),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            slots: self.config.slots(),
            running: self.roster.count(),
            started_at: self.started_at,
            programs: runnable.map(|it| it.pinned()).collect(),
        }
    }
}

/// The machine's name, where the system tells it.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name: String = name.trim().chars().filter(char::is_ascii_graphic).take(64).collect();
    if name.is_empty() { "localhost".to_owned() } else { name }
}

/// When upkeep is due next at the latest.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    at: Mutex<Option<Instant>>,
    changed: Notify,
}

impl Alarm {
    /// Makes upkeep due after `delay`, if it is not due before.
    pub(crate) fn set(&self, delay: Duration) {
        let at = Instant::now() + delay;
        let mut known = self.at.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_none_or(|known| at < known) {
            *known = Some(at);
            self.changed.notify_one();
        }
    }

    /// Waits until it is due, and forgets when it was.
    pub(crate) async fn ring(&self) {
        loop {
            let at = *self.at.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(at) = at else {
                self.changed.notified().await;
                continue;
            };
            tokio::select! {
                () = tokio::time::sleep_until(at) => break,
                () = self.changed.notified() => {}
            }
        }
        *self.at.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_alarm_rings_at_the_earliest_time_it_was_set_to() {
        let (alarm, began) = (Alarm::default(), Instant::now());
        alarm.set(Duration::from_secs(1));
        let set_earlier = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            alarm.set(Duration::from_millis(300));
            alarm.set(Duration::from_secs(9));
        };

        tokio::join!(alarm.ring(), set_earlier);

        assert_eq!(began.elapsed().as_millis(), 500);
    }
}

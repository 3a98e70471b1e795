//! What a keeper reports of its program, for those who ask whether it can be run.

use programs::PythonManifest;
use tokio::sync::watch;

/// Whether a program can be run.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Report {
    /// Nobody knows yet.
    Unknown,
    /// It was loaded, and is this.
    Healthy(Box<PythonManifest>),
    /// It cannot be loaded or started, and why.
    Unhealthy(String),
}

/// Where a keeper reports to: the newest counts.
pub(super) struct Reports(watch::Sender<Report>);

impl Reports {
    /// A place for reports, and where they are read.
    pub(super) fn new() -> (Self, watch::Receiver<Report>) {
        let (sender, receiver) = watch::channel(Report::Unknown);
        (Self(sender), receiver)
    }

    /// Reports, if it is news.
    pub(super) fn send(&self, report: Report) {
        self.0.send_if_modified(|last| {
            let is_news = *last != report;
            *last = report;
            is_news
        });
    }
}

//! Calls whoever asked to be told when an execution or a batch has ended, as Standard Webhooks
//! describes it: signed, at least once, again and again with longer pauses, and then no more.
//!
//! The notices lie in the store, so that one is delivered by another worker if this one dies. What
//! a record looks like, whoever starts the worker says: it is the API's.
//!
//! Source: <https://www.standardwebhooks.com>, `spec/standard-webhooks.md` of its repository.

mod address;
mod config;
mod letter;
mod sign;

use std::{sync::Arc, time::Duration};

use chrono::Utc;
use futures::{StreamExt, stream::FuturesUnordered};
use queue::{Channel, Delivery, Notice, Subject};
use rand::Rng;
use reqwest::{
    Client, StatusCode, Url,
    header::{CONTENT_TYPE, RETRY_AFTER},
    redirect,
};
use tokio::time::sleep;
use tracing::{debug, warn};

pub use self::{
    address::Callable,
    config::{Views, WebhookConfig},
    sign::{BadSecret, SigningSecret},
};
use self::{address::Guard, letter::Letter};
use crate::{gateway, shift::Shift};

/// How many calls are made at once; each takes no longer than its timeout.
const AT_ONCE: usize = 32;

/// How long a notice is with a worker beyond the time that its call may take.
const LEASE_MORE: Duration = Duration::from_secs(5);

/// How often it is looked for notices whose executions ended elsewhere.
const LOOK: Duration = Duration::from_secs(1);

/// How long to leave a store alone that does not answer.
const OUTAGE_PAUSE: Duration = Duration::from_secs(5);

/// The pauses between two calls, as Standard Webhooks recommends them.
const PAUSES: [Duration; 9] = [
    Duration::from_secs(5),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 3600),
    Duration::from_secs(5 * 3600),
    Duration::from_secs(10 * 3600),
    Duration::from_secs(14 * 3600),
    Duration::from_secs(20 * 3600),
    Duration::from_secs(24 * 3600),
];

/// The longest pause that a receiver may ask for.
const PAUSE_MAX: Duration = Duration::from_secs(24 * 3600);

/// Calls those who asked for it.
struct Caller {
    shift: Arc<Shift>,
    client: Client,
}

/// What came of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Answer {
    Taken,
    /// It wants no more calls.
    Gone,
    /// Not now; and how long it asks to wait, if it says.
    Again(Option<Duration>),
    /// It may not be called.
    Forbidden,
}

/// Delivers webhooks for as long as it is let.
pub(crate) async fn deliver(shift: Arc<Shift>) {
    let guard = Guard::new(shift.webhooks.callable.clone());
    let client = gateway::build(|| {
        let builder = Client::builder().redirect(redirect::Policy::none()).no_proxy();
        let agent = concat!("dspyx/", env!("CARGO_PKG_VERSION"));
        Ok(builder.user_agent(agent).dns_resolver(guard.clone()).timeout(shift.webhooks.timeout))
    });
    match client {
        Ok(client) => Caller { shift, client }.work().await,
        Err(error) => warn!(%error, "webhooks are left to other workers: {error}"),
    }
}

impl Caller {
    async fn work(&self) {
        let mut calls = FuturesUnordered::new();
        let mut silent = false;
        loop {
            let room = AT_ONCE - calls.len();
            let mut pause = LOOK;
            match self.take(room).await {
                Ok(notices) => {
                    silent = false;
                    calls.extend(notices.into_iter().map(|it| self.call(it)));
                }
                Err(error) => {
                    pause = OUTAGE_PAUSE;
                    if !std::mem::replace(&mut silent, true) {
                        warn!(%error, "cannot look for webhooks: {error}; trying again");
                    }
                }
            }
            tokio::select! {
                Some(()) = calls.next(), if !calls.is_empty() => {}
                () = self.shift.bells.webhooks.notified(), if calls.len() < AT_ONCE => {}
                () = sleep(pause) => {}
            }
        }
    }

    async fn take(&self, room: usize) -> queue::Result<Vec<Notice>> {
        if room == 0 {
            return Ok(Vec::new());
        }
        let lease = self.shift.webhooks.timeout + LEASE_MORE;
        self.shift.queue.take_notices(Channel::Webhook, room, lease).await
    }

    /// Delivers one, and says what became of it. What cannot be said is delivered again.
    async fn call(&self, notice: Notice) {
        let delivery = match self.letter(notice.subject).await {
            Ok(Some(letter)) => self.deliver(&notice, &letter).await,
            Ok(None) | Err(queue::Error::NotFound(_)) => Delivery::Dropped,
            Err(error) => {
                debug!(%error, "a webhook waits for the store");
                return;
            }
        };
        if let Err(error) = self.shift.queue.delivered(&[(notice, delivery)]).await {
            warn!(%error, "cannot note that a webhook was called: it is called again");
        }
    }

    /// What is to be told; none if it has not ended, or nobody is to be told.
    async fn letter(&self, subject: Subject) -> queue::Result<Option<Letter>> {
        let views = &self.shift.webhooks.views;
        Ok(match subject {
            Subject::Execution(id) => {
                Letter::of_execution(self.shift.queue.execution(id).await?, views)
            }
            Subject::Batch(id) => Letter::of_batch(self.shift.queue.batch(id).await?, views),
        })
    }

    async fn deliver(&self, notice: &Notice, letter: &Letter) -> Delivery {
        let answer = self.post(letter).await;
        let host = Url::parse(&letter.url).ok();
        let host = host.as_ref().and_then(Url::host_str).unwrap_or_default();
        match answer {
            Answer::Taken => Delivery::Sent,
            Answer::Gone => {
                warn!(subject = %notice.subject, "the webhook at {host} is gone, and is dropped");
                Delivery::Dropped
            }
            Answer::Forbidden => {
                warn!(
                    subject = %notice.subject,
                    "the webhook at {host} is at a private address, and is dropped; \
                     WEBHOOK_ALLOW names those that may be called"
                );
                Delivery::Dropped
            }
            Answer::Again(wait) => {
                let Some(pause) = PAUSES.get(notice.taken as usize) else {
                    let subject = notice.subject;
                    warn!(%subject, "the webhook at {host} takes nothing, and is dropped");
                    return Delivery::Dropped;
                };
                let pause = pause.mul_f64(rand::rng().random_range(1.0..1.1));
                Delivery::Later(pause.max(wait.unwrap_or_default().min(PAUSE_MAX)))
            }
        }
    }

    async fn post(&self, letter: &Letter) -> Answer {
        let Some(url) = Url::parse(&letter.url).ok() else { return Answer::Forbidden };
        let config = &self.shift.webhooks;
        if !config.callable.may_be_named(url.host_str().unwrap_or_default()) {
            return Answer::Forbidden;
        }
        let seconds = Utc::now().timestamp();
        let mut request = self
            .client
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &letter.id)
            .header("webhook-timestamp", seconds);
        if !config.secrets.is_empty() {
            let signed = sign::all(&config.secrets, &letter.id, seconds, &letter.body);
            request = request.header("webhook-signature", signed);
        }
        let response = match request.body(letter.body.clone()).send().await {
            Ok(response) => response,
            Err(error) if address::is_forbidden(&error) => return Answer::Forbidden,
            Err(error) => {
                debug!(id = %letter.id, "a webhook was not taken: {}", gateway::innermost(&error));
                return Answer::Again(None);
            }
        };
        // What it says beyond its status is nobody's business, and is not read.
        let wait =
            response.headers().get(RETRY_AFTER).and_then(|it| it.to_str().ok()?.parse().ok());
        match response.status() {
            status if status.is_success() => Answer::Taken,
            StatusCode::GONE => Answer::Gone,
            _ => Answer::Again(wait.map(Duration::from_secs)),
        }
    }
}

//! A call that is accounted for: a reply that was paid for is not paid for again, equal calls are
//! made once, and nobody spends more than they may.

use std::{convert::Infallible, time::Duration};

use dspy::{LmError, LmReply, Usage};
use queue::{Ledger, Paid, Place, Recalled, Wanted};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::time::{self, Instant};
use tracing::warn;
use uuid::Uuid;

use super::{
    Call,
    account::{Account, spent},
    call::Source,
    send::{Answer, Expected, Sent},
};

/// How long the right to make a call lasts unless it is renewed: as long as others wait for a dead
/// worker's reply.
const HOLD: Duration = Duration::from_secs(10);
const RENEW_EVERY: Duration = Duration::from_secs(3);

/// How often it is looked for the reply to a call that somebody else makes.
const LOOK_FIRST: Duration = Duration::from_millis(10);
const LOOK_LAST: Duration = Duration::from_millis(250);

/// How long a journal is kept after its last reply. It is forgotten when its execution ends.
const JOURNAL_KEPT: Duration = Duration::from_hours(24);

/// How long the replies of a provider's batch are kept for items that have yet to run.
pub(crate) const REPLIES_KEPT: Duration = Duration::from_hours(7 * 24);

/// How long to wait before a store that is away is asked again.
const AWAY: Duration = Duration::from_millis(500);

/// One call, and where its reply is kept.
struct Entry<'a> {
    call: &'a Call<'a>,
    account: &'a Account,
    ledger: &'a dyn Ledger,
    place: Place,
    holder: String,
}

/// The reply: known, or asked for.
pub(super) async fn ask<'a>(
    call: &'a Call<'a>,
    account: &'a Account,
    ledger: &'a dyn Ledger,
    sent: &Sent<'_>,
) -> Result<(LmReply, Source), LmError> {
    sent.check_price(account.budgets())?;
    let place = account.next_place(hash(sent));
    let holder = Uuid::new_v4().simple().to_string();
    let entry = Entry { call, account, ledger, place, holder };
    if let Some((reply, source)) = entry.known().await? {
        account.note(reply.text.as_deref(), &entry.place);
        return Ok((reply, source));
    }
    let answer = entry.holding(call.send_until_answered(sent)).await;
    match answer {
        Ok(answer) => {
            entry.keep(&answer, sent).await;
            account.note(answer.reply.text.as_deref(), &entry.place);
            Ok((answer.reply, Source::Model))
        }
        Err(error) => {
            // If it cannot be told, the right runs out by itself.
            drop(entry.ledger.give_up(&entry.place.request, &entry.holder).await);
            Err(error)
        }
    }
}

impl Entry<'_> {
    /// The reply, if there is one by now or somebody else is about to have it; none if this call is
    /// to be made.
    async fn known(&self) -> Result<Option<(LmReply, Source)>, LmError> {
        let mut pause = LOOK_FIRST;
        loop {
            match self.recall().await? {
                Recalled::Yours => return Ok(None),
                Recalled::Own(reply) => return Kept::read(reply)?.reply().map(Some),
                Recalled::Shared(reply) => {
                    // As in DSPy: what comes out of a cache has used nothing.
                    let (reply, _) = Kept::read(reply)?.reply()?;
                    let reply = LmReply { usage: Usage::default(), ..reply };
                    return Ok(Some((reply, Source::Cache)));
                }
                Recalled::Spent(scope) => return Err(LmError::BudgetExceeded(spent(&scope))),
                Recalled::Elsewhere => {
                    self.call.pause(pause).await?;
                    pause = (2 * pause).min(LOOK_LAST);
                }
            }
        }
    }

    /// Asks the store, for as long as the execution may take: without it no result can be kept
    /// either.
    async fn recall(&self) -> Result<Recalled, LmError> {
        let wanted = Wanted {
            place: self.place.clone(),
            shared: self.account.shared().is_some(),
            holder: self.holder.clone(),
            hold: HOLD,
            budgets: self.account.budgets().to_vec(),
        };
        loop {
            match self.ledger.recall(&wanted).await {
                Ok(recalled) => return Ok(recalled),
                Err(error) if error.may_pass() => {
                    warn!(%error, "cannot look for a reply that may be paid for already");
                    self.call.pause(AWAY).await?;
                }
                Err(error) => return Err(LmError::Configuration(error.to_string())),
            }
        }
    }

    /// Waits for something, and renews the right to make the call meanwhile.
    async fn holding<T>(&self, work: impl Future<Output = T>) -> T {
        if self.account.shared().is_none() {
            return work.await;
        }
        tokio::select! {
            done = work => done,
            never = self.renew() => match never {},
        }
    }

    async fn renew(&self) -> Infallible {
        let mut every = time::interval_at(Instant::now() + RENEW_EVERY, RENEW_EVERY);
        loop {
            every.tick().await;
            drop(self.recall().await);
        }
    }

    async fn keep(&self, answer: &Answer, sent: &Sent<'_>) {
        // A stream may say nothing of it, and a budget and a pace still hold.
        let usage = sent.used(&answer.reply);
        let micros = sent.terms.micros(usage).unwrap_or_default();
        let paid = Paid {
            place: self.place.clone(),
            holder: self.holder.clone(),
            reply: serde_json::to_value(&answer.reply).unwrap_or_default(),
            kept: JOURNAL_KEPT,
            shared: self.account.shared(),
            costs: self.account.charge(micros),
            corrections: answer.share.corrections(usage.total_tokens),
        };
        if let Err(error) = self.ledger.keep(&paid).await {
            warn!(%error, "cannot keep a reply: if the worker dies now, it is paid for twice");
        }
    }
}

/// What is kept at a call's place.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Kept {
    /// That asking is of no use: the provider refused the request in a batch of its own.
    Refusal {
        /// The HTTP status, or what comes nearest to it.
        refused: u16,
        /// The provider's code of the error.
        code: String,
        /// The provider's words.
        message: String,
    },
    /// A reply that was paid for.
    Reply {
        #[serde(flatten)]
        reply: Box<LmReply>,
        /// Whether it came in a batch of the provider's own.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        batch: bool,
    },
}

impl Kept {
    fn read(kept: Value) -> Result<Self, LmError> {
        let unreadable =
            |error| LmError::Configuration(format!("a kept reply cannot be read: {error}"));
        serde_json::from_value(kept).map_err(unreadable)
    }

    fn reply(self) -> Result<(LmReply, Source), LmError> {
        match self {
            Self::Refusal { refused, code, message } => {
                Err(LmError::answered(refused, &code, message, None))
            }
            Self::Reply { reply, batch: true } => Ok((*reply, Source::Batch)),
            Self::Reply { reply, batch: false } => Ok((*reply, Source::Journal)),
        }
    }

    /// An error that would come again, as an endpoint's answer.
    pub(crate) fn refusal(error: &LmError) -> Self {
        let (refused, code) = match error {
            LmError::Auth(_) => (401, ""),
            LmError::Billing(_) => (402, ""),
            LmError::Unsupported(_) => (404, ""),
            LmError::ContextWindowExceeded(_) => (400, "context_length_exceeded"),
            LmError::RateLimited { .. }
            | LmError::Server { .. }
            | LmError::Transport(_)
            | LmError::Timeout(_)
            | LmError::BadRequest(_)
            | LmError::InvalidResponse(_)
            | LmError::Configuration(_)
            | LmError::BudgetExceeded(_)
            | LmError::Cancelled => (400, ""),
        };
        Self::Refusal { refused, code: code.to_owned(), message: error.to_string() }
    }
}

/// A hash of all that the reply depends on: the endpoint, the body, and which of several equal
/// requests it is.
pub(super) fn hash(sent: &Sent<'_>) -> String {
    let mut hash = Sha256::new();
    hash.update(&sent.route.url);
    hash.update([0]);
    hash.update(&sent.body);
    if let Expected::Message { rollout } = sent.expected {
        hash.update(format!("{rollout:?}"));
    }
    format!("{:x}", hash.finalize())
}

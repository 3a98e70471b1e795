//! What was done for a batch at its provider: noted in the batch's own journal, where a place is
//! filled once, so that who comes late changes nothing.

use std::time::Duration;

use chrono::{DateTime, Utc};
use queue::{BatchId, Ledger, Paid, Place, Recalled, Result, Wanted};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How long it is known: longer than any provider takes.
const KEPT: Duration = Duration::from_hours(30 * 24);

/// The items of a batch that go into one file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Part {
    /// Which part of the batch it is.
    pub(super) number: u32,
    /// The index of the first item.
    pub(super) first: u32,
    /// The index of the first item of the next part.
    pub(super) next: u32,
    /// The model as the program names it.
    pub(super) model: String,
    /// The file of its requests at the provider; none if there is nothing to ask there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) file: Option<String>,
    /// When it was sent.
    #[serde(with = "chrono::serde::ts_seconds")]
    pub(super) sent_at: DateTime<Utc>,
}

/// The facts of one batch.
pub(super) struct Facts<'a> {
    ledger: &'a dyn Ledger,
    id: BatchId,
}

impl<'a> Facts<'a> {
    pub(super) fn of(ledger: &'a dyn Ledger, id: BatchId) -> Self {
        Self { ledger, id }
    }

    /// The parts that were sent, in order.
    pub(super) async fn parts(&self) -> Result<Vec<Part>> {
        let mut parts = Vec::new();
        while let Some(fact) = self.read(&format!("part {}", parts.len())).await? {
            parts.push(serde_json::from_value(fact)?);
        }
        Ok(parts)
    }

    /// Notes a part, and gives it as it is noted: by whoever came first.
    pub(super) async fn note_part(&self, part: &Part) -> Result<Part> {
        let name = format!("part {}", part.number);
        self.note(&name, serde_json::to_value(part)?).await?;
        let noted = self.read(&name).await?.map(serde_json::from_value).transpose()?;
        Ok(noted.unwrap_or_else(|| part.clone()))
    }

    /// The provider's batch of a part.
    pub(super) async fn batch(&self, part: &Part) -> Result<Option<String>> {
        let fact = self.read(&format!("batch {}", part.number)).await?;
        Ok(fact.and_then(|it| it.as_str().map(str::to_owned)))
    }

    /// Notes the provider's batch of a part.
    pub(super) async fn note_batch(&self, part: &Part, batch: &str) -> Result<()> {
        self.note(&format!("batch {}", part.number), json!(batch)).await
    }

    /// Whether nothing more is to be done for a part.
    pub(super) async fn is_done(&self, part: &Part) -> Result<bool> {
        Ok(self.read(&format!("done {}", part.number)).await?.is_some())
    }

    /// Notes that nothing more is to be done for a part.
    pub(super) async fn note_done(&self, part: &Part) -> Result<()> {
        self.note(&format!("done {}", part.number), json!(true)).await
    }

    async fn read(&self, name: &str) -> Result<Option<Value>> {
        let wanted = Wanted {
            place: self.place(name),
            shared: false,
            holder: String::new(),
            hold: Duration::ZERO,
            budgets: Vec::new(),
        };
        match self.ledger.recall(&wanted).await? {
            Recalled::Own(fact) => Ok(Some(fact)),
            Recalled::Shared(_) | Recalled::Yours | Recalled::Elsewhere | Recalled::Spent(_) => {
                Ok(None)
            }
        }
    }

    async fn note(&self, name: &str, fact: Value) -> Result<()> {
        let paid = Paid {
            place: self.place(name),
            holder: String::new(),
            reply: fact,
            kept: KEPT,
            shared: None,
            costs: Vec::new(),
            corrections: Vec::new(),
        };
        self.ledger.keep(&paid).await
    }

    fn place(&self, name: &str) -> Place {
        let request = format!("at its provider: {name}");
        Place { execution: self.id.whole(), generation: 0, request, occurrence: 0 }
    }
}

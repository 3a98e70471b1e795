//! The side where paid calls are accounted for.

use std::time::Duration;

use async_trait::async_trait;

use super::{RedisQueue, millis};
use crate::{
    Error, ExecutionId, Ledger, Paid, Place, Rate, Recalled, Result, Turn, Wanted,
    pack::{pack, unpack},
};

/// How long what was spent is remembered after the last call.
const SPENDING_KEPT: Duration = Duration::from_hours(31 * 24);

#[async_trait]
impl Ledger for RedisQueue {
    async fn reserve(&self, rates: &[Rate], wait_max: Duration) -> Result<Turn> {
        let store = &self.store;
        let mut call = store.scripts.reserve.key(store.prefix());
        call.arg(store.now()).arg(millis(wait_max));
        for rate in rates {
            call.arg(&rate.name).arg(rate.cost_ms()).arg(rate.burst_ms());
        }
        let (taken, wait): (bool, u64) = store.home.call(&call).await?;
        let wait = Duration::from_millis(wait);
        Ok(if taken { Turn::In(wait) } else { Turn::TooLate(wait) })
    }

    async fn hold_off(&self, rate: &str, time: Duration) -> Result<()> {
        let store = &self.store;
        let mut call = store.scripts.hold_off.key(store.prefix());
        call.arg(store.now()).arg(rate).arg(millis(time));
        store.home.call(&call).await
    }

    async fn recall(&self, wanted: &Wanted) -> Result<Recalled> {
        let (store, place) = (&self.store, &wanted.place);
        let mut call = store.scripts.recall.key(store.prefix());
        call.arg(place.execution.to_string()).arg(place.name()).arg(&place.request);
        call.arg(if wanted.shared { "1" } else { "" });
        call.arg(&wanted.holder).arg(millis(wanted.hold));
        for budget in &wanted.budgets {
            call.arg(&budget.scope).arg(budget.micros_max);
        }
        let answer: Vec<Vec<u8>> = store.home.call(&call).await?;
        recalled(&answer)
    }

    async fn keep(&self, paid: &Paid) -> Result<()> {
        let (store, place) = (&self.store, &paid.place);
        let mut call = store.scripts.keep.key(store.prefix());
        call.arg(store.now()).arg(place.execution.to_string()).arg(place.name());
        call.arg(&place.request).arg(&paid.holder).arg(pack(&paid.reply)?).arg(millis(paid.kept));
        let shared = paid.shared.map(|ttl| millis(ttl).to_string()).unwrap_or_default();
        call.arg(shared)
            .arg(store.limits.shared_replies_max)
            .arg(millis(SPENDING_KEPT))
            .arg(paid.costs.len());
        for (scope, micros) in &paid.costs {
            call.arg(scope).arg(micros);
        }
        for rate in &paid.corrections {
            call.arg(&rate.name).arg(rate.cost_ms());
        }
        store.home.call(&call).await
    }

    async fn give_up(&self, request: &str, holder: &str) -> Result<()> {
        let store = &self.store;
        let mut call = store.scripts.give_up.key(store.prefix());
        call.arg(request).arg(holder);
        store.home.call(&call).await
    }

    async fn retract(&self, place: &Place) -> Result<()> {
        let store = &self.store;
        let mut call = store.scripts.retract.key(store.prefix());
        call.arg(place.execution.to_string()).arg(place.name()).arg(&place.request);
        store.home.call(&call).await
    }

    async fn forget(&self, execution: ExecutionId) -> Result<()> {
        let mut pipe = redis::pipe();
        pipe.unlink(self.store.keys.named(&format!("j:{execution}"))).ignore();
        self.store.home.query(&pipe).await
    }
}

fn recalled(answer: &[Vec<u8>]) -> Result<Recalled> {
    match answer {
        [what, reply] if what == b"own" => Ok(Recalled::Own(unpack(reply)?)),
        [what, reply] if what == b"shared" => Ok(Recalled::Shared(unpack(reply)?)),
        [what, scope] if what == b"spent" => {
            Ok(Recalled::Spent(String::from_utf8_lossy(scope).into_owned()))
        }
        [what] if what == b"yours" => Ok(Recalled::Yours),
        [what] if what == b"elsewhere" => Ok(Recalled::Elsewhere),
        _ => Err(Error::Corrupt("the answer to a recall".to_owned())),
    }
}

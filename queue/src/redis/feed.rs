//! The side where running executions tell what they do: a capped stream for each that is followed.

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use tokio::time::{Instant, timeout_at};

use super::{RedisQueue, millis};
use crate::{
    Error, ExecutionId, Feed, Mark, News, Result,
    feed::{NEWS_KEPT, NEWS_PAGE, NEWS_TIME},
};

/// How often a follower looks by itself, in case a ring was lost.
const LOOK: Duration = Duration::from_secs(1);

#[async_trait]
impl Feed for RedisQueue {
    async fn begin(&self, execution: ExecutionId, teller: &str, void: &News) -> Result<()> {
        let store = &self.store;
        let mut call = store.scripts.begin.key(store.prefix());
        call.arg(execution.to_string()).arg(teller).arg(&void.event).arg(&void.data);
        call.arg(millis(NEWS_TIME));
        store.home.call(&call).await
    }

    async fn tell(
        &self,
        execution: ExecutionId,
        teller: &str,
        news: &[News],
        kept: Duration,
    ) -> Result<()> {
        let store = &self.store;
        let mut call = store.scripts.tell.key(store.prefix());
        call.arg(execution.to_string()).arg(teller).arg(NEWS_KEPT).arg(millis(kept));
        for one in news {
            call.arg(&one.event).arg(&one.data);
        }
        store.home.call(&call).await
    }

    async fn follow(
        &self,
        execution: ExecutionId,
        after: Option<Mark>,
        wait: Duration,
    ) -> Result<Vec<(Mark, News)>> {
        let end = Instant::now() + wait;
        let feed = format!("f:{execution}");
        let place = self.events.wait_for(feed.clone(), &self.store);
        loop {
            let rung = place.rung.notified();
            tokio::pin!(rung);
            rung.as_mut().enable(); // before looking, so that nothing is told in between
            let found = self.look(&feed, after).await?;
            if !found.is_empty() || Instant::now() >= end {
                return Ok(found);
            }
            let _: Result<(), _> = timeout_at(end.min(Instant::now() + LOOK), rung).await;
        }
    }
}

impl RedisQueue {
    async fn look(&self, feed: &str, after: Option<Mark>) -> Result<Vec<(Mark, News)>> {
        let mut pipe = redis::pipe();
        let from = after.map_or_else(|| "-".to_owned(), |it| format!("({it}"));
        pipe.cmd("XRANGE").arg(self.store.keys.named(feed)).arg(from).arg("+");
        pipe.arg("COUNT").arg(NEWS_PAGE);
        let (rows,): (Vec<(String, HashMap<String, String>)>,) =
            self.store.home.query(&pipe).await?;
        rows.into_iter().map(|(mark, row)| told(&mark, row)).collect()
    }
}

fn told(mark: &str, mut row: HashMap<String, String>) -> Result<(Mark, News)> {
    let corrupt = || Error::Corrupt("what an execution told".to_owned());
    let mark = mark.parse().map_err(|_| corrupt())?;
    let event = row.remove("e").ok_or_else(corrupt)?;
    let data = row.remove("d").ok_or_else(corrupt)?;
    Ok((mark, News { event, data }))
}

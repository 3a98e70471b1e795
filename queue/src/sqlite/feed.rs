//! The side where running executions tell what they do, in the memory of the one process that has
//! both those who tell and those who follow.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

use super::SqliteQueue;
use crate::{
    ExecutionId, Feed, Mark, News, Result,
    feed::{NEWS_KEPT, NEWS_PAGE, NEWS_TIME},
};

/// The most executions whose news is kept; what others tell is dropped.
const FEEDS_MAX: usize = 10_000;

/// What running executions have told.
#[derive(Default)]
pub(super) struct Feeds {
    all: Mutex<HashMap<ExecutionId, Told>>,
    /// Rung when another one tells something for the first time.
    begun: Arc<Notify>,
}

struct Told {
    /// The one who is heard.
    teller: String,
    news: VecDeque<(Mark, News)>,
    until: Instant,
    /// Rung when more is told.
    more: Arc<Notify>,
}

/// What was found, and what rings when there is more.
type Found = (Vec<(Mark, News)>, Arc<Notify>);

impl Feeds {
    fn all(&self) -> MutexGuard<'_, HashMap<ExecutionId, Told>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what an execution has told, if there is room for it.
    fn change(
        &self,
        (execution, teller): (ExecutionId, &str),
        kept: Duration,
        change: impl FnOnce(&mut Told),
    ) {
        let now = Instant::now();
        let mut all = self.all();
        if all.len() >= FEEDS_MAX {
            all.retain(|_, it| it.until > now);
        }
        if all.get(&execution).is_some_and(|it| it.until <= now) {
            all.remove(&execution);
        }
        if all.len() >= FEEDS_MAX && !all.contains_key(&execution) {
            return;
        }
        let told = all.entry(execution).or_insert_with(|| {
            self.begun.notify_waiters();
            Told {
                teller: teller.to_owned(),
                news: VecDeque::new(),
                until: now,
                more: Arc::default(),
            }
        });
        change(told);
        told.until = now + kept;
    }

    fn look(&self, execution: ExecutionId, after: Option<Mark>) -> Found {
        let now = Instant::now();
        let all = self.all();
        let Some(told) = all.get(&execution).filter(|it| it.until > now) else {
            return (Vec::new(), Arc::clone(&self.begun));
        };
        let from = after.map_or(0, |mark| told.news.partition_point(|it| it.0 <= mark));
        let found = told.news.range(from..).take(NEWS_PAGE).cloned().collect();
        (found, Arc::clone(&told.more))
    }
}

impl Told {
    fn add(&mut self, now_ms: i64, news: &[News]) {
        for one in news {
            let now = Mark { millis: u64::try_from(now_ms).unwrap_or_default(), number: 0 };
            let next = |last: Mark| Mark { number: last.number + 1, ..last };
            let mark = self.news.back().map_or(now, |(last, _)| now.max(next(*last)));
            if self.news.len() == NEWS_KEPT {
                self.news.pop_front();
            }
            self.news.push_back((mark, one.clone()));
        }
        self.more.notify_waiters();
    }
}

#[async_trait]
impl Feed for SqliteQueue {
    async fn begin(&self, execution: ExecutionId, teller: &str, void: &News) -> Result<()> {
        self.writer()?;
        let now_ms = self.inner.rules.now();
        self.inner.feeds.change((execution, teller), NEWS_TIME, |told| {
            if told.teller != teller && !told.news.is_empty() {
                // Added before the others go, for it must have a larger mark.
                told.add(now_ms, std::slice::from_ref(void));
                told.news.drain(..told.news.len() - 1);
            }
            teller.clone_into(&mut told.teller);
        });
        Ok(())
    }

    async fn tell(
        &self,
        execution: ExecutionId,
        teller: &str,
        news: &[News],
        kept: Duration,
    ) -> Result<()> {
        self.writer()?;
        let now_ms = self.inner.rules.now();
        self.inner.feeds.change((execution, teller), kept, |told| {
            if told.teller == teller {
                told.add(now_ms, news);
            }
        });
        Ok(())
    }

    async fn follow(
        &self,
        execution: ExecutionId,
        after: Option<Mark>,
        wait: Duration,
    ) -> Result<Vec<(Mark, News)>> {
        let end = Instant::now() + wait;
        let mut rings = Arc::clone(&self.inner.feeds.begun);
        loop {
            let rung = Arc::clone(&rings).notified_owned();
            tokio::pin!(rung);
            rung.as_mut().enable(); // before looking, so that nothing is told in between
            let (found, more) = self.inner.feeds.look(execution, after);
            if !found.is_empty() || Instant::now() >= end {
                return Ok(found);
            }
            if Arc::ptr_eq(&more, &rings) {
                drop(timeout_at(end, rung).await);
            } else {
                rings = more;
            }
        }
    }
}

//! The side from which the world is told of what has ended: a sorted set for each channel.

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;

use super::{RedisQueue, document::corrupt, millis};
use crate::{Channel, ChannelStats, Delivery, Notice, Outbox, Result, Subject, TextId};

#[async_trait]
impl Outbox for RedisQueue {
    async fn take_notices(
        &self,
        channel: Channel,
        most: usize,
        lease: Duration,
    ) -> Result<Vec<Notice>> {
        let store = &self.store;
        let mut call = store.scripts.take.key(store.prefix());
        call.arg(store.now()).arg(channel.letter()).arg(most).arg(millis(lease));
        let answer: Vec<String> = store.home.call(&call).await?;
        let bad = |_| corrupt("a notice");
        let Some((until, rows)) = answer.split_first() else { return Ok(Vec::new()) };
        let until = until.parse().map_err(bad)?;
        let (rows, _) = rows.as_chunks::<2>();
        let notice = |[name, taken]: &[String; 2]| {
            let taken = taken.parse().map_err(bad)?;
            Ok(Notice { channel, subject: name.parse()?, taken, until })
        };
        rows.iter().map(notice).collect()
    }

    async fn delivered(&self, deliveries: &[(Notice, Delivery)]) -> Result<()> {
        if deliveries.is_empty() {
            return Ok(());
        }
        let store = &self.store;
        let mut call = store.scripts.delivered.key(store.prefix());
        call.arg(store.now());
        for (notice, delivery) in deliveries {
            call.arg(notice.channel.letter()).arg(notice.subject.to_string()).arg(notice.until);
            match delivery {
                Delivery::Sent => call.arg("sent"),
                Delivery::Dropped => call.arg("dropped"),
                Delivery::Later(delay) => call.arg(format!("later {}", millis(*delay))),
                Delivery::Again(delay) => call.arg(format!("again {}", millis(*delay))),
            };
        }
        store.home.call(&call).await
    }

    async fn note(&self, subject: Subject, words: &str) -> Result<()> {
        let mut pipe = redis::pipe();
        pipe.pset_ex(self.note_key(subject), words, self.store.ttl()).ignore();
        self.store.home.query(&pipe).await
    }

    async fn notes(&self, subjects: &[Subject]) -> Result<Vec<Option<String>>> {
        self.noted(subjects.iter().map(|it| self.note_key(*it))).await
    }

    async fn keep_text(&self, id: TextId, text: &str, time: Duration) -> Result<()> {
        let kept = self.store.ttl().saturating_add(millis(time));
        let mut pipe = redis::pipe();
        pipe.pset_ex(self.text_key(id), text, kept).ignore();
        self.store.home.query(&pipe).await
    }

    async fn texts(&self, ids: &[TextId]) -> Result<Vec<Option<String>>> {
        self.noted(ids.iter().map(|it| self.text_key(*it))).await
    }

    async fn outbox(&self) -> Result<[ChannelStats; Channel::ALL.len()]> {
        let keys = &self.store.keys;
        let mut pipe = redis::pipe();
        pipe.hgetall(keys.named("obc"));
        for channel in Channel::ALL {
            pipe.zcard(keys.named(&format!("ob:{}", channel.letter())));
        }
        let (counts, webhook, tracking, provider): (HashMap<String, u64>, u64, u64, u64) =
            self.store.home.query(&pipe).await?;
        let stats = |channel: Channel, waiting| {
            let count = |what: &str| counts.get(&format!("{}|{what}", channel.letter())).copied();
            ChannelStats {
                waiting,
                sent: count("sent").unwrap_or_default(),
                dropped: count("dropped").unwrap_or_default(),
            }
        };
        Ok([
            stats(Channel::Webhook, webhook),
            stats(Channel::Tracking, tracking),
            stats(Channel::Provider, provider),
        ])
    }
}

impl RedisQueue {
    fn note_key(&self, subject: Subject) -> String {
        self.store.keys.named(&format!("on:{subject}"))
    }

    fn text_key(&self, id: TextId) -> String {
        self.store.keys.named(&format!("ot:{id}"))
    }

    async fn noted(&self, keys: impl Iterator<Item = String>) -> Result<Vec<Option<String>>> {
        let mut pipe = redis::pipe();
        for key in keys {
            pipe.get(key);
        }
        if pipe.is_empty() {
            return Ok(Vec::new());
        }
        self.store.home.query(&pipe).await
    }
}

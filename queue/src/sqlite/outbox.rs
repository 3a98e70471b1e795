//! The side from which the world is told of what has ended. What goes in, `schema_outbox.sql` says.

use std::time::Duration;

use async_trait::async_trait;
use rusqlite::Connection;

use super::{
    SqliteQueue,
    bundle::{self, unfold},
    sql::sql,
    step::{Step, count, int, millis, one},
};
use crate::{Channel, ChannelStats, Delivery, Notice, Outbox, Result, Subject, TextId};

/// The most notices of a channel that one round of upkeep drops.
const DROP_MAX: i64 = 1000;

#[async_trait]
impl Outbox for SqliteQueue {
    async fn take_notices(
        &self,
        channel: Channel,
        most: usize,
        lease: Duration,
    ) -> Result<Vec<Notice>> {
        // Most often there is none, and looking costs no transaction of the writer.
        let waits = self.read(move |db, now| {
            one(db, sql!("outbox.sql", "waits"), (channel.letter(), now), |_| Ok(()))
        });
        match waits.await? {
            Some(()) => self.write(move |step| take(step, channel, most, lease)).await,
            None => Ok(Vec::new()),
        }
    }

    async fn delivered(&self, deliveries: &[(Notice, Delivery)]) -> Result<()> {
        let deliveries = deliveries.to_vec();
        self.write(move |step| deliveries.iter().try_for_each(|(it, how)| settle(step, it, *how)))
            .await
    }

    async fn note(&self, subject: Subject, words: &str) -> Result<()> {
        let words = words.to_owned();
        self.write(move |step| {
            let expires = step.now.saturating_add(millis(step.limits().result_ttl));
            step.run(sql!("outbox.sql", "note"), (subject.to_string(), words, expires))?;
            Ok(())
        })
        .await
    }

    async fn notes(&self, subjects: &[Subject]) -> Result<Vec<Option<String>>> {
        let subjects = subjects.to_vec();
        self.read(move |db, now| subjects.iter().map(|it| noted(db, it.to_string(), now)).collect())
            .await
    }

    async fn keep_text(&self, id: TextId, text: &str, time: Duration) -> Result<()> {
        let text = text.to_owned();
        self.write(move |step| {
            let kept = step.limits().result_ttl.saturating_add(time);
            let expires = step.now.saturating_add(millis(kept));
            step.run(sql!("outbox.sql", "note"), (text_name(id), text, expires))?;
            Ok(())
        })
        .await
    }

    async fn texts(&self, ids: &[TextId]) -> Result<Vec<Option<String>>> {
        let names: Vec<_> = ids.iter().map(|it| text_name(*it)).collect();
        self.read(move |db, now| names.into_iter().map(|it| noted(db, it, now)).collect()).await
    }

    async fn outbox(&self) -> Result<[ChannelStats; Channel::ALL.len()]> {
        self.read(|db, _| {
            let stats = |channel: Channel| {
                let row = one(db, sql!("outbox.sql", "stats"), [channel.letter()], |row| {
                    Ok(ChannelStats {
                        sent: count(row.get(0)?),
                        dropped: count(row.get(1)?),
                        waiting: count(row.get(2)?),
                    })
                });
                row.map(Option::unwrap_or_default)
            };
            let [webhook, tracking, provider] = Channel::ALL.map(stats);
            Ok([webhook?, tracking?, provider?])
        })
        .await
    }
}

fn noted(db: &Connection, name: String, now: i64) -> Result<Option<String>> {
    one(db, sql!("outbox.sql", "noted"), (name, now), |row| Ok(row.get(0)?))
}

/// Where a text lies among what is noted; no subject is called so.
fn text_name(id: TextId) -> String {
    format!("t:{id}")
}

fn take(step: &Step<'_>, channel: Channel, most: usize, lease: Duration) -> Result<Vec<Notice>> {
    let until = step.now.saturating_add(millis(lease));
    let due = || {
        let due = (channel.letter(), step.now, int(most));
        step.all(sql!("outbox.sql", "due"), due, |row| {
            let subject = row.get_ref(0)?.as_str().map_err(super::row::corrupt)?.parse()?;
            Ok(Notice { channel, subject, taken: row.get(1)?, until })
        })
    };
    let mut notices = due()?;
    while notices.len() < most
        && let Some(bundle) = bundle::first(step, channel)?
    {
        unfold(step, channel, &bundle)?;
        notices = due()?;
    }
    for notice in &notices {
        let name = notice.subject.to_string();
        step.run(sql!("outbox.sql", "take"), (channel.letter(), name, until))?;
    }
    Ok(notices)
}

fn settle(step: &Step<'_>, notice: &Notice, how: Delivery) -> Result<()> {
    let (letter, name) = (notice.channel.letter(), notice.subject.to_string());
    let due = |delay| step.now.saturating_add(millis(delay));
    let counted = match how {
        Delivery::Sent => sql!("outbox.sql", "count_sent"),
        Delivery::Dropped => sql!("outbox.sql", "count_dropped"),
        Delivery::Later(delay) => {
            step.run(sql!("outbox.sql", "later"), (letter, name, notice.until, due(delay)))?;
            return Ok(());
        }
        Delivery::Again(delay) => {
            step.run(sql!("outbox.sql", "again"), (letter, name, notice.until, due(delay)))?;
            return Ok(());
        }
    };
    let ended = step.run(sql!("outbox.sql", "end"), (letter, name, notice.until))?;
    step.run(counted, (letter, int(ended)))?;
    Ok(())
}

/// Drops the oldest notices of a channel that are too many, and says how many.
pub(super) fn drop_oldest(step: &Step<'_>, channel: Channel) -> Result<usize> {
    let letter = channel.letter();
    let waiting = step.one(sql!("outbox.sql", "waiting"), [letter], |row| Ok(row.get(0)?))?;
    let surplus = waiting.unwrap_or(0) - int(step.limits().outbox_max);
    let most = surplus.min(DROP_MAX);
    let mut dropped = 0;
    while dropped < most {
        let bundle = bundle::first(step, channel)?;
        let until = bundle.as_ref().map_or(i64::MAX, |it| it.due);
        let alone = (letter, until, most - dropped);
        dropped += int(step.run(sql!("outbox.sql", "drop_oldest"), alone)?);
        match bundle {
            Some(bundle) if bundle.count <= surplus - dropped => {
                bundle::forget(step, &bundle)?;
                dropped += bundle.count;
            }
            Some(bundle) if dropped < most => unfold(step, channel, &bundle)?,
            Some(_) | None => break,
        }
    }
    if dropped > 0 {
        step.run(sql!("outbox.sql", "count_dropped"), (letter, dropped))?;
    }
    Ok(usize::try_from(dropped).unwrap_or(0))
}

//! The side that operators use.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use rusqlite::Row;

use super::{
    SqliteQueue,
    sql::sql,
    step::{all, count, setting},
    violations::violations,
};
use crate::{Catalogue, Control, Result, control::MANIFESTS_MAX};

#[async_trait]
impl Control for SqliteQueue {
    async fn pause(&self) -> Result<()> {
        self.write(|step| step.set("paused", 1)).await
    }

    async fn resume(&self) -> Result<()> {
        self.write(|step| {
            step.effects.arrived = true;
            step.set("paused", 0)
        })
        .await
    }

    async fn clear_cache(&self, program: Option<&str>) -> Result<u64> {
        let program = program.map(str::to_owned);
        self.write(move |step| {
            let cleared = step.run(sql!("settings.sql", "clear_cache"), [program])?;
            step.run(sql!("ledger.sql", "clear"), [])?;
            step.raise_epoch()?;
            Ok(cleared as u64)
        })
        .await
    }

    async fn put_program(&self, id: &str, text: &str) -> Result<()> {
        let (id, text) = (id.to_owned(), text.to_owned());
        self.write(move |step| {
            step.run(sql!("settings.sql", "put_program"), (id, text))?;
            step.raise_epoch()
        })
        .await
    }

    async fn remove_program(&self, id: &str) -> Result<bool> {
        let id = id.to_owned();
        self.write(move |step| {
            let found = step.run(sql!("settings.sql", "remove_program"), [id])? > 0;
            step.raise_epoch()?;
            Ok(found)
        })
        .await
    }

    async fn catalogue(&self) -> Result<Catalogue> {
        let pair = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
        self.read(move |db, _| {
            // Before what it counts: what is raised in between is read again.
            let epoch = count(setting(db, "epoch")?);
            let programs = all(db, sql!("settings.sql", "programs"), [], pair)?;
            let manifests = all(db, sql!("settings.sql", "manifests"), [], pair)?;
            Ok(Catalogue { programs, manifests, epoch })
        })
        .await
    }

    async fn publish_manifest(&self, program: &str, text: &str) -> Result<()> {
        let (program, text) = (program.to_owned(), text.to_owned());
        self.write(move |step| {
            let values = (program, text, MANIFESTS_MAX);
            if step.run(sql!("settings.sql", "publish_manifest"), values)? > 0 {
                step.raise_epoch()?;
            }
            Ok(())
        })
        .await
    }

    async fn epoch(&self) -> Result<u64> {
        self.read(|db, _| Ok(count(setting(db, "epoch")?))).await
    }

    async fn revoke_token(&self, jti: &str, expires: DateTime<Utc>) -> Result<()> {
        let jti = jti.to_owned();
        self.write(move |step| {
            step.run(sql!("settings.sql", "revoke"), (jti, expires.timestamp_millis()))?;
            Ok(())
        })
        .await
    }

    async fn revoked_tokens(&self) -> Result<Vec<String>> {
        self.read(|db, now| all(db, sql!("settings.sql", "revoked"), [now], |row| Ok(row.get(0)?)))
            .await
    }

    async fn ping(&self) -> Result<String> {
        self.read(|db, _| {
            setting(db, "epoch")?;
            Ok(format!("SQLite {}", rusqlite::version()))
        })
        .await
    }

    async fn warnings(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    async fn violations(&self) -> Result<Vec<String>> {
        self.read(|db, _| violations(db)).await
    }
}

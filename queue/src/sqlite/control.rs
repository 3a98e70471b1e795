//! The side that operators use.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{
    SqliteQueue,
    sql::sql,
    step::{all, count, setting},
    violations::violations,
};
use crate::{Control, Result, control::MANIFESTS_MAX};

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

    async fn programs(&self) -> Result<(Vec<(String, String)>, u64)> {
        self.read(|db, _| {
            let programs = all(db, sql!("settings.sql", "programs"), [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
            Ok((programs, count(setting(db, "epoch")?)))
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

    async fn manifests(&self) -> Result<Vec<(String, String)>> {
        self.read(|db, _| {
            all(db, sql!("settings.sql", "manifests"), [], |row| Ok((row.get(0)?, row.get(1)?)))
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

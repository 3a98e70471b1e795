//! The side that operators use.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use redis::InfoDict;

use super::RedisQueue;
use crate::{Catalogue, Control, ObjectCounts, Objects, Result, control::MANIFESTS_MAX};

/// How many cached results one script forgets.
const CLEAR_STEP: usize = 1000;

/// What a server says of itself.
pub(super) struct Server {
    name: String,
    pub(super) version: (u32, u32),
    full_version: String,
    pub(super) eviction: Option<String>,
    append_only: bool,
    snapshots: bool,
}

impl RedisQueue {
    pub(super) async fn server(&self) -> Result<Server> {
        let mut pipe = redis::pipe();
        pipe.cmd("INFO");
        let (info,): (InfoDict,) = self.store.home.query(&pipe).await?;
        let valkey: Option<String> = info.get("valkey_version");
        let redis: String = info.get("redis_version").unwrap_or_default();
        let mut parts = redis.split('.').map(|part| part.parse().unwrap_or_default());
        let version = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let name = if valkey.is_some() { "Valkey" } else { "Redis" };
        let append_only: u8 = info.get("aof_enabled").unwrap_or_default();
        Ok(Server {
            name: name.to_owned(),
            version,
            full_version: valkey.unwrap_or(redis),
            eviction: info.get("maxmemory_policy"),
            append_only: append_only == 1,
            snapshots: self.setting("save").await.is_some_and(|save| !save.is_empty()),
        })
    }

    /// A setting of the server; none if we may not ask.
    async fn setting(&self, name: &str) -> Option<String> {
        let mut pipe = redis::pipe();
        pipe.cmd("CONFIG").arg("GET").arg(name);
        let (pair,): (Vec<String>,) = self.store.home.query(&pipe).await.ok()?;
        pair.into_iter().nth(1)
    }

    async fn raise_epoch(&self, mut pipe: redis::Pipeline) -> Result<()> {
        pipe.atomic().hincr(self.store.keys.named("cfg"), "epoch", 1).ignore();
        self.store.home.query(&pipe).await
    }

    async fn clear_program(&self, program: &str) -> Result<u64> {
        let store = &self.store;
        let mut cleared = 0;
        loop {
            let mut call = store.scripts.clear.key(store.prefix());
            call.arg(program).arg(CLEAR_STEP);
            let (page, more): (u64, bool) = store.home.call(&call).await?;
            cleared += page;
            if !more {
                return Ok(cleared);
            }
        }
    }
}

#[async_trait]
impl Control for RedisQueue {
    fn object_counts(&self) -> ObjectCounts {
        self.store.objects.as_ref().map(Objects::counts).unwrap_or_default()
    }

    async fn pause(&self) -> Result<()> {
        let mut pipe = redis::pipe();
        pipe.hset(self.store.keys.named("cfg"), "paused", 1).ignore();
        self.store.home.query(&pipe).await
    }

    async fn resume(&self) -> Result<()> {
        let keys = &self.store.keys;
        let mut pipe = redis::pipe();
        pipe.atomic().hdel(keys.named("cfg"), "paused").ignore();
        for bell in ["bell", "bell:b"] {
            pipe.rpush(keys.named(bell), 1).ignore();
        }
        self.store.home.query(&pipe).await
    }

    async fn clear_cache(&self, program: Option<&str>) -> Result<u64> {
        let programs = if let Some(program) = program {
            vec![program.to_owned()]
        } else {
            let mut pipe = redis::pipe();
            pipe.smembers(self.store.keys.named("cp"));
            self.store.home.query::<(Vec<String>,)>(&pipe).await?.0
        };
        let mut cleared = 0;
        for program in programs {
            cleared += self.clear_program(&program).await?;
        }
        let mut pipe = redis::pipe();
        pipe.hincr(self.store.keys.named("cfg"), "cleared", 1).ignore();
        self.raise_epoch(pipe).await?;
        Ok(cleared)
    }

    async fn put_program(&self, id: &str, text: &str) -> Result<()> {
        let mut pipe = redis::pipe();
        pipe.hset(self.store.keys.named("programs"), id, text).ignore();
        self.raise_epoch(pipe).await
    }

    async fn remove_program(&self, id: &str) -> Result<bool> {
        let mut pipe = redis::pipe();
        pipe.atomic().hdel(self.store.keys.named("programs"), id);
        pipe.hincr(self.store.keys.named("cfg"), "epoch", 1).ignore();
        Ok(self.store.home.query::<(bool,)>(&pipe).await?.0)
    }

    async fn catalogue(&self) -> Result<Catalogue> {
        let keys = &self.store.keys;
        let mut pipe = redis::pipe();
        pipe.atomic().hgetall(keys.named("programs")).hgetall(keys.named("manifests"));
        pipe.hget(keys.named("cfg"), "epoch");
        let (programs, manifests, epoch) = self.store.home.query(&pipe).await?;
        let epoch: Option<u64> = epoch;
        let mut catalogue = Catalogue { programs, manifests, epoch: epoch.unwrap_or_default() };
        catalogue.programs.sort();
        catalogue.manifests.sort();
        Ok(catalogue)
    }

    async fn publish_manifest(&self, program: &str, text: &str) -> Result<()> {
        let key = self.store.keys.named("manifests");
        let mut pipe = redis::pipe();
        pipe.hget(&key, program).hlen(&key);
        let (known, count): (Option<String>, u32) = self.store.home.query(&pipe).await?;
        // Two workers that publish at once publish the same: in between nothing can go wrong.
        if known.as_deref() == Some(text) || (known.is_none() && count >= MANIFESTS_MAX) {
            return Ok(());
        }
        let mut pipe = redis::pipe();
        pipe.hset(&key, program, text).ignore();
        self.raise_epoch(pipe).await
    }

    async fn epoch(&self) -> Result<u64> {
        let mut pipe = redis::pipe();
        pipe.hget(self.store.keys.named("cfg"), "epoch");
        Ok(self.store.home.query::<(Option<u64>,)>(&pipe).await?.0.unwrap_or_default())
    }

    async fn revoke_token(&self, jti: &str, expires: DateTime<Utc>) -> Result<()> {
        let key = self.store.keys.named("revoked");
        let mut pipe = redis::pipe();
        pipe.atomic().zadd(&key, jti, expires.timestamp()).ignore();
        pipe.cmd("ZREMRANGEBYSCORE").arg(&key).arg("-inf").arg(Utc::now().timestamp()).ignore();
        self.store.home.query(&pipe).await
    }

    async fn revoked_tokens(&self) -> Result<Vec<String>> {
        let mut pipe = redis::pipe();
        let now = Utc::now().timestamp();
        pipe.zrangebyscore(self.store.keys.named("revoked"), now, "+inf");
        Ok(self.store.home.query::<(Vec<String>,)>(&pipe).await?.0)
    }

    async fn ping(&self) -> Result<String> {
        let server = self.server().await?;
        Ok(format!("{} {}", server.name, server.full_version))
    }

    async fn warnings(&self) -> Result<Vec<String>> {
        let server = self.server().await?;
        let mut warnings = Vec::new();
        if !server.append_only {
            let lost = if server.snapshots {
                "what was accepted since its last snapshot"
            } else {
                "everything that was accepted"
            };
            warnings.push(format!(
                "this server keeps no append-only file: if it stops, {lost} is lost; \
                 run `CONFIG SET appendonly yes`"
            ));
        }
        let policy = server.eviction.unwrap_or_default();
        if !policy.is_empty() && policy != "noeviction" {
            warnings.push(format!(
                "this server has `maxmemory-policy {policy}` and may throw executions away"
            ));
        }
        Ok(warnings)
    }

    async fn violations(&self) -> Result<Vec<String>> {
        self.find_violations().await
    }
}

//! Where a run's executions run: on a server, or in this process on the configured store.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::{task::JoinSet, time::timeout};

use super::{
    super::super::service::{Base, Front},
    journal::Ground,
};
use crate::{
    client::Client,
    config::{Config, Secret, Usage},
    output,
    signal::Stop,
    telemetry,
    traces::Traces,
    wire,
};

/// How long a server of this machine may take to say that it is there.
const LOOK: Duration = Duration::from_secs(2);

/// A server that was found, or the one that was started.
pub(super) struct Place {
    pub(super) client: Client,
    pub(super) ground: Ground,
    /// What runs here.
    parts: JoinSet<Result<()>>,
    traces: Option<Traces>,
}

impl Place {
    /// The server that the configuration names, or that listens on this machine; else this process.
    /// A run that was begun goes on where it was begun.
    pub(super) async fn find(
        config: Config,
        begun: Option<&Ground>,
        slots: usize,
        stop: &Stop,
    ) -> Result<Self> {
        let url = config.server.url.clone();
        let up = config.server.named || begun != Some(&Ground::Here) && is_up(&config).await?;
        let ground = if up { Ground::Server(url) } else { Ground::Here };
        if let Some(begun) = begun.filter(|it| **it != ground) {
            let what = match begun {
                Ground::Here => "in a process of its own: unset DSPYX_URL".to_owned(),
                Ground::Server(url) => format!("on the server {url}: set DSPYX_URL to it"),
            };
            let words = format!("this run was begun {what}, or begin anew with --restart");
            return Err(Usage(words).into());
        }
        if up {
            let client = Client::of(&config)?;
            return Ok(Self { client, ground, parts: JoinSet::new(), traces: None });
        }
        Self::here(config, slots, stop).await
    }

    /// Starts an API for this command alone, and a worker.
    async fn here(mut config: Config, slots: usize, stop: &Stop) -> Result<Self> {
        config.api_port = 0;
        config.api_host = std::net::Ipv4Addr::LOCALHOST.into();
        config.secret_key = None;
        config.worker.slots = slots;
        telemetry::start(&config.log.beside_a_bar());
        let front = Front::open(&config).await?;
        let (address, token) = (front.address, front.token()?);
        let (queue, registry) = (wire::queue(&config).await?, wire::registry(&config));
        for problem in registry.problems() {
            output::note(format!("a program cannot be loaded: {problem}"));
        }
        let traces = Traces::start("dspyx")?;
        let base = Base { config: &config, queue, registry, stop: stop.clone(), traces };
        let mut parts = JoinSet::new();
        base.start_both(front, &mut parts)?;
        let client = Client::new(&format!("http://{address}"), Some(Secret::new(&token)))?;
        Ok(Self { client, ground: Ground::Here, parts, traces: base.traces })
    }

    /// Lets what runs here end, after `stop` was asked for.
    pub(super) async fn close(mut self) -> Result<()> {
        while let Some(ended) = self.parts.join_next().await {
            ended.context("a part of the run panicked")??;
        }
        if let Some(traces) = self.traces {
            traces.finish().await;
        }
        Ok(())
    }
}

/// Whether a server answers.
async fn is_up(config: &Config) -> Result<bool> {
    let client = Client::of(config)?;
    Ok(timeout(LOOK, client.get("/health/live")).await.is_ok_and(|it| it.is_ok()))
}

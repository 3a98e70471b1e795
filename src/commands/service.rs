//! `dspyx serve`, `dspyx api`, `dspyx worker`: what runs until it is told to stop.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use ::api::{
    Readings, SecretKey,
    token::{self, Scope},
};
use ::programs::Registry;
use anyhow::{Context, Result};
use chrono::Utc;
use clap::Args;
use queue::Queue;
use tokio::{net::TcpListener, task::JoinSet};
use tracing::{info, warn};
use workers::Worker;

use super::private;
use crate::{
    config::{Config, Usage},
    local::{self, Published},
    output,
    signal::Stop,
    telemetry,
    traces::Traces,
    wire,
};

/// Of `serve`.
#[derive(Args)]
pub(crate) struct Serve {
    /// Serves only the process that starts it
    #[arg(long, hide = true)]
    private: bool,
    /// Where a private server keeps everything, instead of in a temporary folder
    #[arg(long, hide = true, value_name = "FOLDER", requires = "private")]
    private_folder: Option<PathBuf>,
}

/// How long the ready token of a server without SECRET_KEY is good; its key dies earlier.
const READY_TOKEN_TTL: Duration = Duration::from_secs(365 * 86_400);

/// API and worker in one process.
pub(super) async fn serve(config: &Config, arguments: &Serve) -> Result<()> {
    if arguments.private {
        return private::serve(config, arguments.private_folder.as_deref()).await;
    }
    telemetry::start(&config.log);
    let front = Front::open(config).await?;
    let config = &wire::beside_api(config);
    let queue = wire::queue(config).await?;
    let base = Base::new(config, queue, Traces::start("dspyx")?);
    let mut parts = JoinSet::new();
    let _published = front.publish()?;
    base.start_both(front, &mut parts)?;
    base.until_stopped(parts).await
}

/// The API alone.
pub(super) async fn api(config: &Config) -> Result<()> {
    telemetry::start(&config.log);
    let front = Front::open(config).await?;
    let queue = wire::shared_queue(config, "api").await?;
    let base = Base::new(config, queue, Traces::start("dspyx-api")?);
    let mut parts = JoinSet::new();
    let _published = front.publish()?;
    parts.spawn(front.answer(&base, None));
    base.until_stopped(parts).await
}

/// A worker alone.
pub(super) async fn worker(config: &Config) -> Result<()> {
    telemetry::start(&config.log);
    let numbers = match config.worker_metrics_address {
        Some(address) => Some(bind(address, "WORKER_METRICS_ADDRESS takes another").await?),
        None => None,
    };
    let queue = wire::shared_queue(config, "worker").await?;
    let base = Base::new(config, queue, Traces::start("dspyx-worker")?);
    let mut parts = JoinSet::new();
    let worker = base.worker()?;
    if let Some(listener) = numbers {
        let (readings, stop) = (wire::readings(worker.metrics()), base.stop.stop.clone());
        let address = listener.local_addr()?;
        info!(%address, "numbers for Prometheus at http://{address}/metrics");
        parts.spawn(async move {
            ::api::serve_numbers(listener, readings, stop).await;
            Ok(())
        });
    }
    parts.spawn(base.work(worker));
    base.until_stopped(parts).await
}

/// Listens at an address, or says what else could be.
async fn bind(address: SocketAddr, otherwise: &str) -> Result<TcpListener> {
    let bound = TcpListener::bind(address).await;
    bound.with_context(|| format!("cannot listen on {address}; {otherwise}"))
}

/// The programs, with a warning for each that cannot be loaded.
fn load(config: &Config) -> Registry {
    let registry = wire::registry(config);
    for problem in registry.problems() {
        warn!("a program cannot be loaded: {problem}");
    }
    let (count, folder) = (registry.list().len(), config.programs_dir.display());
    info!(count, "{count} programs in {folder}");
    registry
}

/// What the parts of a service share.
pub(super) struct Base<'a> {
    pub(super) config: &'a Config,
    pub(super) queue: Arc<dyn Queue>,
    pub(super) registry: Registry,
    pub(super) stop: Stop,
    pub(super) traces: Option<Traces>,
}

impl<'a> Base<'a> {
    pub(super) fn new(config: &'a Config, queue: Arc<dyn Queue>, traces: Option<Traces>) -> Self {
        Self { config, queue, registry: load(config), stop: Stop::new(), traces }
    }

    /// Begins to work and to answer, in one process.
    pub(super) fn start_both(&self, front: Front, parts: &mut JoinSet<Result<()>>) -> Result<()> {
        let worker = self.worker()?;
        let readings = wire::readings(worker.metrics());
        parts.spawn(self.work(worker));
        parts.spawn(front.answer(self, Some(readings)));
        Ok(())
    }

    /// A worker that has not begun.
    fn worker(&self) -> Result<Worker> {
        let worker = wire::worker(self.config, Arc::clone(&self.queue), self.registry.clone())?;
        Ok(match &self.traces {
            Some(traces) => worker.traced(traces.of_worker()),
            None => worker,
        })
    }

    /// The worker's whole life, as a future.
    fn work(&self, worker: Worker) -> impl Future<Output = Result<()>> + use<> {
        let (slots, Stop { stop, hurry }) = (self.config.worker.slots, self.stop.clone());
        async move {
            info!(slots, "working with {slots} slots");
            worker.run(stop, hurry).await;
            Ok(())
        }
    }

    /// Waits for signals, and for the parts to end. One that fails stops the others.
    pub(super) async fn until_stopped(self, mut parts: JoinSet<Result<()>>) -> Result<()> {
        let Self { stop, traces, .. } = self;
        let mut listener = JoinSet::new();
        listener.spawn(stop.clone().on_signals());
        let mut first_failure = None;
        while let Some(ended) = parts.join_next().await {
            let failed = ended.context("a part of the service panicked").flatten().err();
            if !stop.stop.is_cancelled() && failed.is_none() {
                warn!("a part of the service ended by itself; stopping");
            }
            stop.stop.cancel();
            first_failure = first_failure.or(failed);
        }
        if let Some(traces) = traces {
            traces.finish().await;
        }
        listener.shutdown().await;
        info!("stopped");
        first_failure.map_or(Ok(()), Err)
    }
}

/// The API before it answers: the socket is bound and the key is there.
pub(super) struct Front {
    listener: TcpListener,
    pub(super) address: SocketAddr,
    key: SecretKey,
    own_key: bool,
}

impl Front {
    /// Binds the socket first of all: what is wrong with it is known before anything is touched.
    pub(super) async fn open(config: &Config) -> Result<Self> {
        if config.secret_key.is_none() && !config.api_host.is_loopback() {
            return Err(Usage(format!(
                "API_HOST is {}, which others can reach, and SECRET_KEY is not set, so nobody \
                 could tell whom to let in: set SECRET_KEY (`openssl rand -hex 32` makes one), or \
                 listen on 127.0.0.1",
                config.api_host
            ))
            .into());
        }
        let address = SocketAddr::new(config.api_host, config.api_port);
        let listener = bind(address, "API_PORT or --api-port takes another port").await?;
        let address = listener.local_addr()?;
        let own_key = config.secret_key.is_none();
        let key = config.secret_key.clone().unwrap_or_else(SecretKey::random);
        Ok(Self { listener, address, key, own_key })
    }

    /// Tells the ready token if the key is this process's own.
    fn publish(&self) -> Result<Option<Published>> {
        self.own_key.then(|| self.ready()).transpose()
    }

    /// The API's whole life, as a future; with the numbers of a worker that runs beside it.
    fn answer(
        self,
        base: &Base<'_>,
        worker: Option<Readings>,
    ) -> impl Future<Output = Result<()>> + use<> {
        let (queue, registry) = (Arc::clone(&base.queue), base.registry.clone());
        let app = wire::app(base.config, self.key, queue, registry);
        let app = match worker {
            Some(readings) => app.showing(readings),
            None => app,
        };
        let app = match &base.traces {
            Some(traces) => app.traced(traces.of_api()),
            None => app,
        };
        let (address, stop) = (self.address, base.stop.stop.clone());
        async move {
            info!(%address, "listening on http://{address}");
            ::api::serve(self.listener, app, stop).await.context("the API failed")
        }
    }

    /// A token for everything, of this server.
    pub(super) fn token(&self) -> Result<String> {
        Ok(token::mint(&self.key, "local", &Scope::ALL, READY_TOKEN_TTL, Utc::now())?)
    }

    /// Makes the token of a server without SECRET_KEY, shows it once, and publishes it.
    fn ready(&self) -> Result<Published> {
        let token = self.token()?;
        output::note(format!(
            "\nSECRET_KEY is not set: only this machine is listened to, with a key of this \
             process.\nA ready token, shown once:\n\n  export DSPYX_TOKEN={token}\n"
        ));
        let published = local::publish(self.address.port(), &token)?;
        let path = published.path().display();
        output::note(format!("dspyx commands of this user find it by themselves, in {path}.\n"));
        Ok(published)
    }
}

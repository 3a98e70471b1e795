//! From a configuration to parts that work together: the only place that knows which backend.

use std::sync::Arc;

use anyhow::{Context, Result};
use api::{App, Reading, Readings, SecretKey};
use programs::Registry;
use queue::{Clock, Queue, RedisConfig, RedisQueue, SqliteQueue};
use workers::{Gateway, GatewayConfig, Metric, Metrics, WebhookConfig, Worker};

use crate::config::{self, Config, Usage};

/// Why the embedded store refuses another place for payloads.
const ALONE: &str = "OBJECT_STORE takes payloads out of Redis and requires REDIS_URL; the embedded \
                     store keeps them in the file of DATABASE_PATH, on disk";

/// The store that the configuration names.
pub(crate) async fn queue(config: &Config) -> Result<Arc<dyn Queue>> {
    let Some(url) = &config.redis_url else {
        if config.object_store.is_some() {
            return Err(Usage(ALONE.to_owned()).into());
        }
        let path = &config.database_path;
        let queue = SqliteQueue::open(path, config.limits.clone(), Clock::Store);
        return Ok(Arc::new(queue.with_context(|| format!("cannot open {}", path.display()))?));
    };
    let queue = RedisQueue::connect(RedisConfig {
        url: url.reveal().to_owned(),
        queue: config.queue_name.clone(),
        limits: config.limits.clone(),
        clock: Clock::Store,
        allow_eviction: config.allow_eviction,
        objects: config::objects(config)?,
    });
    Ok(Arc::new(queue.await.context("cannot use the Redis of REDIS_URL")?))
}

/// The store that the configuration names, to look at: the embedded one also while a server has it.
pub(crate) async fn queue_to_read(config: &Config) -> Result<Arc<dyn Queue>> {
    let path = &config.database_path;
    if config.redis_url.is_some() {
        return queue(config).await;
    }
    let queue = SqliteQueue::open_to_read(path);
    Ok(Arc::new(queue.with_context(|| format!("cannot read {}", path.display()))?))
}

/// The store that several processes share: the embedded one is for one process.
pub(crate) async fn shared_queue(config: &Config, command: &str) -> Result<Arc<dyn Queue>> {
    if config.redis_url.is_none() {
        return Err(Usage(format!(
            "`dspyx {command}` shares its work with other processes and requires REDIS_URL (or \
             --redis-url), e.g. redis://localhost:6379; without Redis, `dspyx serve` does all in \
             one process"
        ))
        .into());
    }
    queue(config).await
}

/// The programs of the configured folder.
pub(crate) fn registry(config: &Config) -> Registry {
    Registry::load(&config.programs_dir).allowing(&config.python_allow)
}

/// What runs executions.
pub(crate) fn worker(config: &Config, queue: Arc<dyn Queue>, registry: Registry) -> Result<Worker> {
    let keys = config::keys(config);
    let gateway = Gateway::new(GatewayConfig { keys, ..config.gateway.clone() })?;
    let gateway = gateway.accounting(Arc::clone(&queue) as Arc<dyn queue::Ledger>);
    let worker = Worker::new(queue, registry, Arc::new(gateway), config.worker.clone());
    let views = workers::Views { execution: api::execution_view, batch: api::batch_view };
    let webhooks = WebhookConfig { views, ..config.webhooks.clone() };
    let worker = worker.with_python(config::python(config)).with_sources(config::sources(config));
    Ok(worker.with_webhooks(webhooks).with_tracking(config.tracking.clone()))
}

/// The numbers of a worker, for those who show them.
pub(crate) fn readings(metrics: Arc<Metrics>) -> Readings {
    let reading = |Metric { name, help, value, is_now }| Reading { name, help, value, is_now };
    Arc::new(move || metrics.all().into_iter().map(reading).collect())
}

/// The configuration of a worker in one process with an API: who can only be asked from this
/// machine may call this machine.
pub(crate) fn beside_api(config: &Config) -> Config {
    let mut config = config.clone();
    config.webhooks.callable.loopback |= config.api_host.is_loopback();
    config
}

/// What answers HTTP requests.
pub(crate) fn app(
    config: &Config,
    key: SecretKey,
    queue: Arc<dyn Queue>,
    registry: Registry,
) -> App {
    let config = api::Config {
        secret_key: key,
        model: config.gateway.model.clone(),
        api_base: config.gateway.api_base.clone(),
        mlflow_tracking: config.tracking.is_on(&config.sources),
        ..config.api.clone()
    };
    App::new(queue, registry, Arc::new(config))
}

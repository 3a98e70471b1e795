//! Connections: taking them, bounding them, and letting them end.

use std::{io, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::{
    App, Config,
    worker_numbers::{self, Readings},
};

/// How many may ask a worker for its numbers at once; others wait to be accepted.
const NUMBERS_CONNECTIONS_MAX: usize = 16;

/// How long to wait when no connection can be accepted, as when there are too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until told to stop. Then it accepts no more, answers at once what only waits, and lets
/// the rest finish for as long as the configuration allows.
pub async fn serve(listener: TcpListener, app: App, stop: CancellationToken) -> io::Result<()> {
    let app = App { stop: Arc::new(stop.child_token()), ..app };
    let config = app.config.clone();
    let mut following = JoinSet::new();
    following.spawn(stop.child_token().run_until_cancelled_owned(app.clone().follow()));
    answer(listener, crate::router(app), &config, stop).await;
    following.shutdown().await;
    Ok(())
}

/// Shows a worker's numbers at `/metrics` until told to stop, to anybody who asks: nothing of what
/// is worked on is in them.
pub async fn serve_numbers(listener: TcpListener, readings: Readings, stop: CancellationToken) {
    let bounds = Config { connections_max: NUMBERS_CONNECTIONS_MAX, ..Config::default() };
    answer(listener, worker_numbers::router(readings), &bounds, stop).await;
}

async fn answer(listener: TcpListener, router: Router, config: &Config, stop: CancellationToken) {
    let server = Server {
        router,
        places: Arc::new(Semaphore::new(config.connections_max)),
        graceful: GracefulShutdown::new(),
        idle: Duration::from_secs(config.body_idle_seconds_max),
    };
    let mut connections = JoinSet::new();
    let accepting = server.accept(&listener, &mut connections);
    stop.run_until_cancelled(accepting).await;
    drop(listener);
    server.finish(connections, config).await;
}

struct Server {
    router: Router,
    places: Arc<Semaphore>,
    graceful: GracefulShutdown,
    idle: Duration,
}

impl Server {
    async fn accept(&self, listener: &TcpListener, connections: &mut JoinSet<()>) {
        while let Ok(place) = self.places.clone().acquire_owned().await {
            match listener.accept().await {
                Ok((stream, _)) => self.start(stream, place, connections),
                Err(error) => {
                    warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
            while connections.try_join_next().is_some() {}
        }
    }

    fn start(&self, stream: TcpStream, place: OwnedSemaphorePermit, to: &mut JoinSet<()>) {
        // An answer is one small write: waiting for more only makes it late.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(self.router.clone());
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.idle)
            .serve_connection(TokioIo::new(stream), service);
        let connection = self.graceful.watch(connection);
        to.spawn(async move {
            if let Err(error) = connection.await {
                debug!(%error, "connection ended early");
            }
            drop(place);
        });
    }

    async fn finish(self, mut connections: JoinSet<()>, config: &Config) {
        let bound = Duration::from_secs(config.shutdown_seconds_max);
        let open = self.graceful.count();
        info!(open, "stopping; {open} connections are open");
        if tokio::time::timeout(bound, self.graceful.shutdown()).await.is_err() {
            warn!("requests did not finish within {} s and are cut", bound.as_secs());
        }
        connections.shutdown().await;
    }
}

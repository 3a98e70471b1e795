//! Where the keys live now: one server, the master that a Sentinel names, or the node of a cluster
//! that holds the queue's slot. All keys of a queue lie on one node, so that plain connections to
//! it serve all three; when it fails, it is looked for again.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use deadpool_redis::{Manager, Pool, PoolError, Runtime, Timeouts};
use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, FromRedisValue, IntoConnectionInfo, Pipeline,
    RedisError, RedisResult, ScriptInvocation,
    aio::{ConnectionLike, MultiplexedConnection, PubSub},
};
use tokio::time::sleep;

use super::servers::Servers;
use crate::{Error, Result};

/// Connections for requests, at most.
const POOL_MAX: usize = 16;
/// How long a request may take. Not the client's default of 500 ms, which a disk sync can exceed.
const RESPONSE_MAX: Duration = Duration::from_secs(10);
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// How long to wait before each further try of a request; every script may run twice.
const TRIES: [Duration; 3] =
    [Duration::from_millis(20), Duration::from_millis(100), Duration::from_millis(400)];

/// The way to the server that holds the keys.
pub(super) struct Home {
    servers: Servers,
    here: Mutex<Arc<Here>>,
}

/// The server as it was found last.
struct Here {
    client: Client,
    /// For commands, whose answers may be long.
    pool: Pool,
    /// For scripts, which are short and may share one connection.
    shared: Mutex<Option<MultiplexedConnection>>,
}

impl Here {
    fn new(info: ConnectionInfo) -> Result<Arc<Self>> {
        let client = Client::open(info.clone())?;
        let manager = Manager::new_with_config(info, config(Some(RESPONSE_MAX)))?;
        let timeouts = Timeouts {
            wait: Some(RESPONSE_MAX),
            create: Some(CONNECT_MAX),
            recycle: Some(CONNECT_MAX),
        };
        let pool = Pool::builder(manager)
            .max_size(POOL_MAX)
            .timeouts(timeouts)
            .runtime(Runtime::Tokio1)
            .build();
        let pool = pool.map_err(unavailable)?;
        Ok(Arc::new(Self { client, pool, shared: Mutex::default() }))
    }

    fn shared(&self) -> MutexGuard<'_, Option<MultiplexedConnection>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run<T: FromRedisValue>(&self, call: &ScriptInvocation<'_>) -> RedisResult<T> {
        let open = self.shared().clone();
        let mut connection = if let Some(open) = open {
            open
        } else {
            let config = config(Some(RESPONSE_MAX));
            let new = self.client.get_multiplexed_async_connection_with_config(&config).await?;
            self.shared().insert(new).clone()
        };
        let answer = call.invoke_async(&mut connection).await;
        if answer.as_ref().is_err_and(is_passing) {
            *self.shared() = None;
        }
        answer
    }

    async fn query<T: FromRedisValue>(&self, pipe: &Pipeline) -> RedisResult<T> {
        let connection = self.pool.get().await;
        let mut connection = connection.map_err(|error| {
            if let PoolError::Backend(error) = error {
                return error;
            }
            RedisError::from(std::io::Error::other(error.to_string()))
        })?;
        pipe.query_async(&mut connection).await
    }
}

fn config(response: Option<Duration>) -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_MAX))
        .set_response_timeout(response)
}

impl Home {
    /// Finds the server; it must be there.
    pub(super) async fn find(url: &str, tagged_key: &str) -> Result<Self> {
        let servers = Servers::parse(url, tagged_key)?;
        let here = Here::new(servers.locate().await?)?;
        Ok(Self { servers, here: Mutex::new(here) })
    }

    fn here(&self) -> Arc<Here> {
        Arc::clone(&self.here.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks for the server again, unless somebody else did since `seen`.
    async fn look_again(&self, seen: &Arc<Here>) {
        if self.servers.is_one() || !Arc::ptr_eq(seen, &self.here()) {
            return;
        }
        let Ok(info) = self.servers.locate().await else { return };
        if let Ok(here) = Here::new(info) {
            *self.here.lock().unwrap_or_else(PoisonError::into_inner) = here;
        }
    }

    /// Runs a script, again if the connection fails.
    pub(super) async fn call<T: FromRedisValue>(&self, call: &ScriptInvocation<'_>) -> Result<T> {
        self.ask(Request::Script(call)).await
    }

    /// Runs commands on a pooled connection, again if it fails; the answer is a tuple of theirs.
    pub(super) async fn query<T: FromRedisValue>(&self, pipe: &Pipeline) -> Result<T> {
        self.ask(Request::Pipe(pipe)).await
    }

    async fn ask<T: FromRedisValue>(&self, request: Request<'_>) -> Result<T> {
        let mut tries = TRIES.iter();
        loop {
            let here = self.here();
            let answer = match request {
                Request::Script(call) => here.run(call).await,
                Request::Pipe(pipe) => here.query(pipe).await,
            };
            let error = match answer {
                Ok(answer) => return Ok(answer),
                Err(error) if !is_passing(&error) => return Err(error.into()),
                Err(error) => error,
            };
            let Some(pause) = tries.next() else { return Err(error.into()) };
            sleep(*pause).await;
            self.look_again(&here).await;
        }
    }

    /// A subscription of its own.
    pub(super) async fn subscribe(&self, channel: &str) -> Result<PubSub> {
        let here = self.here();
        let subscribed = async {
            let mut events = here.client.get_async_pubsub().await?;
            events.subscribe(channel).await?;
            Ok::<_, RedisError>(events)
        };
        match tokio::time::timeout(CONNECT_MAX, subscribed).await {
            Ok(Ok(events)) => Ok(events),
            Ok(Err(error)) => {
                self.look_again(&here).await;
                Err(error.into())
            }
            Err(_) => Err(Error::Unavailable("it does not answer".to_owned())),
        }
    }
}

/// A connection of its own, kept until it fails.
pub(super) struct Line {
    home: Arc<Home>,
    response: Option<Duration>,
    open: Option<(Arc<Here>, MultiplexedConnection)>,
}

impl Line {
    /// For requests that follow each other closely.
    pub(super) fn new(home: Arc<Home>) -> Self {
        Self { home, response: Some(RESPONSE_MAX), open: None }
    }

    /// For requests that block; the caller bounds them.
    pub(super) fn patient(home: Arc<Home>) -> Self {
        Self { home, response: None, open: None }
    }

    async fn connection(&mut self) -> Result<(Arc<Here>, MultiplexedConnection), RedisError> {
        if let Some(open) = &self.open {
            return Ok(open.clone());
        }
        let here = self.home.here();
        let config = config(self.response);
        let connection = here.client.get_multiplexed_async_connection_with_config(&config).await;
        if connection.is_err() {
            self.home.look_again(&here).await;
        }
        Ok(self.open.insert((here, connection?)).clone())
    }

    /// Runs commands once; the connection is given up if it fails.
    pub(super) async fn once<T: FromRedisValue>(
        &mut self,
        pipe: &Pipeline,
    ) -> Result<T, RedisError> {
        self.ask_once(Request::Pipe(pipe)).await
    }

    async fn ask_once<T: FromRedisValue>(&mut self, request: Request<'_>) -> Result<T, RedisError> {
        let (here, mut connection) = self.connection().await?;
        let answer = request.send(&mut connection).await;
        if answer.as_ref().is_err_and(is_passing) {
            self.open = None;
            self.home.look_again(&here).await;
        }
        answer
    }

    /// Runs a script, again if the connection fails.
    pub(super) async fn call<T: FromRedisValue>(
        &mut self,
        call: &ScriptInvocation<'_>,
    ) -> Result<T> {
        let mut tries = TRIES.iter();
        loop {
            match self.ask_once(Request::Script(call)).await {
                Ok(answer) => return Ok(answer),
                Err(error) if !is_passing(&error) => return Err(error.into()),
                Err(error) => match tries.next() {
                    Some(pause) => sleep(*pause).await,
                    None => return Err(error.into()),
                },
            }
        }
    }
}

/// What is asked of a server. All of it may be asked again after a lost answer.
#[derive(Clone, Copy)]
enum Request<'a> {
    Script(&'a ScriptInvocation<'a>),
    Pipe(&'a Pipeline),
}

impl Request<'_> {
    async fn send<T: FromRedisValue>(
        self,
        connection: &mut (impl ConnectionLike + Send),
    ) -> Result<T, RedisError> {
        match self {
            Self::Script(call) => call.invoke_async(connection).await,
            Self::Pipe(pipe) => pipe.query_async(connection).await,
        }
    }
}

/// Whether another try, perhaps on another server, may do better.
fn is_passing(error: &RedisError) -> bool {
    const CODES: [&str; 7] =
        ["READONLY", "MOVED", "MASTERDOWN", "CLUSTERDOWN", "LOADING", "TRYAGAIN", "UNKILLABLE"];
    error.is_io_error()
        || error.is_connection_dropped()
        || error.is_connection_refusal()
        || error.is_timeout()
        || error.code().is_some_and(|code| CODES.contains(&code))
}

/// Asks a server something with a connection that is closed afterwards.
pub(super) async fn ask_once<T: FromRedisValue>(
    info: ConnectionInfo,
    command: &redis::Cmd,
) -> Result<T> {
    let client = Client::open(info.into_connection_info()?)?;
    let mut connection =
        client.get_multiplexed_async_connection_with_config(&config(Some(CONNECT_MAX))).await?;
    let value = connection.req_packed_command(command).await?;
    redis::from_redis_value(value).map_err(|error| Error::Corrupt(error.to_string()))
}

fn unavailable(error: impl std::fmt::Display) -> Error {
    Error::Unavailable(error.to_string())
}

impl From<RedisError> for Error {
    fn from(error: RedisError) -> Self {
        if error.code() == Some("OOM") {
            return Error::NoRoom("Redis has reached its `maxmemory`");
        }
        unavailable(error)
    }
}

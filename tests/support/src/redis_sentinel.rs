//! A Redis with a replica, and three Sentinels that put the one in the other's place.

use std::{path::Path, time::Duration};

use tempfile::TempDir;

use crate::{
    RedisServer, free_port, redis_server::cli, server_child::ServerChild, wait::until_blocking,
};

const READY_MAX: Duration = Duration::from_secs(30);
const SENTINELS: usize = 3;

/// One master, one replica, three Sentinels of which two must agree. Gone when dropped.
#[derive(Debug)]
pub struct RedisSentinel {
    servers: [RedisServer; 2],
    sentinels: Vec<(u16, ServerChild)>,
    _folders: Vec<TempDir>,
}

impl RedisSentinel {
    /// The name under which the Sentinels know the master.
    pub const MASTER: &str = "main";

    /// Starts all five, and waits until the Sentinels know each other and the replica.
    #[expect(clippy::new_without_default, reason = "it starts processes")]
    pub fn new() -> Self {
        let persist = ["--save", "", "--appendonly", "yes"];
        let master = RedisServer::with_args(&persist);
        let port = master.port().to_string();
        let follow = format!("127.0.0.1 {port}");
        let replica = RedisServer::with_args(&[&persist[..], &["--replicaof", &follow]].concat());
        let folders: Vec<TempDir> =
            (0..SENTINELS).map(|_| tempfile::tempdir().expect("a folder")).collect();
        let sentinels = folders.iter().map(|it| start_sentinel(it.path(), &port)).collect();
        let set = Self { servers: [master, replica], sentinels, _folders: folders };
        until_blocking("sentinels know each other and the replica", READY_MAX, || set.is_ready());
        set
    }

    /// Where to ask for the master.
    pub fn url(&self) -> String {
        let hosts: Vec<String> =
            self.sentinels.iter().map(|(port, _)| format!("127.0.0.1:{port}")).collect();
        format!("redis+sentinel://{}/{}", hosts.join(","), Self::MASTER)
    }

    /// The port of the master, as the Sentinels see it now.
    pub fn master_port(&self) -> u16 {
        let answer =
            cli(self.sentinels[0].0, &["SENTINEL", "get-master-addr-by-name", Self::MASTER]);
        answer.lines().nth(1).and_then(|port| port.parse().ok()).expect("a master")
    }

    /// Waits until the replica has what the master has.
    pub fn wait_for_replica(&self) {
        until_blocking("the replica follows", READY_MAX, || {
            let offset = |server: &RedisServer| {
                let info = server.cli(&["INFO", "replication"]);
                let line = info.lines().find_map(|it| it.strip_prefix("master_repl_offset:"));
                line.map(|it| it.trim().to_owned())
            };
            offset(&self.servers[0]) == offset(&self.servers[1])
        });
    }

    /// Kills the first master, and waits until the replica is put in its place.
    pub fn fail_over(&mut self) {
        self.servers[0].kill();
        let heir = self.servers[1].port();
        until_blocking("the replica is promoted", READY_MAX, || {
            self.master_port() == heir && cli(heir, &["ROLE"]).starts_with("master")
        });
    }

    fn is_ready(&self) -> bool {
        self.sentinels.iter().all(|(port, _)| {
            let state = cli(*port, &["SENTINEL", "MASTER", Self::MASTER]);
            let lines: Vec<&str> = state.lines().collect();
            let holds = |name, value| lines.windows(2).any(|it| it == [name, value]);
            holds("num-slaves", "1")
                && holds("num-other-sentinels", "2")
                && holds("flags", "master")
        }) && self.servers[1].cli(&["INFO", "replication"]).contains("master_link_status:up")
    }
}

fn start_sentinel(folder: &Path, master_port: &str) -> (u16, ServerChild) {
    let (port, name) = (free_port(), RedisSentinel::MASTER);
    let text = format!(
        "port {port}\nbind 127.0.0.1\ndir {}\n\
         sentinel monitor {name} 127.0.0.1 {master_port} 2\n\
         sentinel down-after-milliseconds {name} 1000\n\
         sentinel failover-timeout {name} 5000\nsentinel parallel-syncs {name} 1\n",
        folder.display()
    );
    std::fs::write(folder.join("sentinel.conf"), text).expect("a configuration");
    let args = ["sentinel.conf", "--sentinel"].map(str::to_owned);
    (port, ServerChild::start(folder, "sentinel.log", "redis-server", &args))
}

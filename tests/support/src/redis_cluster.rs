//! A Redis Cluster of three masters.

use std::time::Duration;

use crate::{RedisServer, free_port, wait::until_blocking};

const READY_MAX: Duration = Duration::from_secs(30);
const SLOTS: [(&str, &str); 3] = [("0", "5460"), ("5461", "10922"), ("10923", "16383")];

/// Three masters that share the slots among them. Gone when dropped.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
}

impl RedisCluster {
    /// Starts the nodes, joins them, and waits until each says that the cluster is well.
    #[expect(clippy::new_without_default, reason = "it starts processes")]
    pub fn new() -> Self {
        let nodes: Vec<RedisServer> = SLOTS.iter().map(|_| start_node()).collect();
        for (epoch, (node, (first, last))) in (1..).zip(nodes.iter().zip(SLOTS)) {
            expect_ok(node, &["CLUSTER", "ADDSLOTSRANGE", first, last]);
            expect_ok(node, &["CLUSTER", "SET-CONFIG-EPOCH", &format!("{epoch}")]);
        }
        let bus = bus_port(&nodes[0]);
        for node in &nodes[1..] {
            let (port, bus) = (nodes[0].port().to_string(), bus.clone());
            expect_ok(node, &["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
        }
        until_blocking("the cluster is well", READY_MAX, || {
            nodes.iter().all(|node| {
                let info = node.cli(&["CLUSTER", "INFO"]);
                info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
            })
        });
        Self { nodes }
    }

    /// Where its nodes listen.
    pub fn url(&self) -> String {
        let hosts: Vec<String> =
            self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
        format!("redis+cluster://{}", hosts.join(","))
    }

    /// The nodes.
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }
}

fn start_node() -> RedisServer {
    let bus = free_port().to_string();
    RedisServer::with_args(&[
        "--save",
        "",
        "--cluster-enabled",
        "yes",
        "--cluster-port",
        &bus,
        "--cluster-node-timeout",
        "2000",
    ])
}

fn bus_port(node: &RedisServer) -> String {
    let answer = node.cli(&["CONFIG", "GET", "cluster-port"]);
    answer.lines().nth(1).expect("a port").to_owned()
}

fn expect_ok(node: &RedisServer, command: &[&str]) {
    let answer = node.cli(command);
    assert_eq!(answer, "OK", "{command:?}");
}

//! Which servers a URL speaks of, and which of them holds the keys.

use redis::{Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo};

use super::home::ask_once;
use crate::{Error, Result};

/// The servers that a URL names.
pub(super) enum Servers {
    /// One that holds the keys itself.
    One(ConnectionInfo),
    /// Sentinels that know the master of that name.
    Sentinels { master: String, sentinels: Vec<ConnectionInfo>, like: ConnectionInfo },
    /// Some nodes of a cluster; one of all its nodes holds the slot of `key`.
    Cluster { key: String, nodes: Vec<ConnectionInfo> },
}

impl Servers {
    /// Reads `redis://`, `rediss://`, `redis+sentinel://A,B/MASTER`, `redis+cluster://A,B`.
    pub(super) fn parse(url: &str, tagged_key: &str) -> Result<Self> {
        let wrong = |why: &str| {
            Error::Setup(format!(
                "the Redis URL {why}; write redis://HOST:PORT, rediss://HOST:PORT, \
                 redis+sentinel://HOST:PORT,HOST:PORT/MASTER or redis+cluster://HOST:PORT,HOST:PORT"
            ))
        };
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err(wrong("has no scheme"));
        };
        let (transport, kind) = scheme.split_once('+').unwrap_or((scheme, ""));
        if transport != "redis" && transport != "rediss" {
            return Err(wrong("has an unknown scheme"));
        }
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, hosts) = hosts.rsplit_once('@').map_or(("", hosts), |(u, h)| (u, h));
        let each = |host: &str| {
            let at = if user.is_empty() { String::new() } else { format!("{user}@") };
            let info = format!("{transport}://{at}{host}").into_connection_info();
            info.map_err(|error| wrong(&format!("cannot be read ({error})")))
        };
        let infos = || hosts.split(',').map(each).collect::<Result<Vec<_>>>();
        match kind {
            "" => {
                let info = url.into_connection_info();
                Ok(Self::One(info.map_err(|error| wrong(&format!("cannot be read ({error})")))?))
            }
            "cluster" => Ok(Self::Cluster { key: tagged_key.to_owned(), nodes: infos()? }),
            "sentinel" if path.is_empty() => Err(wrong("names no master after the sentinels")),
            "sentinel" => {
                let bare = |host: &str| {
                    let info = format!("{transport}://{host}").into_connection_info();
                    info.map_err(|error| wrong(&format!("cannot be read ({error})")))
                };
                let sentinels = hosts.split(',').map(bare).collect::<Result<Vec<_>>>()?;
                let like = infos()?.into_iter().next().ok_or_else(|| wrong("names no server"))?;
                Ok(Self::Sentinels { master: path.to_owned(), sentinels, like })
            }
            _ => Err(wrong("has an unknown scheme")),
        }
    }

    pub(super) fn is_one(&self) -> bool {
        matches!(self, Self::One(_))
    }

    /// The server that holds the keys now.
    pub(super) async fn locate(&self) -> Result<ConnectionInfo> {
        match self {
            Self::One(info) => Ok(info.clone()),
            Self::Sentinels { master, sentinels, like } => {
                let mut ask = redis::cmd("SENTINEL");
                ask.arg("get-master-addr-by-name").arg(master);
                let (host, port) = first_answer::<(String, u16)>(sentinels, &ask).await?;
                Ok(elsewhere(like, host, port))
            }
            Self::Cluster { key, nodes } => {
                let mut ask = redis::cmd("CLUSTER");
                ask.arg("KEYSLOT").arg(key);
                let slot: u16 = first_answer(nodes, &ask).await?;
                let mut ask = redis::cmd("CLUSTER");
                ask.arg("SLOTS");
                let ranges: Vec<Vec<redis::Value>> = first_answer(nodes, &ask).await?;
                let master = ranges.into_iter().find_map(|range| {
                    let value = redis::Value::Array(range.into_iter().take(3).collect());
                    let (from, to, node) = read_range(value)?;
                    (from..=to).contains(&slot).then_some(node)
                });
                let (host, port) = master.ok_or_else(|| {
                    Error::Unavailable(format!("no node of the cluster holds slot {slot}"))
                })?;
                let like = nodes.first().ok_or_else(|| Error::Setup("no node".to_owned()))?;
                Ok(elsewhere(like, host, port))
            }
        }
    }
}

/// A row of `CLUSTER SLOTS`: first slot, last slot, and the master's address.
fn read_range(row: redis::Value) -> Option<(u16, u16, (String, u16))> {
    let (from, to, node): (u16, u16, Vec<redis::Value>) = redis::from_redis_value(row).ok()?;
    let mut node = node.into_iter();
    let host = redis::from_redis_value(node.next()?).ok()?;
    let port = redis::from_redis_value(node.next()?).ok()?;
    Some((from, to, (host, port)))
}

async fn first_answer<T: redis::FromRedisValue>(
    servers: &[ConnectionInfo],
    command: &Cmd,
) -> Result<T> {
    let mut last = Error::Unavailable("no server is named".to_owned());
    for server in servers {
        match ask_once(server.clone(), command).await {
            Ok(answer) => return Ok(answer),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The same way to connect, to another server.
fn elsewhere(like: &ConnectionInfo, host: String, port: u16) -> ConnectionInfo {
    let address = match like.addr() {
        ConnectionAddr::TcpTls { insecure, tls_params, .. } => ConnectionAddr::TcpTls {
            host,
            port,
            insecure: *insecure,
            tls_params: tls_params.clone(),
        },
        ConnectionAddr::Tcp(..) | ConnectionAddr::Unix(_) | _ => ConnectionAddr::Tcp(host, port),
    };
    like.clone().set_addr(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_say_what_is_wrong_with_them() {
        for url in
            ["localhost", "http://x", "redis+sentinel://a:1,b:2", "redis+what://a:1", "redis://:x"]
        {
            let Err(Error::Setup(text)) = Servers::parse(url, "k") else { panic!("{url}") };
            assert!(text.contains("redis+sentinel://HOST"), "{text}");
        }
    }

    #[test]
    fn servers_are_read_from_urls() {
        let url = "redis+sentinel://user:pass@a:26379,b:26380/mymaster";
        let Ok(Servers::Sentinels { master, sentinels, .. }) = Servers::parse(url, "k") else {
            panic!("not a sentinel")
        };
        assert_eq!((master.as_str(), sentinels.len()), ("mymaster", 2));
        assert!(Servers::parse("rediss://a:6380/2", "k").unwrap().is_one());
        assert!(matches!(
            Servers::parse("redis+cluster://a:1,b:2", "k"),
            Ok(Servers::Cluster { .. })
        ));
    }
}

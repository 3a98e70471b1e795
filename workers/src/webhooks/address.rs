//! Which addresses may be called: the world's, and of a private network only those that the
//! operator names. Whoever may submit an execution could otherwise have this machine call its
//! neighbours.
//!
//! It is held where names become addresses, so that a name that changes its address in between is
//! of no use.

use std::{
    error::Error,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
    sync::Arc,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Which addresses may be called besides those that everybody can.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Callable {
    /// This machine.
    pub loopback: bool,
    /// Every private network, and this machine.
    pub private: bool,
    /// These hosts, wherever they are.
    pub hosts: Vec<String>,
}

/// `loopback`, `private`, names of hosts and addresses, with commas between them.
impl FromStr for Callable {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut callable = Self::default();
        for word in text.split(',').map(str::trim).filter(|it| !it.is_empty()) {
            match word {
                "loopback" => callable.loopback = true,
                "private" => callable.private = true,
                host => callable.hosts.push(bare(host).to_ascii_lowercase()),
            }
        }
        Ok(callable)
    }
}

impl Callable {
    /// Whether a URL may name this host; of a name, its addresses decide.
    pub(super) fn may_be_named(&self, host: &str) -> bool {
        let host = bare(host);
        self.is_listed(host) || host.parse().map_or(!host.is_empty(), |it| self.may_be(it))
    }

    fn is_listed(&self, host: &str) -> bool {
        self.hosts.iter().any(|it| it.eq_ignore_ascii_case(host))
    }

    fn may_be(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.private || (self.loopback && address.is_loopback()) || is_public(address)
    }
}

fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

/// Whether an address belongs to the internet, by the registries of special addresses of IANA.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(it) => is_public_v4(it),
        IpAddr::V6(it) => is_public_v6(it),
    }
}

fn is_public_v4(it: Ipv4Addr) -> bool {
    let [a, b, c, _] = it.octets();
    let is_special = match (a, b) {
        (0 | 10 | 127 | 240.., _)
        | (100, 64..=127)
        | (169, 254)
        | (172, 16..=31)
        | (192, 168)
        | (198, 18 | 19) => true,
        (192, 0) => c == 0 || c == 2,
        (198, 51) => c == 100,
        (203, 0) => c == 113,
        _ => it.is_multicast(),
    };
    !is_special
}

fn is_public_v6(it: Ipv6Addr) -> bool {
    match it.segments() {
        // What stands for an address of the older kind: NAT64 and 6to4.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            is_public_v4(Ipv4Addr::new(a, b, c, d))
        }
        [0x2001, 0xdb8, ..] => false,
        // All that was given out so far.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

/// Gives a client only addresses that may be called.
#[derive(Clone, Debug)]
pub(super) struct Guard(Arc<Callable>);

/// There is no address of that name that may be called.
#[derive(Debug, thiserror::Error)]
#[error("it is at a private address")]
struct Forbidden;

impl Guard {
    pub(super) fn new(callable: Callable) -> Self {
        Self(Arc::new(callable))
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let callable = Arc::clone(&self.0);
        Box::pin(async move {
            let host = name.as_str();
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host, 0)).await?.collect();
            if found.is_empty() {
                return Err(io::Error::from(io::ErrorKind::NotFound).into());
            }
            let is_listed = callable.is_listed(host);
            let may: Vec<_> =
                found.into_iter().filter(|it| is_listed || callable.may_be(it.ip())).collect();
            if may.is_empty() {
                return Err(Forbidden.into());
            }
            Ok(Box::new(may.into_iter()) as Addrs)
        })
    }
}

/// Whether a call failed because its address may not be called.
pub(super) fn is_forbidden(error: &reqwest::Error) -> bool {
    let mut reason: &dyn Error = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    reason.is::<Forbidden>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_not_called() {
        let nobody = Callable::default();
        for host in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "[::1]",
            "[fd00::1]",
            "[fe80::1]",
            "[::ffff:10.0.0.1]",
            "[64:ff9b::a00:1]",
            "[2002:7f00:1::]",
            "[::]",
            "",
        ] {
            assert!(!nobody.may_be_named(host), "{host}");
        }
        for host in ["93.184.216.34", "172.32.0.1", "[2606:4700::1111]", "example.com"] {
            assert!(nobody.may_be_named(host), "{host}");
        }
    }

    #[test]
    fn those_that_are_named_are_called() {
        let some: Callable = "loopback, hooks.internal,10.0.0.7".parse().unwrap();
        for host in ["127.0.0.1", "[::1]", "HOOKS.internal", "10.0.0.7"] {
            assert!(some.may_be_named(host), "{host}");
        }
        assert!(!some.may_be_named("10.0.0.8"));
        let all: Callable = "private".parse().unwrap();
        assert!(all.may_be_named("10.0.0.8") && all.may_be_named("127.0.0.1"));
    }

    #[tokio::test]
    async fn a_name_of_a_neighbour_is_not_looked_up() {
        let resolve = async |callable: &str| {
            let guard = Guard::new(callable.parse().unwrap());
            guard.resolve("localhost".parse().unwrap()).await.map(|it| it.count() > 0)
        };
        assert!(resolve("").await.unwrap_err().is::<Forbidden>());
        assert!(resolve("localhost").await.unwrap());
        assert!(resolve("loopback").await.unwrap());
    }
}

//! A network between two processes that can be made to fail.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp},
    sync::watch,
};

use crate::background::Background;

const CHUNK_BYTES: usize = 16 * 1024;

/// How the network is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Network {
    /// As it should be.
    Well,
    /// Every piece comes so much later.
    Slow(Duration),
    /// Connections stand, and nothing comes through.
    Stalled,
    /// Connections are cut, and new ones at once.
    Cut,
}

/// Passes TCP on to a target, as well as its network is. Gone when dropped.
pub struct Proxy {
    address: SocketAddr,
    network: watch::Sender<Network>,
    _background: Background,
}

impl Proxy {
    /// Listens on loopback for connections to a port there.
    pub fn new(target_port: u16) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (network, state) = watch::channel(Network::Well);
        let background = Background::run(move || accept(listener, target_port, state));
        Self { address, network, _background: background }
    }

    /// Its port on loopback.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Makes the network so, for all connections old and new.
    pub fn set(&self, network: Network) {
        self.network.send_replace(network);
    }

    /// Cuts every connection that there is; new ones work.
    pub fn cut_once(&self) {
        self.set(Network::Cut);
        self.set(Network::Well);
    }
}

async fn accept(listener: std::net::TcpListener, port: u16, state: watch::Receiver<Network>) {
    listener.set_nonblocking(true).expect("a listener");
    let listener = TcpListener::from_std(listener).expect("a listener");
    // Gone with the runtime, like everything spawned here.
    while let Ok((client, _)) = listener.accept().await {
        if *state.borrow() == Network::Cut {
            continue;
        }
        tokio::spawn(join(client, port, state.clone()));
    }
}

async fn join(client: TcpStream, port: u16, mut state: watch::Receiver<Network>) {
    state.mark_unchanged();
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    drop((client.set_nodelay(true), server.set_nodelay(true)));
    let (client_in, client_out) = client.into_split();
    let (server_in, server_out) = server.into_split();
    tokio::select! {
        () = pass(client_in, server_out, state.clone()) => {}
        () = pass(server_in, client_out, state.clone()) => {}
        () = cut(state) => {}
    }
}

/// Ends when the network is cut; also when it was for a moment only.
async fn cut(mut state: watch::Receiver<Network>) {
    let mut before = state.borrow_and_update().to_owned();
    while state.changed().await.is_ok() {
        let now = *state.borrow_and_update();
        // A watch shows the last value only: from well to well, there was a cut between.
        if now == Network::Cut || now == before {
            return;
        }
        before = now;
    }
}

async fn pass(
    mut from: tcp::OwnedReadHalf,
    mut to: tcp::OwnedWriteHalf,
    mut state: watch::Receiver<Network>,
) {
    let mut chunk = vec![0; CHUNK_BYTES];
    while let Ok(length) = from.read(&mut chunk).await {
        if length == 0 {
            return;
        }
        let network = *state.borrow();
        if let Network::Slow(by) = network {
            tokio::time::sleep(by).await;
        }
        if state.wait_for(|it| *it != Network::Stalled).await.is_err() {
            return;
        }
        if to.write_all(&chunk[..length]).await.is_err() {
            return;
        }
    }
}

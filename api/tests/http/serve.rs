//! Connections, and the end of the server.

use std::{net::SocketAddr, time::Duration};

use api::Config;
use queue::Limits;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::site::Site;

const SOON: Duration = Duration::from_secs(10);

struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    running: JoinHandle<std::io::Result<()>>,
}

async fn start(site: &Site) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn(api::serve(listener, site.app.clone(), stop.clone()));
    Server { address, stop, running }
}

impl Server {
    async fn send(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    async fn stopped(self) {
        self.stop.cancel();
        tokio::time::timeout(SOON, self.running).await.unwrap().unwrap().unwrap();
    }
}

/// What came until some text did, or until the end.
async fn until(stream: &mut TcpStream, text: &str) -> String {
    let mut all = Vec::new();
    let read = async {
        while !String::from_utf8_lossy(&all).contains(text) {
            if stream.read_buf(&mut all).await.unwrap() == 0 {
                break;
            }
        }
    };
    tokio::time::timeout(SOON, read).await.unwrap();
    String::from_utf8(all).unwrap()
}

fn get(site: &Site, path: &str, more: &str) -> String {
    let token = site.token("alice", &[api::token::Scope::Read]);
    let prefix = api::PREFIX;
    format!("GET {prefix}{path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n{more}\r\n")
}

#[tokio::test]
async fn server_without_connections_stops_at_once() {
    let site = Site::new().await;
    start(&site).await.stopped().await;
}

#[tokio::test]
async fn idle_connections_do_not_hold_the_server() {
    let site = Site::new().await;
    let server = start(&site).await;
    let mut stream = server.send(&get(&site, "/stats", "")).await;
    assert!(until(&mut stream, "workers").await.starts_with("HTTP/1.1 200"));
    server.stopped().await;
}

#[tokio::test]
async fn long_poll_is_answered_when_the_server_stops() {
    let site = Site::new().await;
    let server = start(&site).await;
    let path = format!("/execution/{}?wait=60", site.submit().await);
    // Sent together on one connection: once the first is answered, the second is in hand.
    let both = get(&site, "/stats", "") + &get(&site, &path, "");
    let mut waiting = server.send(&both).await;
    until(&mut waiting, "\"mlflow_tracking\"").await;

    server.stopped().await;

    let answer = until(&mut waiting, "\"queued\"").await;
    assert!(answer.contains("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn events_end_when_the_server_stops() {
    let site = Site::new().await;
    let server = start(&site).await;
    let path = format!("/execution/{}", site.submit().await);
    let mut events = server.send(&get(&site, &path, "accept: text/event-stream\r\n")).await;
    until(&mut events, "\"queued\"").await;

    server.stopped().await;

    // The last chunk: the stream was ended, not cut.
    assert!(until(&mut events, "\r\n0\r\n\r\n").await.contains("0\r\n\r\n"));
}

#[tokio::test]
async fn header_that_never_ends_is_not_waited_for() {
    let config = Config { body_idle_seconds_max: 1, ..Config::default() };
    let site = Site::with(config, Limits::default()).await;
    let server = start(&site).await;
    let mut stream = server.send("GET /api/v1/dspy/health HTTP/1.1\r\nhost: ").await;
    until(&mut stream, "never").await;
    server.stopped().await;
}

#[tokio::test]
async fn programs_of_the_fleet_are_followed() {
    let site = Site::new().await;
    let server = start(&site).await;
    let program = "name: late\nlm: {model: dummy/x}\nsignatures: {s: {inputs: [a], outputs: [b]}}";
    site.queue.put_program("late", program).await.unwrap();
    let known = async {
        while site.app.registry.get("late").is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, known).await.unwrap();
    server.stopped().await;
}

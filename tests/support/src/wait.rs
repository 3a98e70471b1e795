//! Waiting for a state, never for a time; a port to wait at.

use std::{
    net::TcpListener,
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

/// How long to wait between two looks.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Looks again and again until there is something, and gives it. Panics with `what` after
/// `within`.
pub async fn until<T>(what: &str, within: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < within, "not within {within:?}: {what}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Looks again and again until it is so. Panics with `what` after `within`.
pub async fn until_true(what: &str, within: Duration, mut look: impl AsyncFnMut() -> bool) {
    until(what, within, async || look().await.then_some(())).await;
}

/// The same for code that is not async, by the thread that starts a server.
pub(crate) fn until_blocking(what: &str, within: Duration, mut look: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !look() {
        assert!(begun.elapsed() < within, "not within {within:?}: {what}");
        std::thread::park_timeout(LOOK_EVERY);
    }
}

/// Ports that the system gives to nobody by itself, so that a server that is started again finds
/// its port free.
const PORTS: std::ops::Range<u16> = 10_000..30_000;

/// A port that was free a moment ago, another one with every call.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let width = PORTS.end - PORTS.start;
    // Processes of one run have neighbouring ids: spread them.
    let start = std::process::id().wrapping_mul(7_919) % u32::from(width);
    for _ in 0..width {
        let step = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = PORTS.start + u16::try_from((start + step) % u32::from(width)).unwrap_or(0);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}

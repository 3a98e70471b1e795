//! A web server with the pages that a test puts there, in the place of a hub or a forge.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    io::{AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use crate::{background::Background, request::Request};

/// The most requests that are remembered.
const SEEN_MAX: usize = 10_000;

/// What is at a path.
#[derive(Clone, Debug)]
pub struct Page {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// How much of the body is sent before the connection is cut.
    sent: usize,
    /// Whether nothing is sent, and the connection stays open.
    silent: bool,
}

impl Page {
    /// This, with status 200.
    pub fn new(body: impl Into<Vec<u8>>) -> Self {
        Self::status(200, body)
    }

    /// This, with a status.
    pub fn status(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), sent: usize::MAX, silent: false }
    }

    /// Takes the request, and never answers.
    pub fn silence() -> Self {
        Self { silent: true, ..Self::new("") }
    }

    /// Sends on to another address.
    pub fn elsewhere(url: &str) -> Self {
        Self::status(302, "").with("location", url)
    }

    /// The same with a header.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same, of which only so many bytes come before the connection is cut.
    #[must_use]
    pub fn cut_after(self, sent: usize) -> Self {
        Self { sent, ..self }
    }
}

/// A request that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visit {
    /// Its path and query.
    pub path: String,
    /// Its `Authorization` header; empty if it has none.
    pub authorization: String,
    /// Its headers: names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: String,
}

impl Visit {
    /// The value of a header; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|it| it.0 == name).map_or("", |it| &it.1)
    }
}

#[derive(Default)]
struct Shown {
    pages: BTreeMap<String, Page>,
    /// What is at every other path.
    other: Option<Page>,
    visits: Vec<Visit>,
}

/// A real HTTP server on loopback. Gone when dropped.
pub struct StubWeb {
    address: SocketAddr,
    shown: Arc<Mutex<Shown>>,
    _background: Background,
}

impl StubWeb {
    /// Listens, and has no pages.
    #[expect(clippy::new_without_default, reason = "it starts a server")]
    pub fn new() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shown = Arc::new(Mutex::new(Shown::default()));
        let background = Background::run({
            let shown = Arc::clone(&shown);
            move || accept(listener, shown)
        });
        Self { address, shown, _background: background }
    }

    /// Its address, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Puts a page at a path, with its query; in the place of one that is there.
    pub fn put(&self, path: &str, page: Page) {
        lock(&self.shown).pages.insert(path.to_owned(), page);
    }

    /// Puts a page at every path that has no other.
    pub fn put_everywhere(&self, page: Page) {
        lock(&self.shown).other = Some(page);
    }

    /// The requests that came, oldest first.
    pub fn visits(&self) -> Vec<Visit> {
        lock(&self.shown).visits.clone()
    }

    /// The paths of the requests that came, oldest first.
    pub fn paths(&self) -> Vec<String> {
        self.visits().into_iter().map(|it| it.path).collect()
    }
}

fn lock(shown: &Mutex<Shown>) -> MutexGuard<'_, Shown> {
    shown.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: std::net::TcpListener, shown: Arc<Mutex<Shown>>) {
    listener.set_nonblocking(true).expect("a listener");
    let listener = TcpListener::from_std(listener).expect("a listener");
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, Arc::clone(&shown)));
    }
}

/// Answers one request; none if it breaks off.
async fn serve(stream: TcpStream, shown: Arc<Mutex<Shown>>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let request = Request::read(&mut stream).await?;
    let visit = Visit {
        authorization: request.header("authorization").to_owned(),
        body: String::from_utf8_lossy(&request.body).into_owned(),
        path: request.path,
        headers: request.headers,
    };
    let page = {
        let mut shown = lock(&shown);
        let nothing = || Page::status(404, r#"{"message": "Not Found"}"#);
        let page = shown.pages.get(&visit.path).or(shown.other.as_ref()).cloned();
        let page = page.unwrap_or_else(nothing);
        if shown.visits.len() < SEEN_MAX {
            shown.visits.push(visit);
        }
        page
    };
    if page.silent {
        std::future::pending::<()>().await;
    }
    let length = page.body.len();
    let mut head = format!(
        "HTTP/1.1 {} Stub\r\nconnection: close\r\ncontent-length: {length}\r\n",
        page.status
    );
    for (name, value) in &page.headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    head.push_str("\r\n");
    let stream = stream.get_mut();
    stream.write_all(head.as_bytes()).await.ok()?;
    stream.write_all(&page.body[..page.sent.min(page.body.len())]).await.ok()?;
    stream.shutdown().await.ok()
}

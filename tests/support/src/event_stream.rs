//! Server-sent events, read one after the other as they come.

use std::{io, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

/// How long the next event may take.
const NEXT_MAX: Duration = Duration::from_secs(30);

/// An answer of events that is being read. Closed when dropped.
pub struct EventStream {
    /// The status code.
    pub status: u16,
    /// The names of the headers in lower case, and their values.
    pub headers: Vec<(String, String)>,
    stream: BufReader<TcpStream>,
}

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerEvent {
    /// Its name.
    pub event: String,
    /// Its id; empty if it has none.
    pub id: String,
    /// Its data.
    pub data: Value,
}

impl EventStream {
    pub(crate) async fn open(port: u16, request: String) -> io::Result<Self> {
        let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", port)).await?);
        stream.get_mut().write_all(request.as_bytes()).await?;
        let mut this = Self { status: 0, headers: Vec::new(), stream };
        let first = this.line().await.ok_or(io::ErrorKind::UnexpectedEof)?;
        this.status = first.split(' ').nth(1).and_then(|it| it.parse().ok()).unwrap_or_default();
        while let Some(line) = this.line().await.filter(|it| !it.is_empty()) {
            let (name, value) = line.split_once(':').ok_or(io::ErrorKind::InvalidData)?;
            this.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Ok(this)
    }

    /// The next event; none at the end. Panics if none comes for long.
    pub async fn next(&mut self) -> Option<ServerEvent> {
        timeout(NEXT_MAX, self.read()).await.expect("an event, or the end of them")
    }

    /// All events up to one of this name, and that.
    pub async fn up_to(&mut self, name: &str) -> Vec<ServerEvent> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
            if events.last().is_some_and(|it| it.event == name) {
                break;
            }
        }
        events
    }

    /// All events to the end.
    pub async fn rest(&mut self) -> Vec<ServerEvent> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }

    /// Lengths of chunks stand on lines of their own, between whole events: no field is like them.
    async fn read(&mut self) -> Option<ServerEvent> {
        let (mut event, mut id, mut data) = (String::new(), String::new(), String::new());
        loop {
            let line = self.line().await?;
            match line.split_once(": ") {
                Some(("event", it)) => it.clone_into(&mut event),
                Some(("id", it)) => it.clone_into(&mut id),
                Some(("data", it)) => data.push_str(it),
                _ if line.is_empty() && !data.is_empty() => {
                    let data = serde_json::from_str(&data).unwrap_or(Value::String(data));
                    return Some(ServerEvent { event, id, data });
                }
                _ => {}
            }
        }
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
        Some(line.trim_end_matches(['\r', '\n']).to_owned())
    }
}
